"""JAX peer: independent PPO on JaxMARL's spread, by the recipe of its script ``ippo_ff_mpe``.

The game and its logging wrapper come from the ``jaxmarl`` wheel, which holds no training script;
the recipe (PureJaxRL's, Lu et al. 2022) is written here anew with flax and optax: two networks of
tanh layers, orthogonal (gain sqrt 2; 0.01 and 1 at the outputs), shared by all agents; actions
sampled and values kept as it acts; whole rollout shuffled over time, envs and agents each epoch;
advantages normalised per minibatch; values clipped like ratios; Adam (1e-5) whose rate falls
linearly to 0; gradients clipped to a norm of 0.5; one program for all updates, seeds vmapped.
Each agent learns from its own reward, unscaled. Its episodes have 26 steps. Checked once against
that script (commit c793d09, its own settings, jax 0.10.2): 1.09 times its env steps per second in
processor time of one core, 1.05 to 1.13 times on two cores.

One JSON object is printed, or with ``--serve`` one when warm and one per line on standard input.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

GAMMA, LAMBDA, CLIP, ENTROPY, VALUE, NORM = 0.99, 0.95, 0.2, 0.01, 0.5, 0.5
EPISODE = 25
"""Steps counted by an evaluation: an episode by the rules of MPE."""


class ActorCritic(nn.Module):
    """Logits and value of one agent's observation."""

    hidden: tuple[int, ...]
    choices: int

    @nn.compact
    def __call__(self, x: Any) -> tuple[Any, Any]:
        def net(outputs: int, gain: float) -> Any:
            y = x
            for width in self.hidden:
                y = nn.tanh(nn.Dense(width, kernel_init=nn.initializers.orthogonal(2**0.5))(y))
            return nn.Dense(outputs, kernel_init=nn.initializers.orthogonal(gain))(y)

        return net(self.choices, 0.01), net(1, 1.0)[..., 0]


class Row(NamedTuple):
    """One step of every actor, ``[actors]``: agents first, envs within."""

    observation: Any
    action: Any
    log_prob: Any
    value: Any
    reward: Any
    done: Any
    info: Any


class Carry(NamedTuple):
    """What goes from one update to the next."""

    params: Any
    adam: Any
    state: Any
    observation: Any
    key: Any


def chosen(logits: Any, action: Any) -> tuple[Any, Any]:
    """Log-probability of `action`, and the entropy."""
    log_probs = jax.nn.log_softmax(logits)
    picked = jnp.take_along_axis(log_probs, action[..., None], -1)[..., 0]
    return picked, -(jnp.exp(log_probs) * log_probs).sum(-1)


