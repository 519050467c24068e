"""Behaviour cloning: what it learns of known experts, what counts, and where it can be used."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import understudy as us
from contracts.envs import Home, Whisper
from understudy import cli
from understudy.algorithms import presets
from understudy.data.demonstrations import Demonstrations
from understudy.data.sampling import gather, rows, sample
from understudy.experiment import loops, material
from understudy.networks import cloning
from understudy.networks.policy import ActedRows
from understudy.types import ActionSpec, Batch, Group, Observation, Spec, UserError, Window

SEEDS = 3


def recorded(spec, features, actions, *, length=1) -> Any:
    """Demonstrations of one group in episodes of `length` rows, every action known."""
    episodes = len(features) // length
    names = np.array([f"e{i}" for i in range(episodes)])
    return Demonstrations(
        spec=spec,
        starts=np.arange(episodes + 1) * length,
        features={"agents": features.astype(np.float32)},
        alive={"agents": np.ones(features.shape[:2], bool)},
        actions={"agents": actions.astype(np.float32)},
        action_known={"agents": np.ones(features.shape[:2], bool)},
        rate=1.0,
        unit="",
        labels={"episode": names, "source": names},
    )


def clone(algorithm, demonstrations, updates):
    """States and metrics of three seeds after some updates."""
    cut = material.cut(algorithm, demonstrations)
    source = jax.tree.map(jnp.asarray, (rows(cut.demonstrations), cut.windows.lean()))
    keys = jax.random.split(jax.random.key(0), SEEDS)
    states = loops.initialise(algorithm, None, keys, spec=cut.spec)
    return _clone(algorithm, states, *source, jnp.arange(updates))


@jax.jit
def _clone(algorithm, states, table, windows, steps):
    key = jax.random.key(1)

    def update(states, step):
        some = sample(key, step, batch=algorithm.batch, total=len(windows))
        batch = Batch(None, gather(table, windows, some))
        one = functools.partial(algorithm.update, batch=batch, step=step, key=key)
        return jax.vmap(one)(states)

    return jax.lax.scan(update, states, steps)


def predicted(states, features, actions) -> Any:
    """What each seed would do in rows ``[rows, agents, ...]``, told the actions given.

    Probabilities of the choices, means, deviations, and the log-probability of the actions, all
    ``[seeds, rows, agents, ...]``.
    """
    features, actions = np.asarray(features, np.float32), np.asarray(actions, np.float32)

    @jax.jit
    def predict(states, features, actions):
        alive, starts = jnp.ones(features.shape[:3], bool), jnp.ones(features.shape[:2], bool)
        seen = Observation({"agents": features}, {"agents": alive})
        acted = ActedRows(seen, {"agents": actions}, starts, ())
        found = jax.vmap(lambda state: state.params.predictions(acted)["agents"])(states)
        score = jax.vmap(lambda each: each.log_prob(actions))(found)
        return jax.nn.softmax(found.logits), found.mean, found.std, score

    return [np.asarray(part)[:, 0] for part in predict(states, features[None], actions[None])]


COIN = ActionSpec(sections=(3,))
TABLE = np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.3, 0.4, 0.3], [0.0, 0.5, 0.5]])
"""How often the expert makes each of three choices, in each of four contexts."""


SLOPE, STD = np.array([0.8, -0.5]), np.array([0.4, 0.3])
"""It moves by a Gaussian with means SLOPE x, in units of half the range, clipped to its bounds."""
SIZES = {presets.BC: {"hidden": (32,)}, presets.JointBC: {"width": 16}}


@pytest.fixture(scope="module", params=SIZES)
def cloned(request):
    """Clones of a known expert, and 60,000 rows of it: frequencies are within 0.01 of its table."""
    random = np.random.default_rng(0)
    context = random.integers(0, 4, (60_000, 2))
    choice = (random.random((60_000, 2, 1)) > TABLE.cumsum(1)[context]).sum(-1, keepdims=True)
    x = random.uniform(-1, 1, (60_000, 2, 1))
    drawn = np.clip(SLOPE * x + STD * random.normal(size=(60_000, 2, 2)), -1, 1)
    assert (np.abs(drawn[..., 0]) == 1).mean() > 0.09, "little is clipped, little is tested"
    features = np.concatenate([np.eye(4)[context], x], -1)
    actions = np.concatenate([choice, drawn * [2.0, 1.0] + [2.0, 0.0]], -1)
    spec = Spec((Group("agents", 2, 5, ActionSpec((3,), (0.0, -1.0), (4.0, 1.0))),))
    algorithm = request.param(learning_rate=1e-2, decay=500, batch=256, **SIZES[request.param])
    return *clone(algorithm, recorded(spec, features, actions), 500), features, actions


@pytest.mark.slow
def test_the_table_of_an_expert_is_found(cloned):
    states, metrics, *_ = cloned
    pairs = np.array(list(itertools.product(range(4), repeat=2)))
    shown = np.repeat(np.eye(4)[pairs], 3, 0)  # and agent 1 is told each choice of agent 0
    told = np.zeros((48, 2, 3))
    told[:, 0] = [[choice, 2.0, 0.0] for choice in range(3)] * 16
    found, *_ = predicted(states, np.concatenate([shown, np.zeros((48, 2, 1))], -1), told)
    found = found.reshape(SEEDS, 16, 3, 2, 3)
    joint = found[:, :, 0, 0, :, None] * found[:, :, :, 1]
    expected = TABLE[pairs[:, 0], :, None] * TABLE[pairs[:, 1], None]
    assert (0.5 * np.abs(joint - expected).sum((-1, -2))).max() < 0.03
    entropy = -(TABLE * np.log(np.maximum(TABLE, 1e-9))).sum(1).mean()
    entropy += np.sum(0.5 * np.log(2 * np.pi * np.e * (STD * [2.0, 1.0]) ** 2))
    np.testing.assert_allclose(metrics["entropy"][-50:].mean(0), entropy, atol=0.05)
    np.testing.assert_allclose(metrics["accuracy"][-50:].mean(0), TABLE.max(1).mean(), atol=0.02)


@pytest.mark.slow
def test_means_and_deviations_are_found_though_actions_were_clipped(cloned):
    states, _, features, actions = cloned
    _, mean, deviation, _ = predicted(states, features[:200], actions[:200])
    np.testing.assert_allclose(deviation, np.broadcast_to(STD, deviation.shape), rtol=0.05)
    error = np.abs(mean - SLOPE * features[None, :200, :, 4:])
    assert error.mean() < 0.03
    assert error.max() < 0.15


@pytest.mark.slow
@pytest.mark.parametrize(
    ("preset", "success", "distance"), [(presets.BC, 0.5, 0.5), (presets.JointBC, 1.0, 0.0)]
)
def test_only_agents_in_turn_can_differ_by_lot(preset, success, distance):
    """The expert plays (0, 1) or (1, 0), each half of the time; each agent alone is a coin."""
    env = us.envs.Xor()
    demonstrations = us.collect(env, us.experts.xor(env), episodes=4_000, envs=4_000)
    algorithm = preset(learning_rate=5e-3, decay=200, batch=64, **SIZES[preset])
    states, _ = clone(algorithm, demonstrations, 200)
    plays = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])[..., None]
    *_, score = predicted(states, np.ones((4, 2, 1)), plays)
    likely = np.exp(score.sum(-1))
    np.testing.assert_allclose(likely.sum(1), 1.0, atol=1e-5)
    np.testing.assert_allclose(likely[:, 1] + likely[:, 2], success, atol=0.02)
    expert = np.array([0.0, 0.5, 0.5, 0.0])
    np.testing.assert_allclose(0.5 * np.abs(likely - expert).sum(1), distance, atol=0.05)


@pytest.mark.slow
def test_memory_begins_with_the_window():
    """Rows after the first show nothing: without memory 2/3 of the actions could be told."""
    random = np.random.default_rng(0)
    bit = random.integers(0, 2, (200, 1, 1, 1))
    features = np.concatenate([2.0 * bit - 1, np.zeros((200, 2, 1, 1))], 1).reshape(600, 1, 1)
    actions = np.repeat(bit, 3, 1).reshape(600, 1, 1)
    spec = Spec((Group("agents", 1, 1, ActionSpec(sections=(2,))),))
    algorithm = presets.BC(hidden=(8,), recurrent=8, learning_rate=1e-2, window=3, batch=64)
    _, metrics = clone(algorithm, recorded(spec, features, actions, length=3), 150)
    np.testing.assert_allclose(metrics["accuracy"][-10:], 1.0, atol=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("sharing", ["shared", "independent", "joint"])
def test_what_agents_share_decides_what_they_can_do(sharing):
    """Each is shown a bit. Some repeat their own, some do but for agent 1, some the other's."""
    bits = np.random.default_rng(0).integers(0, 2, (500, 2, 1))
    wanted = {"shared": bits, "independent": bits ^ [[0], [1]], "joint": bits[:, ::-1]}
    spec = Spec((Group("agents", 2, 1, ActionSpec(sections=(2,))),))
    algorithm = presets.BC(hidden=(8,), sharing=sharing, learning_rate=2e-2, batch=64)
    _, metrics = clone(algorithm, recorded(spec, 2.0 * bits - 1, wanted[sharing]), 100)
    np.testing.assert_allclose(metrics["accuracy"][-10:], 1.0, atol=0.01)


