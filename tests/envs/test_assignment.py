"""Agents are sent to places at the least total cost, few or many of them."""

import jax
import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from understudy.envs import movers


@pytest.mark.parametrize("shape", [(5, 5), (3, 6), (40, 40), (50, 36), (36, 50)])
def test_least_cost_also_under_vmap(shape):
    costs = jax.random.uniform(jax.random.key(0), (3, *shape))
    agents, places = jax.jit(jax.vmap(movers.assigned))(costs)
    for cost, rows, columns in zip(np.asarray(costs), agents, places, strict=True):
        assert len(set(rows.tolist())) == len(set(columns.tolist())) == min(shape)
        best = cost[linear_sum_assignment(cost)].sum()
        np.testing.assert_allclose(cost[rows, columns].sum(), best, rtol=1e-5)


def test_what_is_not_finite_ends_too():
    costs = np.full((40, 40), np.nan, np.float32)
    rows, columns = jax.jit(movers.assigned)(costs)
    assert len(set(rows.tolist())) == len(set(columns.tolist())) == 40
