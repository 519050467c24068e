"""Result files of badger-2019: what they hold, and what is never run."""

import contextlib
import os
import pickle

import numpy as np
import pytest

from understudy.envs.chance import Random
from understudy.envs.experts import EXPERTS
from understudy.envs.spread import Spread
from understudy.experiment import goodai, goodai_games
from understudy.experiment.collect import collect
from understudy.types import UserError

EPISODES = [
    goodai.Bench(
        np.array([-2.5, -1.25]), np.array([2, 1]), np.array([0.5, 0.25]), np.array([0, 1])
    ),
    goodai.Bench(np.array([-1.1]), np.array([1]), np.array([0.1]), np.array([2])),
]


class Malicious:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def original(episode, protocol):
    """A record as the program made it: numbers of numpy where numpy computed them."""
    reward, collisions, distance, covered = episode
    lists = (list(reward), collisions.tolist(), list(distance), covered.tolist())
    return pickle.dumps(lists, protocol)


def same(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        for field, row in one._asdict().items():
            np.testing.assert_array_equal(row, getattr(other, field))
            assert row.dtype == (np.int64 if field in ("collisions", "covered") else np.float64)


def test_rewards_come_back_as_they_were(tmp_path):
    rewards = np.array([-12.5, 1 / 3, -1e-17, np.float32(0.1)])
    goodai.write_rewards(tmp_path / "a.rewards", rewards)
    np.testing.assert_array_equal(goodai.read_rewards(tmp_path / "a.rewards"), rewards)


def test_rewards_are_text_as_the_program_logged_it(tmp_path):
    """One number at the first log, then those of every log: a list without brackets, a comma."""
    path = tmp_path / "a.rewards"
    with path.open("a") as file:
        for log in ([-12.5], [-11.25, -3.0]):
            file.write(str(log)[1:-1] + ", ")
    np.testing.assert_array_equal(goodai.read_rewards(path), [-12.5, -11.25, -3.0])
    goodai.write_rewards(tmp_path / "b.rewards", [-12.5, -11.25, -3.0])
    assert (tmp_path / "b.rewards").read_bytes() == path.read_bytes()


def test_a_torn_reward_is_refused_or_dropped(tmp_path):
    path = tmp_path / "a.rewards"
    path.write_text("-12.5, -11.25, -3")
    with pytest.raises(UserError, match="found the number '-3' without a comma"):
        goodai.read_rewards(path)
    np.testing.assert_array_equal(goodai.read_rewards(path, torn="drop"), [-12.5, -11.25])


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"", "found an empty file"),
        (b"-1.0, x, ", "found 'x' as number 2"),
        (b"-1.0, , ", "found '' as number 2"),
        (b"nan, ", "found 'nan' as number 1"),
        (b"\xff\xfe, ", "expected text in"),
        (b"-3", "found none that is whole"),
    ],
)
def test_what_is_no_reward_is_named(tmp_path, content, part):
    path = tmp_path / "a.rewards"
    path.write_bytes(content)
    with pytest.raises(UserError, match=part):
        goodai.read_rewards(path, torn="drop")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_episodes_of_every_protocol_are_read(tmp_path, protocol):
    path = tmp_path / "a.bench"
    path.write_bytes(b"".join(original(episode, protocol) for episode in EPISODES))
    same(goodai.read_bench(path), EPISODES)


def test_scalars_of_older_numpy_are_read(tmp_path):
    path = tmp_path / "a.bench"
    content = b"".join(original(episode, 3) for episode in EPISODES)
    path.write_bytes(content.replace(b"numpy._core.", b"numpy.core."))
    assert b"numpy.core.multiarray\nscalar" in path.read_bytes()
    same(goodai.read_bench(path), EPISODES)


def test_episodes_come_back_and_need_no_library_to_be_read(tmp_path):
    path = tmp_path / "a.bench"
    goodai.write_bench(path, EPISODES)
    same(goodai.read_bench(path), EPISODES)
    with path.open("rb") as file:
        assert pickle.load(file) == ([-2.5, -1.25], [2, 1], [0.5, 0.25], [0, 1])
        assert pickle.load(file) == ([-1.1], [1], [0.1], [2])
    assert b"numpy" not in path.read_bytes()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("torn", ["refuse", "drop"])
def test_a_pickle_that_runs_a_command_is_refused(tmp_path, protocol, torn):
    witness = tmp_path / "witness"
    path = tmp_path / "a.bench"
    for call, name in (
        (Malicious(os.system, f"touch {witness}"), r"posix\.system"),
        (Malicious(eval, f"open({str(witness)!r}, 'w')"), r"builtins\.eval"),
        (Malicious(np.array, [1.0]), r"numpy\.array"),
        (np.ones(2), "multiarray._reconstruct|numeric._frombuffer"),
    ):
        bad = pickle.dumps(([call], [1], [0.5], [0]), protocol)
        path.write_bytes(original(EPISODES[0], protocol) + bad)
        if name.startswith("builtins") and protocol < 3:
            name = "__builtin__.eval"
        with pytest.raises(UserError, match=f"({name}), which is never run"):
            goodai.read_bench(path, torn=torn)
        assert not witness.exists()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_torn_episode_is_refused_or_dropped(tmp_path, protocol):
    whole, last = (original(episode, protocol) for episode in EPISODES)
    path = tmp_path / "a.bench"
    for size in range(1, len(last)):
        path.write_bytes(whole + last[:size])
        with pytest.raises(UserError, match="to end with a whole record"):
            goodai.read_bench(path)
        same(goodai.read_bench(path, torn="drop"), EPISODES[:1])
    path.write_bytes(last[:-1])
    with pytest.raises(UserError, match="found none that is whole"):
        goodai.read_bench(path, torn="drop")


