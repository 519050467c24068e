"""Holes in a log are filled in by what others do, and what is known stays as it is."""

import dataclasses

import jax
import numpy as np
import pytest

import understudy as us
from algorithms.little_plays import AHEAD, PAST, fit, together
from understudy import cli
from understudy.algorithms.plays import PlayTransformer
from understudy.data import store
from understudy.experiment.impute import impute
from understudy.networks.scene import SceneNetwork
from understudy.types import UserError

SMALL = SceneNetwork(width=16, heads=2, reading=1, ways=(6, 2))
ROWS = PAST + AHEAD


def without(log, rows, agent=1):
    """The set with an agent missing from some rows of every episode."""
    alive = log.alive["agents"].reshape(-1, ROWS, 3).copy()
    features = log.features["agents"].reshape(-1, ROWS, 3, 2).copy()
    alive[:, rows, agent] = False
    features[:, rows, agent] = 0.0
    return log.replace(
        alive={"agents": alive.reshape(-1, 3)}, features={"agents": features.reshape(-1, 3, 2)}
    )


ALGORITHM = PlayTransformer(
    network=SMALL, observed=PAST, horizon=AHEAD, futures=8, shared=2, own=2, batch=8, placed=False,
    learning_rate=5e-3, decay=500, controls=1.0, motion=0.0, bounds=((-2.0, -2.0), (2.0, 2.0)),
)  # fmt: skip
LOG = together(16, seed=5)


@pytest.fixture(scope="module")
def fresh():
    state = ALGORITHM.init(LOG.spec, us.data.statistics(LOG), jax.random.key(0))
    return ALGORITHM.generator(state)


@pytest.mark.parametrize("hole", [slice(2, 5), slice(0, 2)])
def test_what_is_known_stays_and_holes_are_filled(fresh, hole):
    holes = without(LOG, hole)
    found = impute(fresh, holes, gaps="all")
    there = holes.alive["agents"]
    np.testing.assert_array_equal(found.features["agents"][there], holes.features["agents"][there])
    assert found.alive["agents"].all()
    assert np.isfinite(found.features["agents"]).all()
    assert found.provenance["imputed"] == {
        "rows": 16 * (hole.stop - hole.start),
        "of": 16 * ROWS * 3,
    }


def test_who_comes_later_or_leaves_is_not_invented(fresh):
    holes = without(LOG, slice(0, 2))
    found = impute(fresh, holes, gaps="inside")
    np.testing.assert_array_equal(found.alive["agents"], holes.alive["agents"])
    np.testing.assert_array_equal(found.features["agents"], holes.features["agents"])


@pytest.mark.slow
def test_who_is_missing_moves_with_those_that_are_seen():
    """All turn one way, up or down; one of them is out of sight from the turn on."""
    state, _ = fit(ALGORITHM, together(), jax.random.key(0), 500, batch=48)
    found = impute(ALGORITHM.generator(state), without(LOG, slice(PAST, ROWS)), gaps="all")
    made, truth = (x.features["agents"].reshape(-1, ROWS, 3, 2)[:, -1, 1, 1] for x in (found, LOG))
    start = LOG.features["agents"].reshape(-1, ROWS, 3, 2)[:, PAST - 1, 1, 1]
    assert (np.sign(made - start) == np.sign(truth - start)).mean() > 0.9


def test_what_cannot_fill_in_is_refused(fresh):
    with pytest.raises(UserError, match="train a play transformer"):
        impute(_Samples(), LOG)
    group = dataclasses.replace(LOG.spec.groups[0], name="players")
    other = LOG.replace(
        spec=us.Spec((group,)), features={"players": LOG.features["agents"]},
        alive={"players": LOG.alive["agents"]},
    )  # fmt: skip
    with pytest.raises(UserError, match="regroup the demonstrations"):
        impute(fresh, other)


class _Samples:
    """A generator that only samples."""

    def sample(self, context, key, **_):
        raise AssertionError


def test_the_command_line_fills_in(tmp_path, capsys):
    algorithm = dataclasses.replace(ALGORITHM, **PlayTransformer.TINY)
    us.train(algorithm, demonstrations=LOG, steps=2, out=tmp_path / "run")
    store.save(without(LOG, slice(3, 5)), tmp_path / "holes")
    words = f"impute {tmp_path}/run --demos {tmp_path}/holes --out {tmp_path}/whole"
    assert cli.main(words.split()) == 0
    assert "32 rows of agents filled in, of 336" in capsys.readouterr().out
    assert store.load(tmp_path / "whole").alive["agents"].all()
    assert cli.main(words.split()) == 2
