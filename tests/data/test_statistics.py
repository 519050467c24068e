import json
import sys

import jax
import numpy as np
import pytest
from small_sets import tracks

from understudy.data import statistics
from understudy.data.statistics import from_json, to_json
from understudy.types import UserError


def plain(d, name):
    """The same figures by a loop over episodes and agents."""
    features, alive = d.features[name].astype(float), d.alive[name]
    values, steps, turns = [], [], []
    for e in range(d.episodes):
        x, live = features[d.rows(e)], alive[d.rows(e)]
        for agent in range(x.shape[1]):
            for t in range(len(x)):
                if not live[t, agent]:
                    continue
                values.append(x[t, agent])
                if t >= 1 and live[t - 1, agent]:
                    steps.append(x[t, agent] - x[t - 1, agent])
                    if t >= 2 and live[t - 2, agent]:
                        turns.append(x[t, agent] - 2 * x[t - 1, agent] + x[t - 2, agent])
    rms = lambda a: np.sqrt((np.asarray(a) ** 2).mean(0))  # noqa: E731
    values = np.asarray(values)
    return values.mean(0), values.std(0), values.min(0), values.max(0), rms(steps), rms(turns)


@pytest.mark.parametrize("piece_bytes", [2**20, 100])
def test_moments_equal_a_plain_loop_in_whatever_pieces(piece_bytes, monkeypatch):
    module = sys.modules["understudy.data.statistics"]
    monkeypatch.setattr(module, "_PIECE_BYTES", piece_bytes)
    d = tracks(lengths=(5, 9, 3, 1), ragged=True)
    found = statistics(d)
    for name in d.spec.names:
        expected = plain(d, name)
        for field, value in zip(("mean", "std", "low", "high", "step_std", "turn_std"), expected):
            np.testing.assert_allclose(getattr(found, field)[name], value, rtol=1e-5, atol=1e-7)
    assert float(found.rate) == 5.0


def test_a_constant_feature_has_spread_one():
    d = tracks()
    x = d.features["player"].copy()
    x[..., 1] = 0.1
    found = statistics(d.replace(features={**d.features, "player": x}))
    for field in ("std", "step_std", "turn_std"):
        assert float(getattr(found, field)["player"][1]) == 1.0
    np.testing.assert_allclose(found.mean["player"][1], 0.1, rtol=1e-6)


def test_a_large_offset_costs_no_precision():
    d = tracks(lengths=(2000,))
    x = {**d.features, "player": d.features["player"] * np.float32(0.125) + np.float32(1e4)}
    found = statistics(d.replace(features=x))
    np.testing.assert_allclose(
        found.std["player"], x["player"].astype(float).std((0, 1)), rtol=1e-6
    )


def test_a_group_nobody_was_in_is_safe_to_divide_by():
    d = tracks()
    none = {"ball": np.zeros_like(d.alive["ball"])}
    zero = {"ball": np.zeros_like(d.features["ball"])}
    found = statistics(d.replace(alive={**d.alive, **none}, features={**d.features, **zero}))
    assert found.mean["ball"].tolist() == [0, 0, 0]
    assert found.std["ball"].tolist() == [1, 1, 1]


def test_values_that_are_not_finite_are_refused():
    d = tracks()
    d.features["ball"][3, 0, 0] = np.nan
    with pytest.raises(UserError, match="finite features of group 'ball'"):
        statistics(d)


def test_statistics_survive_json_exactly():
    found = statistics(tracks(ragged=True))
    again = from_json(json.loads(json.dumps(to_json(found))))
    jax.tree.map(np.testing.assert_array_equal, found, again)
    with pytest.raises(UserError, match="'rate'"):
        from_json({name: value for name, value in to_json(found).items() if name != "rate"})
