from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_sets import everything, tracks

from understudy.data import windows
from understudy.data.sampling import gather, rows, sample
from understudy.types import UserError


def leaves_equal(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b)):
        assert x.dtype == y.dtype
        np.testing.assert_array_equal(np.asarray(x), np.asarray(y))


def test_every_window_lies_inside_one_episode():
    found = windows(tracks(lengths=(5, 9, 3)), 4)
    assert found.start.tolist() == [0, 1, 5, 6, 7, 8, 9, 10]
    assert found.episode.tolist() == [0, 0, 1, 1, 1, 1, 1, 1]
    assert found.capacities(tracks().spec) == {"player": 3, "ball": 1}
    assert windows(tracks(lengths=(5, 9, 3)), 3, stride=3).start.tolist() == [0, 5, 8, 11, 14]


def test_agents_of_a_window_throughout_and_any():
    d = tracks(lengths=(4,), players=3)
    alive = d.alive["player"].copy()
    alive[0, 1] = False
    features = {**d.features, "player": d.features["player"] * alive[..., None]}
    d = d.replace(alive={**d.alive, "player": alive}, features=features)
    strict = windows(d, 2)
    assert strict.present["player"].sum(1).tolist() == [2, 3, 3]
    assert strict.slots["player"][0, :2].tolist() == [0, 2]
    assert strict.slots["player"].shape == (3, 4), "unequal counts are bucketed to 4"
    loose = windows(d, 2, agents="any")
    assert loose.present["player"].sum(1).tolist() == [3, 3, 3]
    batch = gather(rows(d), loose, np.asarray([0]))
    assert batch.observation.alive["player"][0].tolist() == [[True, False, True], [True] * 3]


def test_every_slot_belongs_to_a_window_dead_or_alive():
    d = tracks(lengths=(4,), players=3)
    alive = d.alive["player"].copy()
    alive[:2, 1] = False
    alive[:, 2] = False
    features = {**d.features, "player": d.features["player"] * alive[..., None]}
    d = d.replace(alive={**d.alive, "player": alive}, features=features)
    found = windows(d, 2, agents="every")
    assert found.whole == ("player", "ball")
    assert found.capacities(d.spec) == {"player": 3, "ball": 1}
    assert found.slots["player"].tolist() == [[0, 1, 2]] * 3
    batch = gather(rows(d), found.lean(), np.asarray([1, 0]))
    assert batch.observation.alive["player"].tolist() == [
        [[True, False, False], [True, True, False]], [[True, False, False]] * 2,
    ]  # fmt: skip
    np.testing.assert_array_equal(
        batch.observation.features["player"][0], d.features["player"][1:3]
    )


def test_windows_with_too_few_agents_are_dropped():
    d = tracks(lengths=(4,), players=3)
    alive = d.alive["player"].copy()
    alive[0, :2] = False
    features = {**d.features, "player": d.features["player"] * alive[..., None]}
    d = d.replace(alive={**d.alive, "player": alive}, features=features)
    assert windows(d, 2, least=2).start.tolist() == [1, 2]
    assert windows(d, 2).start.tolist() == [0, 1, 2]
    with pytest.raises(UserError, match="at least 4 agents, found none"):
        windows(d, 2, least=4)


def test_capacity_is_exact_where_all_windows_have_the_same_count():
    d = tracks(lengths=(6,), players=5)
    alive = d.alive["player"].copy()
    alive[:, 2] = False
    features = {**d.features, "player": d.features["player"] * alive[..., None]}
    found = windows(d.replace(alive={**d.alive, "player": alive}, features=features), 3)
    assert found.slots["player"].shape == (4, 4)
    assert found.slots["player"][0].tolist() == [0, 1, 3, 4]


@pytest.mark.parametrize("make", [everything, lambda: tracks(ragged=True), tracks])
@pytest.mark.parametrize("agents", ["throughout", "any", "every"])
def test_gather_equals_cutting_by_hand_in_numpy_and_in_jax(make, agents):
    d = make()
    found = windows(d, 3, agents=agents, least=0)
    indices = np.asarray([4, 0, len(found) - 1, 4], np.int32)
    host: Any = gather(rows(d), found, indices)
    source, index = jax.tree.map(jnp.asarray, (rows(d), found))
    leaves_equal(host, jax.jit(gather)(source, index, jnp.asarray(indices)))
    known = d.known_actions()
    for b, i in enumerate(indices):
        cut = slice(found.start[i], found.start[i] + 3)
        for name in d.spec.names:
            there = found.present[name][i]
            slots = found.slots[name][i][there]
            observation = host.observation
            np.testing.assert_array_equal(
                observation.features[name][b][:, there], d.features[name][cut][:, slots]
            )
            np.testing.assert_array_equal(
                observation.alive[name][b][:, there], d.alive[name][cut][:, slots]
            )
            np.testing.assert_array_equal(
                host.action_known[name][b][:, there], known[name][cut][:, slots]
            )
            assert not observation.features[name][b][:, ~there].any()
            assert not observation.alive[name][b][:, ~there].any()
            assert not host.action_known[name][b][:, ~there].any()
            if host.action is not None:
                np.testing.assert_array_equal(
                    host.action[name][b][:, there], d.actions[name][cut][:, slots]
                )
                assert host.observation.legal[name][b][:, ~there].all()
        if d.terminated is not None:
            np.testing.assert_array_equal(host.terminated[b], d.terminated[cut])


def test_sampling_is_a_function_of_key_and_step(key):
    draws = jnp.stack([sample(key, step, batch=64, total=10) for step in range(50)])
    assert set(np.asarray(draws).ravel().tolist()) == set(range(10))
    inside = jax.jit(jax.vmap(lambda step: sample(key, step, batch=64, total=10)))(jnp.arange(50))
    np.testing.assert_array_equal(draws, inside)
    assert not np.array_equal(draws[0], draws[1])
