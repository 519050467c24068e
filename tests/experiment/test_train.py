"""Training: what is refused, what diverges, what is fed, what is written."""

from __future__ import annotations

import json
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from contracts.envs import Home
from contracts.harness import Stopped, contents, stop_at, walks
from contracts.policies import Reinforce
from contracts.toys import Drift, DriftState, LearnDrift
from understudy.data import store
from understudy.experiment import folder, loops, plan, validation
from understudy.experiment.run import Run, load_generator, load_policy
from understudy.experiment.train import TrainOptions, resume, train
from understudy.types import UserError, hyperparameters

FAST = TrainOptions(log_every=2, checkpoint_every=4)


@hyperparameters
class Fragile:
    """Counts updates; the seed that drew the lowest number turns to NaN at update `doom`."""

    doom: int = 5
    all: bool = False
    window: int = 4
    batch: int = 2
    needs: ClassVar[frozenset[str]] = frozenset({"demonstrations"})

    def init(self, spec, statistics, key):
        return DriftState({"agents": jnp.stack([jax.random.uniform(key), jnp.zeros(())])})

    def update(self, state, batch, step, key):
        draw, count = state.params["agents"]
        dies = (step == self.doom) & (self.all | (draw < 0.5))
        count = jnp.where(dies, jnp.nan, count + 1)
        return DriftState({"agents": jnp.stack([draw, count])}), {"count": count}

    def generator(self, state):
        return Drift(state.params)


def doomed(seeds):
    """Which seeds draw a low number."""
    keys = loops.seed_keys(0, seeds, 0, loops.INIT)
    return [i for i in range(seeds) if float(jax.random.uniform(keys[i])) < 0.5]


def test_a_diverged_seed_is_frozen_named_and_left_out(tmp_path):
    lost = doomed(6)
    assert 0 < len(lost) < 6
    run = train(
        Fragile(), demonstrations=walks(), steps=8, seeds=6, out=tmp_path / "a", options=FAST
    )
    assert run.diverged == dict.fromkeys(lost, 5)
    assert f"diverged seeds {lost}" in repr(run)
    for seed in range(6):
        count = float(run.generator(seed).step["agents"][1])
        assert count == (5 if seed in lost else 8)
    counts = run.metrics[-1]["count"]
    assert [seed for seed, value in enumerate(counts) if value is None] == lost
    json.loads((tmp_path / "a" / "metrics.jsonl").read_text().splitlines()[-1])


def test_frozen_seeds_survive_a_resume(tmp_path):
    given = {"demonstrations": walks(), "steps": 12, "seeds": 6, "options": FAST}
    train(Fragile(doom=5), out=tmp_path / "whole", **given)
    with pytest.raises(Stopped):
        train(Fragile(doom=5), out=tmp_path / "cut", progress=stop_at(8), **given)
    resume(tmp_path / "cut", demonstrations=walks())
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")


def test_a_run_in_which_every_seed_diverged_ends_at_once(tmp_path):
    given = {"demonstrations": walks(), "steps": 40, "seeds": 2, "options": FAST}
    run = train(Fragile(all=True), out=tmp_path / "a", **given)
    assert run.diverged == {0: 5, 1: 5}
    assert run.finished
    assert run.step == 6


def test_streamed_and_resident_sets_give_the_same_run(tmp_path):
    given = {"demonstrations": walks(), "steps": 10, "seeds": 2}
    files = []
    for size in (2**30, 0):
        options = TrainOptions(log_every=3, checkpoint_every=6, resident_bytes=size)
        events = []
        out = tmp_path / str(size)
        train(LearnDrift(), out=out, options=options, progress=events.append, **given)
        assert ("resident" in events[0]["feed"]) == (size > 0)
        files.append({n: b for n, b in contents(out).items() if n != folder.CONFIG})
    assert files[0] == files[1]


def test_the_time_of_checkpoints_changes_nothing(tmp_path):
    given = {"demonstrations": walks(), "steps": 12, "seeds": 2}
    files = []
    for seconds in (0.0, 1e9):
        out = tmp_path / str(seconds)
        options = TrainOptions(log_every=2, checkpoint_every=6, checkpoint_seconds=seconds)
        train(LearnDrift(), out=out, options=options, **given)
        kept = {n: b for n, b in contents(out).items() if n != folder.CONFIG}
        files.append({n: b for n, b in kept.items() if "checkpoints/step" not in n})
        assert Run(out).step == 12
    assert files[0] == files[1]


def test_chunks_do_not_change_weights(tmp_path):
    weights = []
    for every in (1, 5):
        run = train(
            LearnDrift(), demonstrations=walks(), steps=10, out=tmp_path / str(every),
            options=TrainOptions(log_every=every, checkpoint_every=10),
        )  # fmt: skip
        weights.append(np.asarray(run.generator().step["agents"]))
        assert len(run.metrics) == 10 // every
    np.testing.assert_allclose(weights[0], weights[1], rtol=1e-5)


def test_seed_i_is_the_run_of_seed_i(tmp_path):
    two = train(LearnDrift(), demonstrations=walks(), steps=4, seeds=2, out=tmp_path / "two")
    one = train(LearnDrift(), demonstrations=walks(), steps=4, seed=0, out=tmp_path / "one")
    np.testing.assert_allclose(
        two.generator(0).step["agents"], one.generator(0).step["agents"], rtol=1e-5
    )
    assert not np.allclose(two.generator(0).step["agents"], two.generator(1).step["agents"])


