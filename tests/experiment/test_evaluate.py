import json

import jax.numpy as jnp
import numpy as np
import pytest
from walkers import Drift, tracks

from understudy.algorithms.baselines import ConstantVelocity
from understudy.data import sampling
from understudy.data.readers import read
from understudy.data.statistics import statistics
from understudy.experiment.arena import Arena, Options
from understudy.experiment.contenders import contenders
from understudy.experiment.evaluate import evaluate
from understudy.experiment.forecast import score
from understudy.experiment.protocols import PROTOCOLS, Protocol
from understudy.experiment.tables import Evaluation
from understudy.types import Group, Spec, UserError

PROTOCOL = Protocol("toy", 5, 10)
PLAIN = Options(baselines=False, particles=2)


@pytest.fixture(scope="module")
def found():
    return evaluate(
        Drift(jnp.asarray(0.3)), demonstrations=tracks(), protocol=PROTOCOL, samples=4,
        options=Options(particles=2),
    )  # fmt: skip


def test_baselines_and_the_truth_stand_beside_the_model(found):
    assert [row["model"] for row in found.rows] == [
        "truth", "drift", "constant velocity", "stay put", "random walk",
    ]  # fmt: skip


def test_every_row_says_how_it_executes_and_how_many_samples_it_drew(found):
    rows = {row["model"]: row for row in found.rows[1:]}
    assert rows["drift"]["execution"] == "joint"
    assert {rows[n]["execution"] for n in ("constant velocity", "random walk")} == {"decentralised"}
    assert [rows[n]["samples"] for n in rows] == [4, 1, 1, 4]


def test_constant_velocity_agrees_with_numpy(found):
    """The definition of ADE and FDE over all windows and agents, on the raw array."""
    x = tracks().features["agents"].reshape(6, 30, 3, 2).astype(np.float64)
    ade, fde = [], []
    for episode in x:
        for begin in range(16):
            window = episode[begin : begin + 15]
            step = window[4] - window[3]
            guess = window[4] + np.arange(1, 11)[:, None, None] * step
            off = np.linalg.norm(guess - window[5:], axis=-1)
            ade.append(off.mean(0))
            fde.append(off[-1])
    row = found.row("constant velocity")
    assert row["ADE"] == pytest.approx(np.mean(ade), rel=1e-5)
    assert row["FDE"] == pytest.approx(np.mean(fde), rel=1e-5)
    assert row["minADE"] == row["ADE"]


def test_stay_put_misses_by_the_way_gone(found):
    x = tracks().features["agents"].reshape(6, 30, 3, 2).astype(np.float64)
    off = [np.linalg.norm(e[b + 14] - e[b + 4], axis=-1) for e in x for b in range(16)]
    assert found.row("stay put")["FDE"] == pytest.approx(np.mean(off), rel=1e-5)


def test_speed_times_seconds_is_distance(found):
    """15 rows at 5 Hz are 14 steps of 0.2 s."""
    for row in found.rows:
        assert row["speed"] * 14 / 5 == pytest.approx(row["distance"], rel=1e-5)
    truth = found.rows[0]
    assert truth["speed"] == pytest.approx(0.7 * 5, rel=1e-4)  # every step of the toy is 0.7
    assert found.row("drift")["ratios"]["speed"] == pytest.approx(
        found.row("drift")["speed"] / truth["speed"]
    )


def test_out_of_bounds_is_counted_on_the_raw_rows():
    arena = Arena(tracks(), PROTOCOL, 0, PLAIN)
    x = tracks().features["agents"].reshape(6, 30, 3, 2)
    outside = ((x < 0) | (x > 40)).any(-1)
    windows = np.stack([outside[e, b : b + 15] for e in range(6) for b in range(16)])
    row = arena.truth_row()
    assert row["out_of_bounds"] == pytest.approx(windows.any(-1).mean(), abs=1e-6)
    assert row["out_of_bounds_per_agent"] == pytest.approx(windows.mean(), abs=1e-6)
    assert row["out_of_bounds"] > 0


def test_no_figure_depends_on_the_batch():
    def rows(chunk):
        return evaluate(
            Drift(jnp.asarray(0.3)), demonstrations=tracks(gap=True), protocol=PROTOCOL, samples=3,
            options=Options(baselines=False, particles=2, chunk=chunk),
        ).rows  # fmt: skip

    def figures(row):
        return {k: v for k, v in row.items() if isinstance(v, float)}

    for one, other in zip(rows(7), rows(None), strict=True):
        assert figures(one) == pytest.approx(figures(other), rel=1e-5, abs=1e-6)


