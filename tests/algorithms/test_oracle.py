"""Loss terms against a second implementation: plain float64 loops over time and agents.

The functions below are written from the equations of the models (Zhan et al., ICLR 2019; Chung et
al., NeurIPS 2015), one sequence at a time. They share nothing with the library but the weights.
Every network has to take exactly the inputs its equation names: one more or one less is an error.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from understudy.algorithms import presets
from understudy.algorithms.intents import IntentVRNN
from understudy.networks.frames import Frames
from understudy.types import Group, Observation, Spec, Statistics, Window

LATENT_FLOOR = 1e-3


def softplus(x: np.ndarray) -> np.ndarray:
    return np.logaddexp(x, 0.0)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-x))


def log_normal(x: np.ndarray, mean: np.ndarray, std: np.ndarray) -> float:
    return float(np.sum(-0.5 * ((x - mean) / std) ** 2 - np.log(std) - 0.5 * np.log(2 * np.pi)))


def kl_normal(m: np.ndarray, s: np.ndarray, mp: np.ndarray, sp: np.ndarray) -> float:
    """``∫ q log q/p`` of diagonal Gaussians, in the variances."""
    return float(np.sum(0.5 * (np.log(sp**2 / s**2) + (s**2 + (m - mp) ** 2) / sp**2 - 1.0)))


def log_softmax(x: np.ndarray) -> np.ndarray:
    return x - x.max() - np.log(np.sum(np.exp(x - x.max())))


@dataclasses.dataclass
class Perceptron:
    """Linear, ReLU, ..., Linear over inputs known by name."""

    columns: dict[str, np.ndarray]
    layers: list[tuple[np.ndarray, np.ndarray]]
    bias: np.ndarray

    def __call__(self, **inputs: np.ndarray) -> np.ndarray:
        assert set(inputs) == set(self.columns), (set(inputs), set(self.columns))
        x = self.bias + sum(self.columns[name] @ value for name, value in inputs.items())
        for weight, bias in self.layers:
            x = weight @ np.maximum(x, 0.0) + bias
        return x

    def gaussian(self, floor: Any, **inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mean, raw = np.split(self(**inputs), 2)
        return mean, softplus(raw) + floor


@dataclasses.dataclass
class Recurrent:
    """Stacked gated units, as PyTorch defines them: gates reset, update, new; two biases."""

    layers: list[list[np.ndarray]]
    """Input weight, input bias, hidden weight, hidden bias of each."""

    def start(self) -> list[np.ndarray]:
        return [np.zeros(hidden.shape[1]) for _, _, hidden, _ in self.layers]

    def step(self, x: np.ndarray, hidden: list[np.ndarray]) -> list[np.ndarray]:
        out = []
        for (wi, bi, wh, bh), h in zip(self.layers, hidden, strict=True):
            ri, ui, ni = np.split(wi @ x + bi, 3)
            rh, uh, nh = np.split(wh @ h + bh, 3)
            reset, update = sigmoid(ri + rh), sigmoid(ui + uh)
            new = np.tanh(ni + reset * nh)
            x = (1.0 - update) * new + update * h
            out.append(x)
        return out


@dataclasses.dataclass
class Unit:
    """One recurrence and the heads round it, a head per entry of `targets`."""

    gru: Recurrent
    decoder: list[Perceptron]
    prior: list[Perceptron]
    encoder: list[Perceptron]
    targets: list[list[int]]
    """Agents whose next position each head predicts."""


@dataclasses.dataclass
class Terms:
    reconstruction: float = 0.0
    kl: float = 0.0
    log_weight: float = 0.0

    def __add__(self, other: Terms) -> Terms:
        return Terms(
            self.reconstruction + other.reconstruction,
            self.kl + other.kl,
            self.log_weight + other.log_weight,
        )


@dataclasses.dataclass
class Play:
    """One sequence as the networks take it."""

    seen: np.ndarray
    """The scene at every row ``[rows, numbers]``, agents side by side."""
    target: np.ndarray
    """What the step from each row is, in units of the output ``[rows - 1, agents, 2]``."""
    floor: np.ndarray
    """The floor of std in the same units ``[2]``."""


def rnn_gauss(unit: Unit, play: Play) -> Terms:
    """``p(x_{t+1} | h)``, h after reading y_0 .. y_t."""
    terms, h = Terms(), unit.gru.start()
    for seen, target in zip(play.seen[:-1], play.target, strict=True):
        h = unit.gru.step(seen, h)
        mean, std = unit.decoder[0].gaussian(np.tile(play.floor, len(target)), hidden=h[-1])
        log = log_normal(target.ravel(), mean, std)
        terms += Terms(log, 0.0, log)
    return terms


def step_vrnn(
    unit: Unit,
    play: Play,
    noise: np.ndarray,
    *,
    extra: np.ndarray | None = None,
    aware: bool = True,
    reads: str = "later",
) -> Terms:
    """A latent per step.

    ``p(z | [y_t], [g], h)``, ``q(z | x_{t+1}, [y_t], [g], h)``, ``p(x_{t+1} | y_t, [g], z, h)``;
    h reads ``(x_{t+1}, z)``, or ``(y_t, z_1 .. z_K)`` where `reads` is "now".

    Args:
        noise: standard normal ``[rows - 1, heads, latent]``.
        extra: one-hot conditions ``[rows - 1, heads, classes]``.
        aware: prior and encoder see y_t.
    """
    terms, h = Terms(), unit.gru.start()
    for t, targets in enumerate(play.target):
        y, top, latents, nexts = play.seen[t], h[-1], [], []
        scene = {"seen": y} if aware else {}
        for m, agents in enumerate(unit.targets):
            given = {} if extra is None else {"extra": extra[t, m]}
            later = targets[agents].ravel()
            q = unit.encoder[m].gaussian(LATENT_FLOOR, target=later, hidden=top, **scene, **given)
            p = unit.prior[m].gaussian(LATENT_FLOOR, hidden=top, **scene, **given)
            z = q[0] + q[1] * noise[t, m]
            wide = np.tile(play.floor, len(agents))
            d = unit.decoder[m].gaussian(wide, seen=y, latent=z, hidden=top, **given)
            log = log_normal(later, *d)
            terms += Terms(log, kl_normal(*q, *p), log + log_normal(z, *p) - log_normal(z, *q))
            latents.append(z)
            nexts.append(later)
        first = [y] if reads == "now" else nexts
        h = unit.gru.step(np.concatenate([*first, *latents]), h)
    return terms


def vrae(unit: Unit, play: Play, noise: np.ndarray) -> Terms:
    """One latent for the sequence: ``q(z | h_T)``, ``p = N(0, I)``, ``p_k(x^k_{t+1} | z, h)``."""
    hidden, h = [], unit.gru.start()
    for seen in play.seen:
        h = unit.gru.step(seen, h)
        hidden.append(h[-1])
    mean, std = unit.encoder[0].gaussian(LATENT_FLOOR, hidden=hidden[-1])
    z, zero = mean + std * noise, np.zeros_like(mean)
    terms = Terms(kl=kl_normal(mean, std, zero, zero + 1.0))
    terms.log_weight = log_normal(z, zero, zero + 1.0) - log_normal(z, mean, std)
    for t, targets in enumerate(play.target):
        for m, agents in enumerate(unit.targets):
            wide = np.tile(play.floor, len(agents))
            d = unit.decoder[m].gaussian(wide, latent=z, hidden=hidden[t])
            log = log_normal(targets[agents].ravel(), *d)
            terms += Terms(log, 0.0, log)
    return terms


def intent_likelihood(
    gru: Recurrent, decoders: list[Perceptron], play: Play, labels: np.ndarray, classes: int
) -> float:
    """``Σ_t Σ_k log softmax(net_k(y_t, h))[g^k_t]``, h reads everybody's one-hot intents."""
    total, h = 0.0, gru.start()
    for t in range(len(play.target)):
        for k, decoder in enumerate(decoders):
            total += log_softmax(decoder(seen=play.seen[t], hidden=h[-1]))[labels[t, k]]
        h = gru.step(np.eye(classes)[labels[t, : len(decoders)]].ravel(), h)
    return float(total)


