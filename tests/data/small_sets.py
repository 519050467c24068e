"""Small sets of demonstrations for the tests of this folder."""

from typing import Any

import numpy as np

from understudy.data.demonstrations import Demonstrations
from understudy.types import ActionSpec, Group, Spec

ACTION = ActionSpec(sections=(3,), low=(-1.0,), high=(np.inf,))


def tracks(lengths=(5, 9, 3), *, players=3, seed=0, ragged=False, rate=5.0) -> Any:
    """Random walks of a group `player` and one `ball` with a height."""
    rng = np.random.default_rng(seed)
    frames, episodes = sum(lengths), len(lengths)
    features = {
        "player": rng.normal(size=(frames, players, 2)).astype(np.float32),
        "ball": rng.normal(size=(frames, 1, 3)).astype(np.float32),
    }
    alive = {"player": np.ones((frames, players), bool), "ball": np.ones((frames, 1), bool)}
    if ragged:
        alive["player"] = rng.random((frames, players)) < 0.8
        features["player"][~alive["player"]] = 0
    return Demonstrations(
        spec=Spec(
            (
                Group("player", players, 2, features=("x", "y")),
                Group("ball", 1, 3, features=("x", "y", "z")),
            )
        ),
        starts=np.concatenate([[0], np.cumsum(lengths)]),
        features=features,
        alive=alive,
        rate=rate,
        unit="ft",
        labels={
            "episode": np.asarray([f"e{i}" for i in range(episodes)]),
            "source": np.full(episodes, "walks"),
            "game": np.asarray([f"g{i // 2}" for i in range(episodes)]),
        },
        agent_labels={
            "id": {
                "player": np.asarray([[f"p{j}" for j in range(players)]] * episodes),
                "ball": np.full((episodes, 1), "ball"),
            }
        },
    )


def everything(lengths=(5, 9, 3), *, agents=2, seed=0) -> Any:
    """One group with all that can be recorded."""
    rng = np.random.default_rng(seed)
    frames, episodes = sum(lengths), len(lengths)
    alive = rng.random((frames, agents)) < 0.9
    legal = rng.random((frames, agents, 3)) < 0.7
    legal[..., 0] = True
    ends = np.zeros(frames, bool)
    ends[np.cumsum(lengths) - 2] = True
    features = rng.normal(size=(frames, agents, 4)).astype(np.float32) * alive[..., None]
    actions = np.stack([np.zeros((frames, agents)), rng.random((frames, agents))], -1)
    return Demonstrations(
        spec=Spec((Group("agents", agents, 4, ACTION),), state=2, horizon=20),
        starts=np.concatenate([[0], np.cumsum(lengths)]),
        features={"agents": features},
        alive={"agents": alive},
        rate=10.0,
        unit="",
        labels={
            "episode": np.asarray([f"e{i}" for i in range(episodes)]),
            "source": np.full(episodes, "env"),
        },
        actions={"agents": actions.astype(np.float32)},
        rewards={"agents": rng.normal(size=(frames, agents)).astype(np.float32)},
        legal={"agents": legal},
        state=rng.normal(size=(frames, 2)).astype(np.float32),
        terminated=ends,
        truncated=np.zeros(frames, bool),
        intents={"agents": rng.integers(0, 4, (frames, agents)).astype(np.int32)},
        intent_classes=4,
        context={"goal": rng.normal(size=(episodes, 1, 2)).astype(np.float32)},
        licence="CC0",
    )


def assert_same(a: Any, b: Any) -> None:
    """Every field of two sets is equal, bit for bit."""
    assert a.spec == b.spec
    assert (a.rate, a.unit, a.licence, a.intent_classes) == (
        b.rate, b.unit, b.licence, b.intent_classes,
    )  # fmt: skip
    np.testing.assert_array_equal(a.starts, b.starts)
    mappings = ("features", "alive", "actions", "action_known", "rewards", "legal", "intents")
    for name in (*mappings, "labels", "context"):
        x, y = getattr(a, name), getattr(b, name)
        assert (x is None) == (y is None), name
        if x is None or y is None:
            continue
        assert set(x) == set(y), name
        for key in x:
            np.testing.assert_array_equal(x[key], y[key], err_msg=f"{name} {key}")
            assert x[key].dtype.kind == y[key].dtype.kind
    for name in ("state", "terminated", "truncated"):
        x, y = getattr(a, name), getattr(b, name)
        assert (x is None) == (y is None), name
        if x is not None:
            np.testing.assert_array_equal(x, y)
    assert set(a.agent_labels) == set(b.agent_labels)
    for name, groups in a.agent_labels.items():
        for group, array in groups.items():
            np.testing.assert_array_equal(array, b.agent_labels[name][group])