def test_no_figure_depends_on_the_order_of_agents():
    """A generator without noise, so that only the metrics see the order."""
    demonstrations = tracks(gap=True)
    order = [2, 0, 1]
    turned = demonstrations.replace(
        features={"agents": demonstrations.features["agents"][:, order]},
        alive={"agents": demonstrations.alive["agents"][:, order]},
    )
    both = [
        evaluate(
            Drift(jnp.asarray(0.0)), demonstrations=d, protocol=PROTOCOL, samples=2, options=PLAIN
        ).row("drift")
        for d in (demonstrations, turned)
    ]
    one, other = ({k: v for k, v in row.items() if isinstance(v, float)} for row in both)
    assert one == pytest.approx(other, rel=1e-5, abs=1e-5)


def test_more_samples_never_raise_the_best(found):
    more = evaluate(
        Drift(jnp.asarray(0.3)), demonstrations=tracks(), protocol=PROTOCOL, samples=12,
        options=PLAIN,
    ).row("drift")  # fmt: skip
    few = found.row("drift")
    assert more["minADE"] < few["minADE"] < few["ADE"]
    assert few["minADE"] <= few["minSADE"] <= few["SADE"]


def test_samples_are_those_of_the_window_and_not_of_its_place():
    """The futures of a window are drawn by its number, so a subset repeats them."""
    demonstrations = tracks()
    arena = Arena(demonstrations, PROTOCOL, 0, PLAIN)
    rows = sampling.rows(demonstrations)
    generator = Drift(jnp.asarray(0.3))
    whole = score(generator, rows, arena.windows, arena.chosen, arena.setting, samples=2, seed=0)
    some = arena.chosen[[3, 50, 71]]
    part = score(generator, rows, arena.windows, some, arena.setting, samples=2, seed=0)
    np.testing.assert_allclose(
        part["minADE@10"].sums, whole["minADE@10"].sums[[3, 50, 71]], rtol=1e-5
    )


def test_burn_in_can_be_left_out():
    with_, without = (
        evaluate(
            Drift(jnp.asarray(0.5)), demonstrations=tracks(), protocol=PROTOCOL, samples=2,
            options=Options(burn_in=flag, baselines=False, particles=2),
        ).row("drift")
        for flag in (True, False)
    )  # fmt: skip
    # noise adds to the speed of generated rows only
    assert without["ratios"]["speed"] > with_["ratios"]["speed"] > 1
    assert without["distance"] == pytest.approx(without["speed"] * 10 / 5, rel=1e-5)


def test_the_windows_of_a_capped_evaluation_are_stated():
    capped = evaluate(
        Drift(jnp.asarray(0.3)), demonstrations=tracks(), protocol=PROTOCOL, samples=2,
        options=Options(windows=20, baselines=False, particles=2),
    )  # fmt: skip
    assert capped.setting["windows"] == 20
    assert capped.setting["windows_found"] == 96
    assert "20 of 96" in " ".join(capped.notes)


def test_likelihood_terms_are_averages_over_windows(found):
    x = tracks().features["agents"].reshape(6, 30, 3, 2).astype(np.float64)
    sums = [e[b : b + 15].sum() for e in x for b in range(16)]
    row = found.row("drift")
    assert row["elbo"] == pytest.approx(np.mean(sums), rel=1e-5)
    assert row["iwae"] == pytest.approx(row["elbo"] + 1, rel=1e-5)
    assert row["frames"] == 14
    assert row["std_floor"] == 1e-3


def test_groups_are_pooled_and_neighbours_left_out():
    one = tracks(agents=2)
    ball = tracks(agents=1, seed=5)
    both = one.replace(
        spec=Spec((Group("agents", 2, 2), Group("ball", 1, 2))),
        features={"agents": one.features["agents"], "ball": ball.features["agents"]},
        alive={"agents": one.alive["agents"], "ball": ball.alive["agents"]},
    )
    generator = Drift(jnp.asarray(0.0), groups=("agents", "ball"))

    def row(protocol):
        return evaluate(
            generator, demonstrations=both, protocol=protocol, samples=1, options=PLAIN
        ).row("drift")

    alone = row(Protocol("toy", 5, 10, predicted=("agents",)))
    left = row(Protocol("toy", 5, 10, neighbours=("ball",)))
    pooled = row(Protocol("toy", 5, 10))
    assert alone["ADE"] == left["ADE"]
    ball_alone = row(Protocol("toy", 5, 10, predicted=("ball",)))
    assert pooled["ADE"] == pytest.approx((2 * alone["ADE"] + ball_alone["ADE"]) / 3, rel=1e-5)


