import os
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from simulated_logs import Law, log
from understudy.data.readers import read
from understudy.diagnostics.simple_simulators import Mean, Persistence, Ridge
from understudy.diagnostics.simulation import logged_figures, measure, training
from understudy.diagnostics.simulation_log import transitions
from understudy.diagnostics.simulation_rollout import logged
from understudy.diagnostics.simulation_rules import rules
from understudy.diagnostics.simulation_study import study
from understudy.types import UserError

TRAIN, HELD = log(300, seed=1), log(200, seed=2)


@pytest.fixture(scope="module")
def held():
    return study(TRAIN, HELD, outcome="level", group="mood", time="step")


@pytest.fixture(scope="module")
def found(held):
    everybody = {"law": Law(), "ridge": Ridge.of(TRAIN), "mean": Mean.of(TRAIN),
                 "persistence": Persistence.of(TRAIN)}  # fmt: skip
    return {name: measure(name, one, held) for name, one in everybody.items()}


def at(found, key):
    return {name: own[key].interval.estimate for name, own in found.items() if key in own}


def test_the_law_is_best_where_only_the_law_can_be(found):
    for key in ("energy", "wasserstein", "dependence", "calibration", "world_rmse", "agent_rmse"):
        values = at(found, key)
        assert values["law"] <= min(values.values()) + 0.015, key
    assert at(found, "world_rmse")["law"] < 0.5 * at(found, "world_rmse")["persistence"]
    assert at(found, "agent_log_prob")["law"] > at(found, "agent_log_prob")["mean"] + 0.1
    assert "world_log_prob" not in found["law"]


def test_a_classifier_cannot_tell_the_law_and_can_tell_the_others(found):
    for key in ("auc", "auc_both"):
        values = at(found, key)
        assert abs(values["law"] - 0.5) < 0.05
        assert min(values["ridge"], values["mean"], values["persistence"]) > 0.8
        interval = found["law"][key].interval
        assert interval.low < 0.5 < interval.high


def test_figures_of_columns_are_what_they_say(found, held):
    log = held.log
    expected = np.asarray(Law().expect(jnp.asarray(log.now), jnp.asarray(log.done)))
    error = np.sqrt(np.square(expected - log.after).mean(0))[5:]
    np.testing.assert_allclose(found["law"]["world_rmses_unit"].drawn[0], error, rtol=1e-5)
    assert found["law"]["world_rmses_unit"].names == ("level", "knob", "twin")
    own = found["persistence"]["world_accuracies"]
    assert own.names == ("kind", "mood")
    kept = (log.now[:, 2:5] == log.after[:, 2:5]).all(1).mean()
    np.testing.assert_allclose(own.drawn[0], [1.0, kept])
    gear = ((log.now[:, 5] > 0) == (log.done[:, 0] == 1)).mean()
    assert found["law"]["agent_accuracy"].drawn[0, 0] == pytest.approx(gear)
    likely = found["law"]["agent_log_probs"]
    assert likely.names == ("action section 0", "action value 0")
    np.testing.assert_allclose(found["law"]["agent_log_prob"].drawn[:, 0], likely.drawn.sum(1))


def test_rules_of_the_log_are_found_and_broken_only_by_who_breaks_them(found, held):
    known = held.rules
    assert [(k.value, k.act) for k in known.knobs] == [(1, 0)]
    assert known.knobs[0].slope == pytest.approx(0.5, abs=1e-5)
    assert known.knobs[0].offset == pytest.approx(0.1, abs=1e-5)
    assert [(c.value, c.other) for c in known.copies] == [(0, 2)]
    names = found["law"]["rules"].names
    assert names == (
        "change of knob = 0.5 · action value 0 +0.1 (R² 1.0000)", "level = twin"
    )  # fmt: skip
    assert found["law"]["rules"].drawn[0].max() < 1e-3
    assert logged_figures(held)["rules"].drawn[0].max() < 1e-3
    assert found["persistence"]["rules"].drawn[0].min() > 0.5
    assert found["ridge"]["rules"].drawn[0, 0] < 0.1 < found["ridge"]["rules"].drawn[0, 1]


def test_a_noisy_knob_is_no_rule():
    rows = transitions(TRAIN)
    rows.after[:, 6] += np.random.default_rng(0).normal(size=len(rows)).astype(np.float32)
    rows.after[:, 7] += 1e-3
    found = rules(rows)
    assert not found.knobs
    assert not found.copies