def test_a_network_with_memory_needs_windows():
    with pytest.raises(UserError, match=r"more than one row .* found window=1; give a longer"):
        presets.BC(recurrent=8)
    with pytest.raises(UserError, match="expected batch above 0, found 0"):
        presets.BC(batch=0)


def window(known, alive=None, *, legal=None, actions=None, spec=None) -> Any:
    """Windows of one row of one group, ``[batch, agents]``."""
    known = np.asarray(known, bool)
    alive = np.ones_like(known) if alive is None else np.asarray(alive, bool)
    actions = np.zeros(known.shape) if actions is None else np.asarray(actions)
    legal = None if legal is None else {"agents": jnp.asarray(legal, bool)[:, None]}
    features = jnp.asarray(np.linspace(0, 1, known.size).reshape(len(known), 1, -1, 1), jnp.float32)
    none = jnp.zeros((len(known), 1), bool)
    return Window(
        Observation({"agents": features}, {"agents": jnp.asarray(alive)[:, None]}, legal),
        none, none, {"agents": jnp.asarray(known)[:, None]},
        {"agents": jnp.asarray(actions, jnp.float32)[:, None, :, None]},
    )  # fmt: skip


THREE = Spec((Group("agents", 3, 1, COIN),))


def shape_of(algorithm, spec=THREE):
    """A state without numbers."""
    return jax.eval_shape(lambda: algorithm.init(spec, None, jax.random.key(0)))