# --- the weights of the library, as arrays ---


def array(x: Any) -> np.ndarray:
    return np.asarray(x, np.float64)


def perceptron(heads: Any, head: int) -> Perceptron:
    first, *rest = heads.nets.layers
    widths = [size for _, size in heads.sizes]
    columns = np.split(array(first.weight)[head], np.cumsum(widths)[:-1], axis=1)
    return Perceptron(
        dict(zip([name for name, _ in heads.sizes], columns, strict=True)),
        [(array(layer.weight)[head], array(layer.bias)[head]) for layer in rest],
        array(first.bias)[head],
    )


def recurrent(gru: Any) -> Recurrent:
    names = ("input_weight", "input_bias", "hidden_weight", "hidden_bias")
    return Recurrent([[array(getattr(layer, n)) for n in names] for layer in gru.layers])


def units(team: Any) -> list[Unit]:
    found = []
    for network in range(team.networks):
        nets = jax.tree.map(lambda leaf, i=network: leaf[i], team.nets)
        everybody = list(range(team.agents))
        targets = {
            "joint": [everybody],
            "independent": [[network]],
            "mixed": [[k] for k in everybody],
        }[team.sharing]

        def heads(of: Any) -> list[Perceptron]:
            return (
                []
                if of is None
                else [perceptron(of, m) for m in range(len(of.nets.layers[0].bias))]
            )

        found.append(
            Unit(
                recurrent(nets.gru),
                heads(nets.decoder),
                heads(nets.prior),
                heads(nets.encoder),
                targets,
            )
        )
    return found


