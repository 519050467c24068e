"""A generator: learns from tracks alone, is scored while it trains, loads in one line."""

import jax
import numpy as np

from contracts.harness import walks
from contracts.toys import LearnDrift
from understudy.experiment.run import load_generator


def test_a_generator_trains_resumes_and_loads(goes_on):
    run = goes_on(LearnDrift(rate=0.5), demonstrations=walks(), validation=walks(seed=1))
    assert [row["step"] for row in run.metrics] == [2, 4, 6, 8]
    assert "validation/elbo" in run.metrics[1]
    generator = load_generator(run.folder, seed=1)
    np.testing.assert_allclose(generator.step["agents"], 0.3, atol=0.05)
    np.testing.assert_array_equal(
        jax.tree.leaves(generator)[0], jax.tree.leaves(run.generator(1))[0]
    )
    best = run.generator(1, weights="best")
    assert best.step["agents"].shape == (2,)