@pytest.mark.parametrize(
    ("record", "part"),
    [
        (([1.0], [1], [1.0]), "expected four lists of numbers in episode 1"),
        ({"reward": [1.0]}, "expected four lists of numbers"),
        (("a", "b", "c", "d"), "expected four lists of numbers"),
        (([1.0], [1], [1.0], ["x"]), "expected numbers in episode 1 of .*, found a str"),
        (([1.0], [True], [1.0], [0]), "found a bool"),
        (([1.0], [1], [[1.0]], [0]), "found a list"),
        (([1.0, 2.0], [1], [1.0], [0]), r"found \[2, 1, 1, 1\]"),
        (([float("nan")], [1], [1.0], [0]), "not all of them finite"),
        (([1.0], [1.5], [1.0], [0]), "expected counts as collisions"),
        (([], [], [], []), "shape \\(0,\\)"),
        (([10**400], [1], [1.0], [0]), "expected numbers in episode 1"),
    ],
)
def test_what_is_no_episode_is_named(tmp_path, record, part):
    path = tmp_path / "a.bench"
    path.write_bytes(pickle.dumps(record))
    with pytest.raises(UserError, match=part):
        goodai.read_bench(path)


def test_damage_within_a_file_is_no_torn_end(tmp_path):
    path = tmp_path / "a.bench"
    path.write_bytes(b"\xffnonsense" + original(EPISODES[0], 3))
    with pytest.raises(UserError, match="a pickle of numbers at byte 0"):
        goodai.read_bench(path, torn="drop")


@pytest.mark.parametrize("protocol", [0, 3, pickle.HIGHEST_PROTOCOL])
def test_a_flipped_byte_is_read_or_named(tmp_path, protocol):
    path, content = tmp_path / "a.bench", original(EPISODES[0], protocol)
    for place in range(len(content)):
        for flip in (0x01, 0x20, 0xFF):
            damaged = bytearray(content)
            damaged[place] ^= flip
            path.write_bytes(damaged)
            with contextlib.suppress(UserError):
                (episode,) = goodai.read_bench(path)
                assert len(episode.reward) in (1, 2)


def test_nothing_is_written_over_or_half(tmp_path):
    path = tmp_path / "a.bench"
    with pytest.raises(UserError, match="expected at least one episode"):
        goodai.write_bench(path, [])
    short = EPISODES[0]._replace(covered=np.array([1]))
    with pytest.raises(UserError, match="in all four lists of episode 2"):
        goodai.write_bench(path, [EPISODES[0], short])
    with pytest.raises(UserError, match="not all of them finite"):
        goodai.write_rewards(tmp_path / "a.rewards", [1.0, np.inf])
    assert not list(tmp_path.iterdir())
    goodai.write_bench(path, EPISODES)
    with pytest.raises(UserError, match="already exists"):
        goodai.write_bench(path, EPISODES)
    for read in (goodai.read_rewards, goodai.read_bench):
        with pytest.raises(UserError, match=r"expected a file at .*nowhere"):
            read(tmp_path / "nowhere")


def test_agent_0_is_recorded_as_the_game_has_it():
    """By hand: two landmarks, 0.05 and 2 from the nearest agent; agents 0 and 1 overlap."""
    env = Spread.goodai(3, landmarks=2, near_agents=2)
    played = collect(env, Random(env.spec), episodes=2, seed=0)
    state = np.array(played.state)
    state[:, :6] = [0.0, 0.0, 0.2, 0.0, 5.0, 5.0]
    state[:, 12:] = [0.0, 0.05, 0.2, 2.0]
    first, second = goodai_games.bench(played.replace(state=state), env)
    assert len(first.reward) == len(second.reward) == 100
    np.testing.assert_array_equal(first.collisions, 2)
    np.testing.assert_array_equal(first.covered, 1)
    np.testing.assert_allclose(first.distance, 2.05, rtol=1e-6)
    np.testing.assert_allclose(first.reward, -4.05, rtol=1e-6)


def test_records_agree_with_rewards():
    """What all agents earn is shared: N times the cover, and everybody's collisions."""
    for agents in (1, 4):
        env = Spread.goodai(agents, near_agents=0)
        played = collect(env, EXPERTS["hungarian"](env), episodes=2, seed=1)
        steps = np.delete(np.arange(played.starts[-1]), played.starts[1:] - 1)
        orders = [np.roll(np.arange(agents), -k) for k in range(agents)]  # each as agent 0
        own = [
            np.concatenate([e.reward for e in goodai_games.bench(_ordered(played, o), env)])
            for o in orders
        ]
        rewards = played.rewards["agents"][steps, 0]
        np.testing.assert_allclose(sum(own), rewards, rtol=1e-4)


def _ordered(played, order):
    """The same games with the agents in another order."""
    state, agents = np.array(played.state), len(order)
    for first in (0, 2 * agents):
        part = state[:, first : first + 2 * agents].reshape(len(state), agents, 2)
        state[:, first : first + 2 * agents] = part[:, order].reshape(len(state), -1)
    return played.replace(state=state)