class Recipe:
    """The program for one setting of the command line."""

    def __init__(self, options: argparse.Namespace) -> None:
        import jaxmarl
        from jaxmarl.wrappers.baselines import MPELogWrapper

        self.game = jaxmarl.make("MPE_simple_spread_v3")
        self.envs, self.rollout = options.envs, options.rollout
        self.epochs, self.minibatches = options.epochs, options.minibatches
        self.env = MPELogWrapper(self.game)
        self.agents = self.game.agents
        self.actors = len(self.agents) * self.envs
        choices = self.game.action_space(self.agents[0]).n
        self.size = self.game.observation_space(self.agents[0]).shape[0]
        self.network = ActorCritic(tuple(options.hidden), choices)
        self.updates = max(1, options.steps // (self.envs * self.rollout))
        each = self.epochs * self.minibatches

        def rate(count: Any) -> Any:
            return 2.5e-4 * (1 - (count // each) / self.updates)

        self.adam = optax.chain(optax.clip_by_global_norm(NORM), optax.adam(rate, eps=1e-5))

    def stacked(self, each: dict[str, Any]) -> Any:
        """A mapping by agent, ``[envs, ...]`` each, as ``[actors, ...]``."""
        values = jnp.stack([each[agent] for agent in self.agents])
        return values.reshape((self.actors, *values.shape[2:]))

    def begin(self, key: Any) -> Carry:
        """Fresh weights and games."""
        net_key, env_key, key = jax.random.split(key, 3)
        params = self.network.init(net_key, jnp.zeros(self.size))
        observation, state = jax.vmap(self.env.reset)(jax.random.split(env_key, self.envs))
        return Carry(params, self.adam.init(params), state, observation, key)

    def act(self, carry: Carry, _: Any) -> tuple[Carry, Row]:
        """One step of every game, which resets itself."""
        key, act_key, env_key = jax.random.split(carry.key, 3)
        seen = self.stacked(carry.observation)
        logits, value = self.network.apply(carry.params, seen)
        action = jax.random.categorical(act_key, logits)
        log_prob, _ = chosen(logits, action)
        split = action.reshape(len(self.agents), self.envs)
        actions = {agent: split[i] for i, agent in enumerate(self.agents)}
        keys = jax.random.split(env_key, self.envs)
        observation, state, reward, done, info = jax.vmap(self.env.step)(keys, carry.state, actions)
        row = Row(seen, action, log_prob, value, self.stacked(reward), self.stacked(done), info)
        return carry._replace(state=state, observation=observation, key=key), row

    def collect(self, carry: Carry) -> tuple[Carry, Row]:
        """A rollout ``[time, actors]``."""
        return jax.lax.scan(self.act, carry, None, self.rollout)

    def advantages(self, carry: Carry, rows: Row) -> tuple[Any, Any]:
        """Generalised advantages and the targets of the values."""
        _, last = self.network.apply(carry.params, self.stacked(carry.observation))

        def back(later: tuple[Any, Any], row: Row) -> tuple[tuple[Any, Any], Any]:
            advantage, value_next = later
            goes_on = GAMMA * (1 - row.done)
            delta = row.reward + goes_on * value_next - row.value
            advantage = delta + LAMBDA * goes_on * advantage
            return (advantage, row.value), advantage

        start = (jnp.zeros_like(last), last)
        _, advantages = jax.lax.scan(back, start, rows, reverse=True, unroll=8)
        return advantages, advantages + rows.value

    def loss(self, params: Any, rows: Row, advantage: Any, target: Any) -> tuple[Any, Any]:
        """Clipped surrogate, clipped value error, entropy."""
        logits, value = self.network.apply(params, rows.observation)
        log_prob, entropy = chosen(logits, rows.action)
        near = rows.value + jnp.clip(value - rows.value, -CLIP, CLIP)
        value_loss = 0.5 * jnp.maximum((value - target) ** 2, (near - target) ** 2).mean()
        advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
        ratio = jnp.exp(log_prob - rows.log_prob)
        bounded = jnp.clip(ratio, 1 - CLIP, 1 + CLIP)
        actor_loss = -jnp.minimum(ratio * advantage, bounded * advantage).mean()
        total = actor_loss + VALUE * value_loss - ENTROPY * entropy.mean()
        return total, {"value": value_loss, "actor": actor_loss, "entropy": entropy.mean()}

    def learn(self, carry: Carry, rows: Row) -> tuple[Carry, dict[str, Any]]:
        """All epochs over one rollout."""
        size = self.rollout * self.actors
        batch = (rows._replace(info=(), reward=(), done=()), *self.advantages(carry, rows))

        def minibatch(state: tuple[Any, Any], part: tuple[Row, Any, Any]) -> Any:
            params, adam = state
            (total, parts), gradient = jax.value_and_grad(self.loss, has_aux=True)(params, *part)
            change, adam = self.adam.update(gradient, adam)
            return (optax.apply_updates(params, change), adam), {"total": total, **parts}

        def epoch(state: Any, key: Any) -> Any:
            order = jax.random.permutation(key, size)

            def part(leaf: Any) -> Any:
                shuffled = jnp.take(leaf.reshape((size, *leaf.shape[2:])), order, axis=0)
                return shuffled.reshape((self.minibatches, -1, *leaf.shape[2:]))

            return jax.lax.scan(minibatch, state, jax.tree.map(part, batch))

        key, *keys = jax.random.split(carry.key, self.epochs + 1)
        state = carry.params, carry.adam
        (params, adam), losses = jax.lax.scan(epoch, state, jnp.stack(keys))
        metrics = jax.tree.map(jnp.mean, {**losses, **rows.info})
        return carry._replace(params=params, adam=adam, key=key), metrics

    def update(self, carry: Carry) -> tuple[Carry, dict[str, Any]]:
        """One rollout and what is learnt from it."""
        return self.learn(*self.collect(carry))

    def evaluate(self, params: Any, key: Any, episodes: int) -> tuple[Any, Any]:
        """Mean return of an agent in an episode: actions sampled, and the likeliest ones."""

        def play(key: Any, greedy: bool) -> Any:
            reset_key, key = jax.random.split(key)

            def row(carry: tuple[Any, Any], key: Any) -> tuple[tuple[Any, Any], Any]:
                observation, state = carry
                act_key, step_key = jax.random.split(key)
                logits, _ = self.network.apply(params, jnp.stack(list(observation.values())))
                best, drawn = logits.argmax(-1), jax.random.categorical(act_key, logits)
                action = dict(zip(self.agents, best if greedy else drawn, strict=True))
                observation, state, reward, _, _ = self.game.step_env(step_key, state, action)
                return (observation, state), jnp.stack(list(reward.values())).mean()

            begun = self.game.reset(reset_key)
            _, rewards = jax.lax.scan(row, begun, jax.random.split(key, EPISODE))
            return rewards.sum()

        keys = jax.random.split(key, episodes)
        means = (jax.vmap(partial(play, greedy=g))(keys).mean() for g in (False, True))
        sampled, greedy = means
        return sampled, greedy


def repeated(step: Callable[[Any], tuple[Any, Any]], carry: Any, count: Any) -> tuple[Any, Any]:
    """`count` times `step`, and the sum of all it reports."""
    shapes = jax.eval_shape(step, carry)[1]
    zero = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)

    def body(_: Any, loop: tuple[Any, Any]) -> tuple[Any, Any]:
        carry, total = loop
        carry, found = step(carry)
        return carry, jax.tree.map(jnp.add, total, found)

    return jax.lax.fori_loop(0, count, body, (carry, zero))


class Programs:
    """What is compiled: beginning, training, evaluating, and the two halves of an update."""

    def __init__(self, recipe: Recipe, seeds: int, episodes: int) -> None:
        self.recipe = recipe

        def over(function: Callable[..., Any], in_axes: Any = 0) -> Any:
            return jax.jit(jax.vmap(function, in_axes) if seeds > 1 else function)

        def collect(carry: Carry) -> tuple[Carry, Any]:
            carry, rows = recipe.collect(carry)
            return carry, jax.tree.map(lambda leaf: leaf.astype(jnp.float32).sum(), rows)

        self.begin = over(recipe.begin)
        self.advance = over(lambda carry, n: repeated(recipe.update, carry, n), (0, None))
        self.collect = over(lambda carry, n: repeated(collect, carry, n), (0, None))
        self.rollout = over(recipe.collect)
        self.learn = over(
            lambda carry, rows, n: repeated(lambda c: recipe.learn(c, rows), carry, n),
            (0, 0, None),
        )

        def evaluate(carry: Carry, key: Any) -> tuple[Any, Any]:
            return recipe.evaluate(carry.params, key, episodes)

        self.evaluate = over(evaluate, (0, None))

    def halves(self, carry: Carry, count: int) -> dict[str, float]:
        """Seconds of one update spent on collecting and on learning, each measured alone."""
        carry, rows = self.rollout(carry)
        calls = {
            "collect": lambda n: self.collect(carry, n),
            "learn": lambda n: self.learn(carry, rows, n),
        }
        seconds = {}
        for name, call in calls.items():
            jax.block_until_ready(call(1))
            start = time.perf_counter()
            jax.block_until_ready(call(count))
            seconds[f"{name}_seconds"] = (time.perf_counter() - start) / count
        return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=10_000_000, help="env steps of each seed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=1, help="trained at once")
    parser.add_argument("--envs", type=int, default=16)
    parser.add_argument("--rollout", type=int, default=128)
    parser.add_argument("--hidden", type=int, nargs="*", default=[64, 64])
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--minibatches", type=int, default=4)
    parser.add_argument("--at", type=int, nargs="*", default=[], help="evaluate after these steps")
    parser.add_argument("--episodes", type=int, default=200)
    parser.add_argument("--profile", type=int, default=0, help="updates to time the halves with")
    parser.add_argument("--serve", action="store_true", help="train for every line received")
    options = parser.parse_args()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # the package prints what it could not import
    recipe = Recipe(options)
    programs = Programs(recipe, options.seeds, options.episodes)
    keys = [jax.random.key(options.seed + i) for i in range(options.seeds)]
    key = jnp.stack(keys) if options.seeds > 1 else keys[0]
    each = recipe.envs * recipe.rollout

    start = time.perf_counter()
    first = programs.begin(key)
    jax.block_until_ready(programs.advance(first, 1))
    about: dict[str, Any] = {
        "framework": f"jax {jax.__version__}, jaxmarl {importlib.metadata.version('jaxmarl')}",
        "first_step_seconds": time.perf_counter() - start,
        "steps": recipe.updates * each * options.seeds,
        "updates": recipe.updates,
        "seeds": options.seeds,
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(first.params)) // options.seeds,
    }
    if options.profile:
        about |= programs.halves(first, options.profile)
    stops = sorted({*(min(at // each, recipe.updates) for at in options.at), recipe.updates})
    if options.serve:
        print(json.dumps(about), file=answers, flush=True)
    for _ in sys.stdin if options.serve else range(1):
        carry, done, seconds, checksum, found = first, 0, 0.0, 0.0, []
        for stop in stops:
            start = time.perf_counter()
            carry, metrics = jax.block_until_ready(programs.advance(carry, stop - done))
            seconds += time.perf_counter() - start
            checksum += float(sum(leaf.sum() for leaf in jax.tree.leaves(metrics)))
            done = stop
            if options.at:
                sampled, greedy = programs.evaluate(carry, jax.random.key(1_000_000))
                values = {"sampled": sampled.tolist(), "greedy": greedy.tolist()}
                found.append({"steps": stop * each, **values})
        timing = {
            "steps_per_second": about["steps"] / seconds,
            "seconds_per_step": seconds / about["steps"],
            "sequences": 1,
            "evaluations": found,
            "load": os.getloadavg()[0],
            "checksum": checksum,
        }
        print(json.dumps({**about, **timing}), file=answers, flush=True)


if __name__ == "__main__":
    main()
