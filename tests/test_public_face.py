"""What a newcomer touches first: names, and how long an import takes."""

import subprocess
import sys
import time

import pytest

import understudy

FORBIDDEN = ("jax", "equinox", "optax", "matplotlib", "pyarrow", "scipy")


def run(code: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)


def quickest(code: str, *words: str, times: int = 3) -> float:
    """Seconds of the quickest of a few fresh processes: the others waited for the machine."""
    seconds = []
    for _ in range(times):
        begin = time.perf_counter()
        done = run(code, *words)
        seconds.append(time.perf_counter() - begin)
        assert done.returncode == 0, done.stderr
    return min(seconds)


@pytest.mark.parametrize("name", understudy.__all__)
def test_every_public_name_resolves(name):
    assert getattr(understudy, name) is not None


def test_every_public_name_of_data_resolves():
    for name in understudy.data.__all__:
        assert getattr(understudy.data, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'unheard_of'"):
        _ = understudy.unheard_of


@pytest.mark.parametrize("module", ["understudy", "understudy.data", "understudy.algorithms"])
def test_importing_a_package_imports_nothing_heavy(module):
    code = f"import {module}, sys; print(*[n for n in {FORBIDDEN} if n in sys.modules])"
    assert run(code).stdout.strip() == ""


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["train", "--help"], ["data"]])
def test_asking_for_help_imports_no_jax(words):
    code = (
        "import sys; from understudy.cli import main; main(sys.argv[1:]); "
        f"print('HEAVY', *[n for n in {FORBIDDEN} if n in sys.modules])"
    )
    done = run(code, *words)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().splitlines()[-1] == "HEAVY"


def test_import_and_help_are_quick():
    bare = quickest("pass")
    assert quickest("import understudy") - bare <= 0.3
    assert quickest("import sys, understudy.cli as c; c.main(['--help'])") <= 1.0


def test_the_module_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "understudy", "trian"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == "understudy: expected a verb, found 'trian'; did you mean 'train'?\n"