# --- a small team, of anisotropic scales so that a confusion of axes shows ---

AGENTS, ROWS, CLASSES = 3, 7, 4
MEAN, STD, STEP, TURN = ([3.0, -1.0], [2.0, 5.0], [0.5, 0.3], [0.2, 0.4])
SIZES: dict[str, Any] = {"width": 6, "rnn": 5, "latent_size": 3, "window": ROWS, "batch": 2}
PUBLISHED: dict[str, Any] = {"output": "position", "velocity": False}
SPEC = Spec((Group("team", AGENTS, 2, features=("x", "y")),))


def statistics() -> Statistics:
    def group(values: list[float]) -> dict:
        return {"team": jnp.asarray(values, jnp.float32)}

    scale = group(STD)
    return Statistics(
        group(MEAN), scale, group([-9.0, -9.0]), group([9.0, 9.0]), group(STEP), group(TURN),
        jnp.asarray(5.0, jnp.float32),
    )  # fmt: skip


def positions() -> np.ndarray:
    random = np.random.default_rng(0)
    return np.cumsum(random.normal(0.3, 0.5, (ROWS, AGENTS, 2)), axis=0).astype(np.float32)


def window(labels: np.ndarray | None = None) -> Window:
    here = jnp.ones((ROWS, AGENTS), bool)
    return Window(
        Observation({"team": jnp.asarray(positions())}, {"team": here}),
        terminated=jnp.zeros(ROWS, bool),
        truncated=jnp.zeros(ROWS, bool),
        action_known={"team": ~here},
        intents=None if labels is None else {"team": jnp.asarray(labels, jnp.int32)},
    )


def play(output: str, velocity: bool) -> tuple[Play, float]:
    """The sequence as networks take it, and what their units add to a likelihood in data units."""
    x = positions().astype(np.float64)
    move = np.concatenate([np.zeros_like(x[:1]), np.diff(x, axis=0)])
    seen = (x - MEAN) / STD
    if velocity:
        seen = np.concatenate([seen, move / np.array(STEP)], axis=-1)
    base, scale = {
        "position": (np.broadcast_to(MEAN, x[:-1].shape), STD),
        "displacement": (x[:-1], STEP),
        "change": (x[:-1] + move[:-1], TURN),
    }[output]
    target = (x[1:] - base) / np.array(scale)
    units = -(ROWS - 1) * AGENTS * float(np.sum(np.log(scale)))
    return Play(seen.reshape(ROWS, -1), target, 1e-3 / np.array(scale)), units


def check(found: dict, terms: list[Terms], units: float, intents: float = 0.0) -> None:
    """Compare a bound with the oracle's terms, one per particle."""
    reconstruction = np.mean([t.reconstruction for t in terms]) + units
    kl = np.mean([t.kl for t in terms])
    weights = np.array([t.log_weight for t in terms]) + units
    expected = {
        "reconstruction": reconstruction,
        "kl": kl,
        "intents": intents,
        "elbo_given_intents": reconstruction - kl,
        "elbo": reconstruction - kl + intents,
        "iwae": np.log(np.mean(np.exp(weights - weights.max()))) + weights.max() + intents,
        "frames": ROWS - 1,
    }
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert float(found[name]) == pytest.approx(value, rel=1e-5, abs=1e-6), name


PARTICLES = 2


def fresh(algorithm: Any) -> Any:
    """A state with random weights, biases too; nothing is compiled to draw them."""
    shapes = jax.eval_shape(lambda: algorithm.init(SPEC, statistics(), jax.random.key(0)))
    random = np.random.default_rng(1)

    def draw(leaf: Any) -> Any:
        if leaf.dtype != jnp.float32:
            return jnp.ones(leaf.shape, leaf.dtype)
        return jnp.asarray(random.normal(0.0, 0.4, leaf.shape), jnp.float32)

    frames = Frames.of(statistics(), "team", velocity=algorithm.velocity, output=algorithm.output)
    return dataclasses.replace(jax.tree.map(draw, shapes), frames=frames)


@eqx.filter_jit
def bound(generator: Any, window: Window, key: Any) -> dict:
    return generator.bound(window, key, particles=PARTICLES)