def test_both_halves_drift_from_where_sessions_begin(found, held):
    begin = logged(held.log, 0)
    assert [len(s) for s in begin.states] == [int((HELD.lengths > k).sum()) for k in range(1, 6)]
    first = held.log.step == 0
    np.testing.assert_array_equal(begin.starts, held.log.now[first])
    np.testing.assert_array_equal(begin.states[0], held.log.after[first])
    names = found["law"]["drift_values"].names
    assert names == ("1", "2", "3", "4", "5")
    own, train = (f["drift_values"].drawn[0] for f in (found["law"], training(held)))
    assert (own < 1.3 * train).all()
    shift = jnp.zeros(8).at[5].set(0.5)[None]
    up = Wrong(answer=lambda now, done, key: Law().answer(now, done, key) + shift)
    other = measure("up", up, held)["drift_values"].drawn[0]
    # the level is a random walk that the twin follows a step behind, the knob gets half of half
    k = np.arange(5)
    apart = np.stack([0.5 * (k + 1), 0.125 * k * (k + 1) / 2, 0.5 * k], 1) / held.spread
    np.testing.assert_allclose(other, apart.mean(1), rtol=0.3, atol=0.05)


def test_outcomes_by_group_and_time(found, held):
    log, logged = held.log, logged_figures(held)
    rate = [log.after[log.now[:, 2 + i] == 1, 5].mean() for i in range(3)]
    np.testing.assert_allclose(logged["outcome_by_group"].drawn[0], rate, rtol=1e-4)
    assert logged["outcome_by_group"].names == ("mood=0", "mood=1", "mood=2")
    assert logged["outcome_by_time"].names[0] == "step 0"
    for part in ("group", "time"):
        errors = at(found, f"outcome_by_{part}_error")
        assert errors["law"] < 0.1
        assert errors["law"] < errors["persistence"]


def test_differences_are_of_paired_draws(found):
    law, ridge = found["law"]["world_rmse"], found["ridge"]["world_rmse"]
    apart = law.less(ridge)
    assert apart.estimate == pytest.approx(law.interval.estimate - ridge.interval.estimate)
    assert apart.high - apart.low < 0.5 * (law.interval.high - law.interval.low)


class Wrong(Law):
    def __init__(self, **parts):
        for name, function in parts.items():
            setattr(self, name, function)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"expect": lambda now, done: now[:, 1:]}, r"from expect of simulator 'x', found \(.*7\)"),
        ({"answer": lambda now, done, key: now / 0}, "finite numbers from answer of simulator 'x'"),
        ({"act_log_probs": lambda now, done: jnp.log(-1 - 0 * done)}, "from act_log_probs of"),
        ({"answer_log_probs": lambda now, done, after: after}, r"found \(.*8\)"),
    ],
)
def test_who_returns_what_no_simulator_does_is_named(held, parts, message):
    with pytest.raises(UserError, match=message):
        measure("x", Wrong(**parts), held)


def test_rows_held_impossible_are_minus_infinity(held):
    def never(now, done):
        return jnp.where(done > 0, -jnp.inf, 0.0)

    figures = measure("x", Wrong(act_log_probs=never), held)
    assert figures["agent_log_prob"].interval.estimate == -np.inf


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"outcome": "price"}, "next state as outcome .*, found 'price'"),
        ({"outcome": "level", "group": "hour"}, r"sections \['kind', 'mood'\], found 'hour'"),
        ({"group": "mood"}, "an outcome to compare by group 'mood' and time None"),
    ],
)
def test_names_that_are_nobodys(asked, message):
    with pytest.raises(UserError, match=message):
        study(TRAIN, HELD, **asked)


@pytest.mark.skipif("UNDERSTUDY_DATA" not in os.environ, reason="needs the shared data")
def test_a_real_log_has_knobs_and_ridge_beats_what_does_not_look():
    path = Path(os.environ["UNDERSTUDY_DATA"]) / "virtualtaobao_sas" / "train_data_sas.csv.gz"
    sections = [5, 2, 4, 3, 2, 9, 2, 32, 35, 7, 2, 21, 2, 3, 3]
    schema = {"state": {"sections": sections, "continuous": 23}, "action": {"continuous": 6}}
    parts = read("transitions", path, schema=schema).split("session", (0.8, 0.0, 0.2))
    held = study(parts.train, parts.test)
    assert [(k.value, k.act) for k in held.rules.knobs] == [(i, i) for i in range(6)]
    found = {kind.__name__: measure(kind.__name__, kind.of(parts.train), held)
             for kind in (Persistence, Mean, Ridge)}  # fmt: skip
    for other in ("Persistence", "Mean"):
        apart = found["Ridge"]["world_rmse"].less(found[other]["world_rmse"])
        assert apart.high < 0
    assert found["Persistence"]["world_accuracy"].interval.estimate > 0.99
    assert found["Mean"]["energy"].interval.estimate > found["Ridge"]["energy"].interval.high
