"""The command line in process: fixed forms, the whole way on tiny files, mistakes, exit codes."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from understudy import cli
from understudy.cli import console

FORMS = [
    "quickstart",
    "quickstart boids --out DIR",
    "quickstart spread --out DIR",
    "data convert SOURCE --out DIR",
    "data convert A B C --out DIR --reader frames --rate 8.33 --unit ft",
    "data inspect DIR --json",
    "data check DIR",
    "data split DIR --by game --fractions 0.8 0.1 0.1 --out DIR",
    "collect spread --expert hungarian --episodes 200 --out DIR",
    "train vrnn --demos DIR --seeds 5 --steps 100 --out RUN",
    "train vrnn --env spread --demos DIR --out RUN",
    "train intent-vrnn --rule stationary --rule.threshold 2.5 --demos DIR --out RUN",
    "train --resume RUN",
    "evaluate RUN --demos DIR --protocol socialvae --samples 20 --agents 3 5 --episodes 9 --json",
    "generate RUN --demos DIR --samples 20 --horizon 40 --out DIR",
    "compare RUN RUN --out DIR",
    "render RUN --out FILE",
    "impute RUN --demos DIR --gaps all --out DIR",
    "study prepare DIR DIR --out DIR",
    "study count DIR --answers FILE FILE",
    "export RUN --out DIR",
    "bench boids --json",
]
TINY = ["--width=4", "--rnn=4", "--latent-size=2", "--window=20", "--batch=2", "--log-every=1"]


def call(capsys, *words):
    """Exit code, stdout and stderr of one command."""
    code = cli.main([str(word) for word in words])
    return code, *capsys.readouterr()


def refusal(capsys, *words):
    """The one sentence a command refuses with."""
    code, out, err = call(capsys, *words)
    assert code == 2, err
    assert out == ""
    assert err.startswith("understudy: ")
    assert err.count("\n") == 1
    return err


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Five recordings of two walkers, "frame id x y" at 2.5 Hz, as ETH/UCY has them."""
    folder = tmp_path_factory.mktemp("recordings")
    generator = np.random.default_rng(0)
    for game in range(5):
        velocity = generator.normal(0, 0.3, (2, 2))
        start = generator.uniform(0, 8, (2, 2))
        lines = []
        for row in range(30):
            place = start + velocity * row + generator.normal(0, 0.02, (2, 2))
            lines += [f"{10 * row}\t{i + 1}\t{x:.3f}\t{y:.3f}" for i, (x, y) in enumerate(place)]
        (folder / f"street_{game}.txt").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def demos(files):
    folder = files.parent / "demos"
    assert cli.main(f"data convert {files} --rate 2.5 --unit m --out {folder}".split()) == 0
    return folder


@pytest.fixture(scope="module")
def parts(demos):
    folder = demos.parent / "parts"
    words = f"data split {demos} --by source --fractions 0.6 0.2 0.2 --out {folder}".split()
    assert cli.main(words) == 0
    return folder


@pytest.fixture(scope="module")
def run(parts):
    folder = parts.parent / "run"
    words = ["train", "rnn-gauss", "--demos", str(parts), "--steps", "2", "--out", str(folder)]
    assert cli.main([*words, *TINY]) == 0
    return folder


@pytest.mark.parametrize("form", FORMS)
def test_every_fixed_form_is_read(form):
    assert callable(cli.parse(form.split()))


def test_flags_reach_the_algorithm():
    words = "train intent-vrnn --rule cells --rule.grid.columns 3 --width 8 --no-stages"
    command = cli.parse([*words.split(), "--out", "x", "--learning-rate", "0.01"])
    algorithm = command.algorithm
    assert type(algorithm).__name__ == "IntentVRNN"
    assert type(algorithm.rule).__name__ == "Cells"
    assert algorithm.rule.grid.columns == 3
    assert (algorithm.width, algorithm.learning_rate) == (8, 0.01)
    words = "train intent-vrnn --rule none --width 8 --out x"
    stages = cli.parse(words.split()).algorithm
    assert [algorithm.width for algorithm, _ in stages.stages] == [8, 8]
    assert [algorithm.part for algorithm, _ in stages.stages] == ["intents", "plays"]
    assert stages.stages[0][0].rule is None