def test_a_set_on_disk_is_found_again(tmp_path):
    store.save(walks(), tmp_path / "set")
    store.save(walks(seed=1), tmp_path / "held")
    with pytest.raises(Stopped):
        train(
            LearnDrift(), demonstrations=tmp_path / "set", validation=tmp_path / "held", steps=8,
            out=tmp_path / "run", options=FAST, progress=stop_at(4),
        )  # fmt: skip
    assert not Run(tmp_path / "run").finished
    run = resume(tmp_path / "run")
    assert run.finished
    assert resume(tmp_path / "run").step == 8  # nothing left to do
    assert run.config["demonstrations"]["path"] == str(tmp_path / "set")


def test_an_exported_seed_loads_from_a_copy_of_its_folder(tmp_path):
    run = train(LearnDrift(), demonstrations=walks(), steps=2, out=tmp_path / "run", options=FAST)
    copy = tmp_path / "elsewhere"
    (run.folder / "policy" / "seed_0").rename(copy)
    np.testing.assert_array_equal(load_generator(copy).step["agents"].shape, (2,))
    with pytest.raises(UserError, match=r"expected an exported policy .* found \['generator'\]"):
        load_policy(copy)
    with pytest.raises(UserError, match="expected a seed below 1"):
        run.generator(3)
    with pytest.raises(UserError, match="train with validation"):
        run.generator(weights="best")


def test_the_best_checkpoint_is_the_best_validated(tmp_path):
    run = train(
        LearnDrift(rate=0.9), demonstrations=walks(), validation=walks(seed=1), steps=16, seeds=2,
        out=tmp_path / "run", options=FAST,
    )  # fmt: skip
    scored = {row["step"]: validation.bound(row) for row in run.metrics}
    known = {step: value for step, value in scored.items() if value is not None}
    assert set(known) == {4, 8, 12, 16}
    header = folder.checkpoint.header(run.folder / "checkpoints" / "best.safetensors")
    assert known[header["total"]] == max(known.values()) == run.header["best"]
    assert len(folder.checkpoints(run.folder)) == 2


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"demonstrations": None}, "LearnDrift learns from demonstrations, found none"),
        ({"steps": None}, "expected a number of steps to train LearnDrift"),
        ({"steps": 0}, "expected steps above 0, found 0"),
        ({"seeds": 0}, "expected seeds above 0"),
        ({"algorithm": Reinforce()}, "Reinforce learns from env, found none; give env="),
        ({"algorithm": LearnDrift(window=50)}, "expected windows of 50 rows"),
        ({"demonstrations": "nowhere"}, "nowhere"),
        ({"env": 3}, "expected an env with spec, reset and step, found int"),
        ({"options": TrainOptions(trackers=("morse",))}, r"expected trackers among .* \['morse'\]"),
    ],
)
def test_what_is_missing_is_named(tmp_path, change, sentence):
    given = {"algorithm": LearnDrift(), "demonstrations": walks(), "steps": 4} | change
    with pytest.raises(UserError, match=sentence):
        train(given.pop("algorithm"), out=tmp_path / "run", **given)
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_a_plain_class_is_no_algorithm(tmp_path):
    class Plain:
        needs = frozenset()

        def update(self, state, batch, step, key):
            return state, {}

    with pytest.raises(UserError, match=r"registered with @types\.hyperparameters"):
        train(Plain(), steps=1, out=tmp_path / "run")


def test_a_folder_that_holds_something_is_refused(tmp_path):
    given = {"demonstrations": walks(), "steps": 2}
    train(LearnDrift(), out=tmp_path / "run", **given)
    with pytest.raises(UserError, match="already holds a run; resume it"):
        train(LearnDrift(), out=tmp_path / "run", **given)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(UserError, match=r"found \['thesis.tex'\] in it"):
        train(LearnDrift(), out=tmp_path / "mine", **given)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="could not write in"):
        train(LearnDrift(), out=tmp_path / "file", **given)


def test_two_processes_do_not_train_in_one_folder(tmp_path):
    with (
        folder.locked(tmp_path / "run"),
        pytest.raises(UserError, match="another process is training"),
    ):
        train(LearnDrift(), demonstrations=walks(), steps=2, out=tmp_path / "run")


def test_options_say_what_is_wrong():
    with pytest.raises(UserError, match="multiple of log_every"):
        TrainOptions(log_every=4, checkpoint_every=6)
    with pytest.raises(UserError, match="log_every above 0"):
        TrainOptions(log_every=0)


def test_chunks_divide_a_stage_where_they_can():
    stages = plan.lay_out(plan.stretch(LearnDrift(), 3000), TrainOptions(), None, 1)
    assert (stages[0].log_every, stages[0].checkpoint_every) == (30, 300)
    stages = plan.lay_out(plan.stretch(LearnDrift(), 7), TrainOptions(), None, 1)
    assert (stages[0].log_every, stages[0].checkpoint_every) == (1, 10)
    # 3 envs x 4 rows a step: 100 env steps are 9 updates
    stages = plan.lay_out(plan.stretch(Reinforce(), 100), TrainOptions(), Home(), 1)
    assert stages[0].updates == 9


def test_trackers_get_every_line(tmp_path):
    from tensorboardX.event_file_writer import EventFileWriter  # noqa: F401

    options = TrainOptions(log_every=2, trackers=("tensorboard",))
    train(LearnDrift(), demonstrations=walks(), steps=4, out=tmp_path / "run", options=options)
    events = list((tmp_path / "run" / "tensorboard").iterdir())
    assert len(events) == 1
    assert b"error/seed_0" in events[0].read_bytes()