@pytest.mark.parametrize(
    ("model", "output", "velocity"),
    [
        ("none", "position", False),
        ("none", "change", True),
        ("joint", "position", False),
        ("joint", "change", True),
        ("independent", "position", False),
        ("mixed", "position", False),
        ("mixed", "displacement", True),
        ("sequence", "position", False),
    ],
)
def test_recurrent_generators(model: Any, output: Any, velocity: bool) -> None:
    arguments = {**SIZES, "output": output, "velocity": velocity}
    if model == "none":
        algorithm = presets.RNNGauss(**arguments)
    elif model == "sequence":
        algorithm = presets.VRAE(**arguments)
    else:
        algorithm = presets.VRNN(model, **arguments)
    state, key = fresh(algorithm), jax.random.key(2)
    found = bound(algorithm.generator(state), window(), key)

    sequence, scale = play(output, velocity)
    parts, terms = units(state.params), []
    for particle in range(PARTICLES):
        if model == "none":
            terms.append(rnn_gauss(parts[0], sequence))
            continue
        lead = (1,) if model == "sequence" else (ROWS - 1, state.params.sizes.heads)
        noise = array(state.params.noise(key, *lead, PARTICLES))[..., particle, :]
        if model == "sequence":
            terms.append(vrae(parts[0], sequence, noise[0, 0]))
            continue
        reads = "now" if model == "mixed" else "later"
        each = [step_vrnn(p, sequence, n, reads=reads) for p, n in zip(parts, noise, strict=True)]
        terms.append(sum(each, Terms()))
    check(found, terms, scale)


@pytest.mark.parametrize(
    ("scope", "aware", "output", "velocity"),
    [
        ("agent", False, "position", False),
        ("agent", True, "change", True),
        ("shared", True, "position", False),
    ],
)
def test_intents(scope: Any, aware: bool, output: Any, velocity: bool) -> None:
    labels = np.random.default_rng(3).integers(CLASSES, size=(ROWS, AGENTS))
    if scope == "shared":
        labels[:] = labels[:, :1]
    algorithm = IntentVRNN(
        rule=None, classes=CLASSES, scope=scope, aware=aware, intent_rnn=4,
        output=output, velocity=velocity, **SIZES,
    )  # fmt: skip
    state, key = fresh(algorithm), jax.random.key(2)
    found = bound(algorithm.generator(state), window(labels), key)

    sequence, scale = play(output, velocity)
    hot = np.eye(CLASSES)[labels[:-1]]
    terms = []
    for particle in range(PARTICLES):
        noise = array(state.params.plays.noise(key, ROWS - 1, 1, PARTICLES))[..., particle, :]
        each = [
            step_vrnn(unit, sequence, noise[k], extra=hot[:, k : k + 1], aware=aware)
            for k, unit in enumerate(units(state.params.plays))
        ]
        terms.append(sum(each, Terms()))
    policy = state.params.intents
    deciders = [perceptron(policy.decoder, k) for k in range(1 if scope == "shared" else AGENTS)]
    intents = intent_likelihood(recurrent(policy.gru), deciders, sequence, labels, CLASSES)
    check(found, terms, scale, intents)


def test_training_minimises_the_terms_the_oracle_knows() -> None:
    """The loss of an update is the negative bound, under the key the update is given."""
    algorithm = presets.VRNN("joint", **SIZES, **PUBLISHED)
    state = fresh(algorithm)
    batch = jax.tree.map(lambda leaf: leaf[None], window())
    key = jax.random.key(2)
    loss, _ = jax.jit(algorithm.loss)(state.params, state.frames, batch, key)
    sequence, scale = play("position", False)
    noise = array(state.params.noise(key, ROWS - 1, 1, 1))[0, :, :, 0]
    terms = step_vrnn(units(state.params)[0], sequence, noise)
    assert float(loss) == pytest.approx(terms.kl - terms.reconstruction - scale, rel=1e-5)


BASKETBALL = Spec((Group("offence", 5, 2, features=("x", "y")),))


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (presets.published_rnn_gauss, 7_620_820),
        (presets.published_vrnn, 8_523_140),
        (presets.published_vrnn_independent, 4_367_340),
        (lambda: presets.published_intent_vrnn(stages=False, rule=None, classes=90), 4_372_190),
    ],
    ids=["rnn-gauss", "vrnn", "vrnn-independent", "intent-vrnn"],
)
def test_published_parameter_counts(make: Any, expected: int) -> None:
    """Counts of the four basketball models whose weights were published, biases of GRUs twice."""
    one = jnp.ones(2)
    moments = Statistics(*({"offence": one} for _ in range(6)), rate=jnp.asarray(5.0))
    algorithm = make()
    state = jax.eval_shape(lambda: algorithm.init(BASKETBALL, moments, jax.random.key(0)))
    params = algorithm.trainable(state.params) if hasattr(algorithm, "trainable") else state.params
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == expected