def test_help_of_an_algorithm_says_what_its_fields_say(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["train", "vrnn", "--help"])
    assert stop.value.code == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "--latent-size INT" in said
    assert "Latent dimensions, per agent unless joint." in said


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ("trian vrnn", "did you mean 'train'?"),
        ("train vrn --out x", "did you mean 'vrnn'?"),
        ("train intent-vrnn --rule stationry --out x", "did you mean 'stationary'?"),
        ("train vrnn --demos x", "--out PATH"),
        ("train vrnn --widht 3 --out x", "--widht"),
        ("train vrnn --width three --out x", "three"),
        ("data split x --out y --fractions 0.5 0.5", "Expected 3 values"),
        ("data convert nothing_here/*.txt --out y", "nothing_here"),
        ("data convert --out y", "expected at least one file"),
        ("data inspect nothing_here", "nothing_here"),
        ("data check nothing_here", "nothing_here"),
        ("train vrnn --demos nothing_here --out never", "nothing_here"),
        ("train --resume nothing_here", "nothing_here"),
        ("evaluate nothing_here --demos x", "nothing_here"),
        ("generate nothing_here --demos x --out y", "nothing_here"),
        ("render nothing_here --out y.gif", "nothing_here"),
        ("export nothing_here --out y", "nothing_here"),
        ("generate x --demos y --out z --hold player", "--hold GROUP:SLOT"),
        ("collect chess --expert hungarian --out y", "expected one of the games"),
        ("bench nothing_here", "expected a benchmark"),
        ("quickstart chess", "boids"),
    ],
)
def test_a_mistake_is_one_sentence(capsys, words, part, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert part in refusal(capsys, *words.split())
    assert not list(tmp_path.glob("[!n]*"))


def test_the_reader_that_was_guessed_is_said_aloud(capsys, files, tmp_path):
    code, out, err = call(
        capsys, "data", "convert", files, "--rate", "2.5", "--out", tmp_path / "d"
    )
    assert code == 0
    assert "as 'frames'" in err
    assert "5 episodes" in out


def test_inspect_and_check_answer_in_json(capsys, demos, parts):
    code, out, _ = call(capsys, "data", "inspect", demos, "--json")
    assert code == 0
    assert json.loads(out)["episodes"] == 5
    code, out, _ = call(capsys, "data", "check", parts, "--json")
    assert code == 0
    assert json.loads(out)["errors"] == 0
    code, out, _ = call(capsys, "data", "inspect", demos)
    assert "2.5 Hz" in out


def test_a_leak_between_parts_is_an_error(capsys, parts, tmp_path):
    shutil.copytree(parts, tmp_path / "leaky")
    shutil.rmtree(tmp_path / "leaky" / "test")
    shutil.copytree(parts / "train", tmp_path / "leaky" / "test")
    code, out, _ = call(capsys, "data", "check", tmp_path / "leaky")
    assert code == 2
    assert "error: leak" in out


def test_a_run_is_evaluated_sampled_drawn_and_exported(capsys, run, parts, tmp_path):
    code, out, _ = call(
        capsys, "evaluate", run, "--demos", parts / "test", "--protocol", "eth_ucy",
        "--samples", 2, "--json",
    )  # fmt: skip
    assert code == 0
    assert {row["model"] for row in json.loads(out)["rows"]} >= {"constant velocity", "stay put"}
    assert (run / "report.html").exists()

    plays = tmp_path / "plays"
    code, _, err = call(
        capsys, "generate", run, "--demos", parts / "test", "--samples", 2, "--horizon", 4,
        "--observed", 8, "--hold", "agents:0", "--out", plays,
    )  # fmt: skip
    assert code == 0, err
    assert "already exists" in refusal(
        capsys, "generate", run, "--demos", parts / "test", "--out", plays
    )
    for source, name in ((plays, "plays.gif"), (parts / "test", "truth.png")):
        code, out, _ = call(capsys, "render", source, "--out", tmp_path / name, "--scenes", 1)
        assert code == 0
        assert (tmp_path / name).stat().st_size > 1000
    assert "expected a path ending in" in refusal(
        capsys, "render", plays, "--out", tmp_path / "plays.doc"
    )

    code, out, _ = call(capsys, "export", run, "--out", tmp_path / "weights")
    assert code == 0
    assert "understudy.load_generator" in out
    assert [path.name for path in (tmp_path / "weights").iterdir()] == ["generator.safetensors"]


def test_a_finished_run_resumes_to_itself(capsys, run):
    before = sorted((path, path.stat().st_mtime_ns) for path in (run / "policy").rglob("*"))
    code, out, _ = call(capsys, "train", "--resume", run)
    assert code == 0
    assert "finished" in out
    assert before == sorted((path, path.stat().st_mtime_ns) for path in (run / "policy").rglob("*"))


def test_a_folder_with_a_run_is_not_overwritten(capsys, run, parts):
    words = ["train", "rnn-gauss", "--demos", parts, "--steps", 2, "--out", run, *TINY]
    assert "already holds a run" in refusal(capsys, *words)


def test_a_diverged_seed_exits_with_3(capsys, parts, tmp_path):
    words = ["train", "rnn-gauss", "--demos", parts, "--steps", 3, "--out", tmp_path / "run"]
    code, _, err = call(capsys, *words, *TINY, "--learning-rate", "1e38", "--clip", "1e38")
    assert code == 3
    assert "seed 0 diverged" in err


def test_an_interrupt_says_how_to_go_on(capsys, run, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("understudy.experiment.train.resume", stop)
    code, _, err = call(capsys, "train", "--resume", run)
    assert code == 130
    assert f"understudy train --resume {run}" in err


def break_(folder, how):
    """Damage a demonstration folder."""
    meta, shard = folder / "meta.json", folder / "data" / "00000.parquet"
    if how == "truncated shard":
        shard.write_bytes(shard.read_bytes()[:-40])
    elif how == "flipped byte":
        content = bytearray(shard.read_bytes())
        content[len(content) // 2] ^= 1
        shard.write_bytes(bytes(content))
    elif how == "wrong version":
        meta.write_text(json.dumps(json.loads(meta.read_text()) | {"version": 99}))
    elif how == "missing file":
        shard.unlink()
    elif how == "empty folder":
        shutil.rmtree(folder)
        folder.mkdir()


@pytest.mark.parametrize(
    "how", ["truncated shard", "flipped byte", "wrong version", "missing file", "empty folder"]
)
@pytest.mark.parametrize("verb", ["data check", "data split", "train vrnn"])
def test_damage_is_one_sentence_and_leaves_nothing(capsys, demos, tmp_path, how, verb):
    shutil.copytree(demos, tmp_path / "demos")
    break_(tmp_path / "demos", how)
    words = [*verb.split(), *(["--demos"] if verb.startswith("train") else []), tmp_path / "demos"]
    words += [] if verb == "data check" else ["--out", tmp_path / "out"]
    assert str(tmp_path / "demos") in refusal(capsys, *words)
    assert not [path for path in (tmp_path / "out").glob("*") if path.name != ".lock"]


@pytest.mark.parametrize("word", ["nan", "inf", "x"])
def test_a_number_that_is_none_is_refused_before_anything_is_written(capsys, tmp_path, word):
    rows = [f"{10 * row} 1 {row}.5 2.5" for row in range(9)]
    (tmp_path / "street.txt").write_text("\n".join([*rows, f"90 1 {word} 2.5"]) + "\n")
    source, out = tmp_path / "street.txt", tmp_path / "out"
    words = ["data", "convert", source, "--reader", "frames", "--rate", 2.5, "--out", out]
    assert "street.txt line 10" in refusal(capsys, *words)
    assert not out.exists()


def test_a_full_disk_leaves_no_half_written_set(files, tmp_path):
    """A limit on the size of files stands for the disk: the same errors from the same calls."""
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000)); "
        "from understudy.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    words = ["data", "convert", files, "--reader", "frames", "--rate", "2.5", "--out"]
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, words), str(tmp_path / "out")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.splitlines()[-1].startswith("understudy: ")
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_missing_extra_names_what_to_install():
    error = ModuleNotFoundError("No module named 'kloppy'", name="kloppy")
    assert 'pip install "understudy[kloppy]"' in cli.sentence(error)


def test_an_error_that_is_not_the_callers_is_raised(monkeypatch):
    def broken(argv):
        raise ValueError("a bug")

    monkeypatch.setattr(cli, "dispatch", broken)
    with pytest.raises(ValueError, match="a bug"):
        cli.main(["train"])


def test_the_headline_is_the_mean_of_the_seeds_that_are_well():
    assert console.headline({"loss": [1.0, None, 3.0], "kl": [5.0]}) == "loss 2"