def test_a_model_that_lacks_a_scored_group_is_refused():
    one = tracks(agents=2)
    both = one.replace(
        spec=Spec((Group("agents", 2, 2), Group("ball", 2, 2))),
        features={"agents": one.features["agents"], "ball": one.features["agents"]},
        alive={"agents": one.alive["agents"], "ball": one.alive["agents"]},
    )
    with pytest.raises(UserError, match="choose a protocol"):
        evaluate(Drift(jnp.asarray(0.0)), demonstrations=both, protocol=PROTOCOL, options=PLAIN)


def test_an_untrained_model_is_refused():
    class Unready(Drift):
        def ready(self):
            return "expected trained intents, found none; train"

    with pytest.raises(UserError, match="expected trained intents"):
        evaluate(
            Unready(jnp.asarray(0.1)), demonstrations=tracks(), protocol=PROTOCOL, options=PLAIN
        )


def test_neither_demonstrations_nor_env_is_refused():
    with pytest.raises(UserError, match="held-out demonstrations"):
        evaluate(Drift(jnp.asarray(0.1)), protocol=PROTOCOL)


def test_models_of_one_name_are_told_apart():
    names = [c.name for c in contenders([Drift(jnp.asarray(0.1)), Drift(jnp.asarray(0.2))])]
    assert names == ["drift (1)", "drift (2)"]
    with pytest.raises(UserError, match="found int"):
        contenders(3)


def test_an_evaluation_is_saved_and_read_back(found, tmp_path):
    path = found.save(tmp_path / "evaluation.json")
    again = Evaluation.load(path)
    assert again.json() == json.loads(json.dumps(found.json()))
    assert str(again) == str(found)
    for name in ("drift", "constant velocity", "minADE", "frames", "out, any %"):
        assert name in str(found)


@pytest.mark.parametrize("content", ["", "{}", "[1]"])
def test_a_broken_evaluation_is_one_sentence(tmp_path, content):
    path = tmp_path / "evaluation.json"
    with pytest.raises(UserError, match="found none"):
        Evaluation.load(path)
    path.write_text(content)
    with pytest.raises(UserError, match="again"):
        Evaluation.load(path)


def test_the_seed_alone_decides_the_samples(found):
    generator = Drift(jnp.asarray(0.3))
    again = evaluate(
        generator, demonstrations=tracks(), protocol=PROTOCOL, samples=4, options=PLAIN
    )
    assert again.row("drift")["minADE"] == found.row("drift")["minADE"]
    other = evaluate(
        generator, demonstrations=tracks(), protocol=PROTOCOL, samples=4, seed=1, options=PLAIN
    )
    assert other.row("drift")["minADE"] != found.row("drift")["minADE"]


@pytest.mark.parametrize(
    ("fold", "windows", "agents", "ade", "fde"),
    [("hotel", 301, 1053, 0.323, 0.617), ("zara2", 921, 5833, 0.326, 0.728)],
)
def test_constant_velocity_of_eth_ucy(real_data, fold, windows, agents, ade, fde):
    """Windows, pedestrians and errors counted before from the raw files, with other code."""
    files = real_data / "eth_ucy_sgan_split" / fold / "test" / "*.txt"
    demonstrations = read("frames", str(files), rate=2.5, unit="m")
    arena = Arena(demonstrations, PROTOCOLS["eth_ucy"], 0, PLAIN)
    assert len(arena.windows) == windows
    assert arena.setting_json(1)["agents"] == agents
    generator = ConstantVelocity(arena.scored, statistics(demonstrations))
    found = score(
        generator, arena.raw, arena.windows, arena.chosen, arena.setting, samples=1, seed=0
    )
    assert found["ADE@12"].value == pytest.approx(ade, abs=5e-4)
    assert found["FDE@12"].value == pytest.approx(fde, abs=5e-4)
