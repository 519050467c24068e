"""Every script of examples/ runs, at a tiny size, and is short."""

import importlib.util
from pathlib import Path

import pytest

from understudy.diagnostics.exploits import Search

EXAMPLES = Path(__file__).parents[1] / "examples"
TINY = {
    "flock": {"out": "flock", "episodes": 24, "steps": 4, "windows": 2},
    "own_data": {"out": "walkers", "episodes": 20},
    "own_rule": {"episodes": 4},
    "simulated_users": {
        "out": "users",
        "sessions": 60,
        "methods": ("cloning", "world"),
        "search": Search(scouts=16, rounds=2, children=4, climbers=2, rollouts=2),
    },
}


def load(name):
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_example_has_a_tiny_size():
    assert sorted(path.stem for path in EXAMPLES.glob("*.py")) == sorted(TINY)


@pytest.mark.parametrize("name", TINY)
def test_an_example_is_short_and_runs(name, tmp_path, monkeypatch, capsys):
    assert (EXAMPLES / f"{name}.py").read_text().count("\n") <= 60
    monkeypatch.chdir(tmp_path)
    load(name).main(**TINY[name])
    assert capsys.readouterr().out.strip()
