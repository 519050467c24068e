"""Every particle game agrees with mpe2 1.1.1, or with plain loops, in every number it shows.

The comparison is that of ``benchmarks/parity.py``, with fewer episodes.
"""

import importlib.util
import sys
from pathlib import Path

import jax
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def parity():
    """The script, whose siblings are found beside it."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        spec = importlib.util.spec_from_file_location("parity", BENCHMARKS / "parity.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.path.remove(str(BENCHMARKS))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("action", ["discrete", "boxes"])
@pytest.mark.parametrize("name", ["spread", "speaker-listener", "tag", "push"])
def test_one_step_agrees_with_mpe2(parity, name, action):
    env, played = parity.play_mpe2(name, action, episodes=2)
    assert max(parity.one_step(env, played).values()) <= 1e-5


@pytest.mark.parametrize("name", ["openai", "magail", "goodai"])
def test_one_step_agrees_with_plain_loops(parity, name):
    env, played = parity.play_plain(name, agents=4, episodes=2)
    assert max(parity.one_step(env, played).values()) <= 1e-5


def test_whole_episodes_stay_together_in_double_precision(parity):
    with jax.enable_x64(True):
        env, played = parity.play_plain("goodai", agents=4, episodes=2)
        assert max(parity.whole_episode(env, played).values()) <= 1e-8
