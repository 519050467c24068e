"""B1.2: the mathematics of policy optimisers against second implementations, number by number.

    python benchmarks/optimisers.py

Advantages against a sum over all pairs of rows in float64; the factor of HAPPO against both
policies evaluated apart; the transformer taught at once against acting in turn; illegal choices
among a million draws. Learning on games with known values is in the tests.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

import understudy as us
from results import command, summary, table, target, write
from understudy.envs import rollout
from understudy.functional.returns import gae
from understudy.networks.actions import ActionDistribution
from understudy.networks.experience import look_back
from understudy.networks.mlp import orthogonal
from understudy.networks.policy import ActedRows

ROWS, DISCOUNT, TRACE = 400, 0.97, 0.9


def advantages(kind: type) -> float:
    """Largest error of advantages of `kind` numbers over episodes that end or are cut."""
    rng = np.random.default_rng(0)
    worst = 0.0
    for _ in range(20):
        reward, value, value_next = rng.normal(size=(3, ROWS))
        terminated = rng.random(ROWS) < 0.03
        ended = terminated | (rng.random(ROWS) < 0.03)
        delta = reward + DISCOUNT * np.where(terminated, 0.0, value_next) - value
        expected = np.zeros(ROWS)
        for t in range(ROWS):
            for u in range(t, ROWS):
                expected[t] += (DISCOUNT * TRACE) ** (u - t) * delta[u]
                if ended[u]:
                    break
        numbers = (jnp.asarray(x, kind) for x in (reward, value, value_next))
        found = gae(
            *numbers, jnp.asarray(terminated), jnp.asarray(ended), discount=DISCOUNT, trace=TRACE
        )
        worst = max(worst, float(np.abs(np.asarray(found) - expected).max()))
    return worst


def factor() -> float:
    """Relative error of HAPPO's last factor, ``Π_k π_new(a_k) / π_old(a_k)``."""
    env, algorithm = us.envs.make("spread"), us.HAPPO(envs=16, rollout=25, epochs=3)
    keys = jax.random.split(jax.random.key(0), 3)
    state = algorithm.init(env.spec, None, keys[0])
    policy = algorithm.policy(state, "explore")
    actor = rollout.begin(env, policy, keys[1], envs=algorithm.envs)
    rows = rollout.collect(env, policy, actor, keys[2], steps=algorithm.rollout)[1]
    experience, _, _ = look_back(
        state.params, state.seen, rows, env.spec,
        discount=DISCOUNT, trace=TRACE, keep=0.9, advantage="individual",
    )  # fmt: skip
    learned, _, metrics = algorithm._actors(state, experience, jnp.int32(0), jnp.float32(1e-3))
    new, old = (params.log_prob(rows)[0]["agents"] for params in (learned, state.params))
    expected = float(jnp.exp((new - old).sum(-1)).mean())
    return abs(float(metrics["factor"]) - expected) / expected


def in_turn() -> float:
    """Largest difference of log-probabilities between decoding at once and in turn."""
    env = us.envs.make("spread:agents=8")
    team = us.MAT(width=32, blocks=2, heads=2).network.init(env.spec, jax.random.key(0))
    team = orthogonal(team, jax.random.key(1), gain=1.0)

    def compare(key: jax.Array) -> jax.Array:
        seen = env.reset(key)[1]
        actions, log_probs = team.decode(seen, key, "sample")
        seen, actions = jax.tree.map(lambda leaf: leaf[None, None], (seen, actions))
        taught = team.evaluate(ActedRows(seen, actions, jnp.zeros((1, 1), bool), ()))
        return jnp.abs(taught.log_probs["agents"][0, 0] - log_probs["agents"]).max()

    keys = jax.random.split(jax.random.key(2), 200)
    return float(jax.jit(jax.vmap(compare))(keys).max())


def illegal() -> int:
    """Illegal choices among a million draws, each with masks and logits of its own."""
    spec = us.ActionSpec((5, 3))

    def draw(key: jax.Array) -> jax.Array:
        keys = jax.random.split(key, 3)
        legal = jax.random.bernoulli(keys[0], 0.5, (8,)).at[jnp.array([0, 5])].set(True)
        head = 20.0 * jax.random.normal(keys[1], (8,))
        found = ActionDistribution.from_head(head, jnp.zeros(0), spec, legal=legal)
        action = found.sample(keys[2]).astype(jnp.int32)
        return ~legal[action[0]] | ~legal[5 + action[1]]

    keys = jax.random.split(jax.random.key(3), 1_000_000)
    return int(jax.jit(jax.vmap(draw))(keys).sum())


def main() -> None:
    with jax.enable_x64(True):
        exact = advantages(jnp.float64)
    figures = {
        "advantages in float64, largest error": (exact, 1e-6, "<="),
        "factor of HAPPO, relative error": (factor(), 1e-5, "<="),
        "transformer in turn and at once, largest difference": (in_turn(), 1e-5, "<="),
        "illegal choices of 1,000,000": (illegal(), 0, "=="),
    }
    rows = [{"what": what, "measured": found} for what, (found, _, _) in figures.items()]
    what = "advantages in float32 (of size 10), largest error"
    rows.append({"what": what, "measured": advantages(jnp.float32)})
    targets = [
        target(f"B1.2{letter}", what, comparator, wanted, found)
        for letter, (what, (found, wanted, comparator)) in zip("abcd", figures.items(), strict=True)
    ]
    write("parity", command=command(), seeds=[0], rows=rows, targets=targets, part="optimisers")
    print(table(rows))
    print(summary(targets))


if __name__ == "__main__":
    main()
