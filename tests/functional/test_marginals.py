"""Distances between tables: by hand, column by column and pair by pair."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest

from understudy.functional import marginals
from understudy.types import UserError


def test_entropy_by_hand():
    # Halves: ln 2; a certain choice of three: 0; 1/4, 3/4: 1/4 ln 4 + 3/4 ln 4/3.
    shares = jnp.asarray([0.5, 0.5, 0.0, 1.0, 0.0, 0.25, 0.75])
    wanted = [np.log(2), 0.0, 0.25 * np.log(4) + 0.75 * np.log(4 / 3)]
    np.testing.assert_allclose(marginals.entropy(shares, (2, 3, 2)), wanted, atol=1e-6)
    assert marginals.entropy(jnp.zeros(0), ()).shape == (0,)


def test_divergence_by_hand():
    # KL(1/2, 1/2 || 1/4, 3/4) = 1/2 ln 2 + 1/2 ln 2/3; of equals 0; a choice that never occurs
    # counts as FLOOR: 1/2 ln(1/2 / 1) + 1/2 ln(1/2 / 1e-6).
    shares = jnp.asarray([0.5, 0.5, 0.2, 0.8, 0.5, 0.5])
    wanted = jnp.asarray([0.25, 0.75, 0.2, 0.8, 1.0, 0.0])
    found = marginals.divergence(shares, wanted, (2, 2, 2))
    last = 0.5 * np.log(0.5) + 0.5 * np.log(0.5 / 1e-6)
    np.testing.assert_allclose(
        found, [0.5 * np.log(2) + 0.5 * np.log(2 / 3), 0.0, last], rtol=1e-5, atol=1e-7
    )


def test_entropy_and_divergence_alone_are_least_at_roots_of_shares():
    # KL(p || q) - H(p) = 2 Σ p log p - Σ p log q is least where p is as √q: 0.9, 0.1 -> 0.75, 0.25.
    wanted, p = jnp.asarray([0.9, 0.1]), np.linspace(0.01, 0.99, 99)
    lost = [
        float((marginals.divergence(x, wanted, (2,)) - marginals.entropy(x, (2,))).sum())
        for x in jnp.asarray(np.stack([p, 1 - p], 1), jnp.float32)
    ]
    np.testing.assert_allclose(p[np.argmin(lost)], 0.75, atol=1e-9)


def test_quantile_distance_by_hand():
    # {0, 1, 5} and {2, 0, 3} in order: |0 - 0|, |1 - 2|, |5 - 3| -> 1; a shift by 2 is 2.
    x = jnp.asarray([[5.0, 1.0], [0.0, 2.0], [1.0, 4.0]])
    y = jnp.asarray([[2.0, 6.0], [0.0, 3.0], [3.0, 4.0]])
    np.testing.assert_allclose(marginals.quantile_distance(x, y), [1.0, 2.0], rtol=1e-6)


def test_a_table_becomes_choices_and_bins():
    # Edges of 4 bins of 1..8 are 2.75, 4.5, 6.25; a value at an edge belongs to the bin above.
    edges = marginals.quantile_edges(np.arange(1.0, 9.0)[:, None], 4)
    np.testing.assert_allclose(edges, [[2.75, 4.5, 6.25]])
    rows = np.asarray([[0, 1, 1, 0, 0, 4.5], [1, 0, 0, 0, 1, -9.0], [1, 0, 0, 1, 0, 99.0]])
    found = marginals.coded(rows, (2, 3), edges)
    np.testing.assert_array_equal(found, [[1, 0, 2], [0, 2, 0], [0, 1, 3]])


def test_variations_by_hand_and_pairs_see_what_columns_do_not():
    # Both tables have halves in both columns; in one they are equal, in the other independent.
    # Joint shares (1/2, 0, 0, 1/2) and four quarters: ½ · 4 · 1/4 = 1/2. The third column is always
    # 0 in one and in the other 0, 0, 0, 2: ½ · (1/4 + 1/4).
    equal = np.asarray([[0, 0, 0], [1, 1, 0], [0, 0, 0], [1, 1, 0]])
    free = np.asarray([[0, 0, 0], [0, 1, 0], [1, 0, 0], [1, 1, 2]])
    np.testing.assert_allclose(marginals.variations(equal, free, (2, 2, 3)), [0.0, 0.0, 0.25])
    found = marginals.pair_variations(equal, free, (2, 2, 3))
    # (0, 2): (1/2, 0, 0 | 1/2, 0, 0) and (1/2, 0, 0 | 1/4, 0, 1/4): 1/4; so for (1, 2).
    np.testing.assert_allclose(found, [0.5, 0.25, 0.25])
    np.testing.assert_array_equal(marginals.pair_variations(equal, equal, (2, 2, 3)), 0.0)


def test_pairs_are_at_least_as_far_apart_as_their_columns():
    rng = np.random.default_rng(0)
    one, two = (rng.integers(0, (2, 5, 9), (300, 3)) for _ in range(2))
    alone = marginals.variations(one, two, (2, 5, 9))
    both = marginals.pair_variations(one, two, (2, 5, 9))
    for (i, j), apart in zip(itertools.combinations(range(3), 2), both, strict=True):
        assert apart >= max(alone[i], alone[j]) - 1e-12


def test_tables_of_another_size_are_refused():
    with pytest.raises(UserError, match="expected rows of 6 numbers"):
        marginals.coded(np.zeros((2, 5)), (2, 3), np.zeros((1, 3)))
    with pytest.raises(UserError, match="at least 2 parts"):
        marginals.pair_variations(np.zeros((2, 1), int), np.zeros((2, 1), int), (2,))
    with pytest.raises(UserError, match="at least 2 bins"):
        marginals.quantile_edges(np.zeros((2, 1)), 1)