def some(state, scale=1.0) -> Any:
    """Any numbers for weights, drawn without a compiler; Adam has done nothing yet."""
    random = np.random.default_rng(0)

    def draw(leaf):
        return jnp.asarray(scale * random.normal(size=leaf.shape), leaf.dtype)

    optimiser = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), state.optimiser)
    return dataclasses.replace(state, params=jax.tree.map(draw, state.params), optimiser=optimiser)


def test_the_loss_is_minus_the_mean_log_probability():
    """Without weights every legal choice is alike: log 3 of three, log 2 of two."""
    algorithm = presets.BC(hidden=(4,))
    params = some(shape_of(algorithm), scale=0.0).params
    legal = np.ones((2, 3, 3), bool)
    legal[1, :, 2] = False
    given = window([[1, 1, 1], [1, 0, 0]], legal=legal, actions=[[0, 0, 2], [1, 2, 2]])
    loss, metrics = jax.jit(cloning.loss)(params, given)
    expected = (3 * np.log(3) + np.log(2)) / 4  # the last two actions are not known
    assert float(loss) == pytest.approx(expected, rel=1e-6)
    assert float(metrics["log_prob"]) == pytest.approx(-expected, rel=1e-6)
    assert float(metrics["entropy"]) == pytest.approx(expected, rel=1e-6)
    assert float(metrics["accuracy"]) == 0.5  # of equals the first counts as most likely


@pytest.mark.parametrize(
    ("known", "alive", "at_once", "in_turn"),
    [
        ([1, 1, 1], [1, 1, 1], [1, 1, 1], [1, 1, 1]),
        ([1, 0, 1], [1, 1, 1], [1, 0, 1], [1, 0, 0]),
        ([1, 0, 1], [1, 0, 1], [1, 0, 1], [1, 0, 1]),
        ([1, 1, 1], [1, 0, 1], [1, 0, 1], [1, 0, 1]),
        ([0, 0, 0], [1, 1, 1], [0, 0, 0], [0, 0, 0]),
    ],
)
def test_what_counts_is_known_alive_and_told_the_truth(known, alive, at_once, in_turn):
    given = window([known], [alive])
    for preset, expected in ((presets.BC, at_once), (presets.JointBC, in_turn)):
        found = cloning.learnable(shape_of(preset()).params, given)["agents"]
        np.testing.assert_array_equal(found[0, 0], np.array(expected, bool))


@pytest.mark.parametrize("preset", [presets.BC, presets.JointBC])
def test_who_hears_an_unknown_action_does_not_count(preset):
    spec = Whisper().spec
    one = jnp.ones((4, 1, 1), bool)
    known = {"speaker": jnp.array([1, 0, 1, 0], bool)[:, None, None], "listener": one}
    alive = {"speaker": jnp.array([1, 1, 0, 0], bool)[:, None, None], "listener": one}
    features = {name: jnp.ones((4, 1, 1, 1)) for name in spec.names}
    given = Window(Observation(features, alive), one[..., 0], one[..., 0], known, features)
    found = cloning.learnable(shape_of(preset(), spec).params, given)
    np.testing.assert_array_equal(found["speaker"].ravel(), [True, False, False, False])
    np.testing.assert_array_equal(found["listener"].ravel(), [True, False, True, True])


