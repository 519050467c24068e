"""Killed at any moment and resumed, a run ends as if nothing had happened, bit for bit."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from contracts.harness import OPTIONS, Stopped, contents, disk_for_files_of, stop_at, walks
from contracts.toys import LearnDrift
from understudy.experiment import folder
from understudy.experiment.run import Run
from understudy.experiment.train import resume, train
from understudy.types import UserError

HERE = Path(__file__).parent


def training(out, *words):
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent), "JAX_PLATFORMS": "cpu"}
    return subprocess.Popen(
        [sys.executable, HERE / "training.py", out, *words],
        stdout=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip


def kill_after(process, lines, pause):
    """Read so many lines of progress, wait a little, and kill."""
    for _ in range(lines):
        assert process.stdout.readline(), "ended before it could be killed"
    time.sleep(pause)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()


def test_killed_twice_it_ends_the_same(tmp_path):
    chance = random.Random(0)
    whole = training(tmp_path / "whole")
    kill_after(training(tmp_path / "cut"), chance.randrange(1, 25), chance.uniform(0, 0.03))
    assert not Run(tmp_path / "cut").finished
    kill_after(
        training(tmp_path / "cut", "resume"), chance.randrange(1, 10), chance.uniform(0, 0.03)
    )
    last = training(tmp_path / "cut", "resume")
    for process in (whole, last):
        _, _ = process.communicate(timeout=120)
        assert process.returncode == 0
    assert Run(tmp_path / "cut").finished
    cut, whole = (
        {n: b for n, b in contents(tmp_path / name).items() if "checkpoints/step" not in n}
        for name in ("cut", "whole")
    )
    assert cut == whole
    ends = [folder.checkpoints(tmp_path / n)[-1].read_bytes() for n in ("cut", "whole")]
    assert ends[0] == ends[1]


@pytest.fixture
def stopped(tmp_path):
    with pytest.raises(Stopped):
        train(
            LearnDrift(), demonstrations=walks(), steps=12, out=tmp_path / "run",
            options=OPTIONS, progress=stop_at(8),
        )  # fmt: skip
    return tmp_path / "run"


def test_what_a_kill_leaves_behind_is_cleaned_up(stopped, tmp_path):
    whole = train(
        LearnDrift(), demonstrations=walks(), steps=12, out=tmp_path / "whole", options=OPTIONS
    )
    with (stopped / "metrics.jsonl").open("a") as file:
        file.write('{"stage": 0, "step": 10, "error": [1.0]}\n{"stage": 0, "st')
    (stopped / "checkpoints" / ".writing-abc").write_bytes(b"half")
    (stopped / ".writing-def").write_bytes(b"half")
    resume(stopped, demonstrations=walks())
    assert contents(stopped) == contents(whole.folder)


def test_killed_before_the_first_checkpoint_it_begins_again(stopped, tmp_path):
    whole = train(
        LearnDrift(), demonstrations=walks(), steps=12, out=tmp_path / "whole", options=OPTIONS
    )
    shutil.rmtree(stopped / "checkpoints")
    resume(stopped, demonstrations=walks())
    assert contents(stopped) == contents(whole.folder)


def test_other_demonstrations_are_refused(stopped):
    with pytest.raises(UserError, match="expected the same demonstrations to resume; give it"):
        resume(stopped)
    with pytest.raises(UserError, match=r"begun with \(6 episodes, 72 rows\), found others"):
        resume(stopped, demonstrations=walks(seed=5))
    with pytest.raises(UserError, match="begun without validation"):
        resume(stopped, demonstrations=walks(), validation=walks())


@pytest.mark.parametrize(
    ("file", "content", "sentence"),
    [
        ("config.json", b"{", "is damaged"),
        ("config.json", b'{"version": 99}', "expected a run of version 1"),
        ("config.json", None, "expected the file"),
        ("metrics.jsonl", b"nonsense\n", "is damaged"),
        ("statistics.json", b"[", "is damaged"),
        ("checkpoints/step_0000000008.safetensors", b"short", "is damaged"),
    ],
)
def test_damage_is_one_sentence(stopped, file, content, sentence):
    if content is None:
        (stopped / file).unlink()
    else:
        (stopped / file).write_bytes(content)
    with pytest.raises(UserError, match=sentence):
        resume(stopped, demonstrations=walks())


def test_an_unknown_hyper_parameter_is_refused(stopped):
    config = folder.read_json(stopped / "config.json")
    config["algorithm"]["speed"] = 3
    folder.write_json(stopped / "config.json", config)
    with pytest.raises(UserError, match=r"LearnDrift has no field \['speed'\]"):
        resume(stopped, demonstrations=walks())


def test_a_disk_that_fills_up_keeps_the_last_good_checkpoint(stopped):
    before = folder.checkpoints(stopped)[-1].read_bytes()
    with disk_for_files_of(800), pytest.raises(UserError, match=r"could not write .* is intact"):
        resume(stopped, demonstrations=walks())
    assert folder.checkpoints(stopped)[-1].read_bytes() == before
    assert not list(stopped.rglob(".writing-*"))
    assert resume(stopped, demonstrations=walks()).finished