@pytest.mark.parametrize("preset", [presets.BC, presets.JointBC])
def test_actions_that_do_not_count_teach_nothing(preset):
    algorithm = preset(hidden=(4,)) if preset is presets.BC else preset(width=4)
    params = some(shape_of(algorithm)).params
    known, alive = [[1, 0, 1], [1, 1, 1], [1, 1, 1]], [[1, 1, 1], [1, 1, 0], [0, 1, 1]]

    @jax.jit
    def loss(actions):
        given = dataclasses.replace(window(known, alive), action={"agents": actions})
        return cloning.loss(params, given)[0]

    plain = np.zeros((3, 1, 3, 1), np.float32)
    other, counted = plain.copy(), plain.copy()
    other[[0, 1, 2], 0, [1, 2, 0]] = [[2.0], [1.0], [2.0]]
    counted[1, 0, 0] = 2.0
    assert float(loss(plain)) == pytest.approx(float(loss(other)), rel=1e-6)
    assert abs(float(loss(plain)) - float(loss(counted))) > 1e-3


def test_weights_decay_and_biases_do_not():
    """Nothing is known, so the only change is the decay: 1 - 0.1 x 0.5 of every weight."""
    algorithm = presets.BC(hidden=(4,), learning_rate=0.1, weight_decay=0.5)
    state = some(shape_of(algorithm))
    batch = Batch(None, window([[0, 0, 0]]))
    update = jax.jit(lambda *given: algorithm.update(*given))
    after, metrics = update(state, batch, jnp.int32(0), jax.random.key(0))
    assert set(metrics) == {"loss", "log_prob", "entropy", "accuracy", "gradient_norm"}
    old, new = state.params.actors["agents"].net, after.params.actors["agents"].net
    np.testing.assert_allclose(new.head.weight, 0.95 * old.head.weight, rtol=1e-6)
    np.testing.assert_allclose(new.layers[0].weight, 0.95 * old.layers[0].weight, rtol=1e-6)
    np.testing.assert_array_equal(new.head.bias, old.head.bias)


def test_kinds_go_by_their_networks():
    found = {
        "shared": us.BC(hidden=(7,), batch=3), "each": us.BC(sharing="independent"),
        "joint": us.BC(sharing="joint"), "in turn": us.JointBC(width=4, window=2),
    }  # fmt: skip
    assert (found["shared"].network.hidden, found["shared"].batch) == ((7,), 3)
    assert (found["in turn"].network.width, found["in turn"].window) == (4, 2)
    spec, kinds = Home().spec, {}
    for name, algorithm in found.items():
        assert algorithm.title == "BC"

        def explore(algorithm=algorithm):
            return algorithm.policy(algorithm.init(spec, None, jax.random.key(0)), "explore")

        policy = jax.eval_shape(explore)
        assert policy.mode == "sample"  # there are no critics to remember
        kinds[name] = (policy.decentralised, policy.transfers)
    assert kinds == {
        "shared": (True, True), "each": (True, False),
        "joint": (False, False), "in turn": (False, False),
    }  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder, env = tmp_path_factory.mktemp("runs"), us.envs.Xor(agents=3)
    us.collect(env, us.experts.xor(env), episodes=40, out=folder / "demos")
    words = "train bc --demos DEMOS --out RUN --steps 4 --seeds 2 --batch 8 --network.hidden 4"
    places = {"DEMOS": str(folder / "demos"), "RUN": str(folder / "run")}
    assert cli.main([places.get(word, word) for word in words.split()]) == 0
    return folder / "run"


def test_a_run_is_measured_in_the_env_its_demonstrations_name(run, capsys):
    code = cli.main(["evaluate", str(run), "--episodes", "20", "--no-report", "--json"])
    said = capsys.readouterr()
    assert code == 0, said.err
    found = json.loads(said.out)
    assert (found["setting"]["env"], found["setting"]["env_config"]["agents"]) == ("Xor", 3)
    labelled = {row["model"]: row for row in found["rows"]}
    assert set(labelled) == {"BC", "expert", "random"}
    assert labelled["BC"]["execution"] == "decentralised"


@pytest.mark.parametrize(
    "env",
    [None, "somewhere", {"type": "contracts.envs:Home", "agents": 2},
     {"type": "understudy.envs.host:Batched"}, {"type": "understudy.envs.xor:Xor", "legs": 2}],
)  # fmt: skip
def test_an_env_that_is_not_ours_has_to_be_given(run, env):
    read = us.Run(run)
    read.config["demonstrations"]["env"] = env
    with pytest.raises(UserError, match="expected an env to play in, found none, and"):
        us.evaluate(read, episodes=2)
