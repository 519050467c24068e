"""A log whose law is known, and the simulator that is this law."""

import jax
import jax.numpy as jnp
import numpy as np

from understudy.data.demonstrations import Demonstrations
from understudy.types import ActionSpec, Group, Spec

INF = float("inf")
NAMES = ("kind=0", "kind=1", "mood=0", "mood=1", "mood=2", "level", "knob", "twin")
SPEC = Spec((
    Group("user", 1, 8, ActionSpec((2,), (-INF,), (INF,)), features=NAMES),
    Group("shop", 1, 8, ActionSpec((2, 3), (-INF,) * 3, (INF,) * 3), sees=("user",),
          features=NAMES, advances=True, constant=(0,)),
))  # fmt: skip
SWITCH, NOISE = 0.3, 0.3


class Law:
    """Who gears with chance σ(level), pushes about half of the level; level' = level / 2 + push."""

    spec = SPEC

    def act(self, now, key):
        choose, move = jax.random.split(key)
        gear = jax.random.bernoulli(choose, jax.nn.sigmoid(now[:, 5]))
        push = 0.5 * now[:, 5] + jax.random.normal(move, now[:, 5].shape)
        return jnp.stack([gear.astype(jnp.float32), push], 1)

    def answer(self, now, done, key):
        whether, which, move = jax.random.split(key, 3)
        switches = jax.random.bernoulli(whether, SWITCH, now[:, 0].shape)
        other = (now[:, 2:5].argmax(1) + jax.random.randint(which, now[:, 0].shape, 1, 3)) % 3
        mood = jnp.where(switches[:, None], jax.nn.one_hot(other, 3), now[:, 2:5])
        level = self.expect(now, done)[:, 5]
        level = level + NOISE * jax.random.normal(move, level.shape)
        knob = now[:, 6] + 0.5 * done[:, 1] + 0.1
        return jnp.concatenate([now[:, :2], mood, jnp.stack([level, knob, level], 1)], 1)

    def expect(self, now, done):
        mood = (1 - SWITCH) * now[:, 2:5] + SWITCH / 2 * (1 - now[:, 2:5])
        level = 0.5 * now[:, 5] + done[:, 1]
        knob = now[:, 6] + 0.5 * done[:, 1] + 0.1
        return jnp.concatenate([now[:, :2], mood, jnp.stack([level, knob, level], 1)], 1)

    def expect_action(self, now):
        chance = jax.nn.sigmoid(now[:, 5])
        return jnp.stack([1 - chance, chance, 0.5 * now[:, 5]], 1)

    def act_log_probs(self, now, done):
        gear = jax.nn.log_sigmoid(now[:, 5] * (2 * done[:, 0] - 1))
        push = jax.scipy.stats.norm.logpdf(done[:, 1], 0.5 * now[:, 5])
        return jnp.stack([gear, push], 1)

    def answer_log_probs(self, now, done, after):
        return None


def log(sessions, *, steps=5, seed=0, law=None):
    """Sessions of 1 to `steps` transitions that begin anywhere."""
    law, key = law or Law(), jax.random.key(seed)
    rng = np.random.default_rng(seed)
    level = rng.normal(size=sessions)
    now = np.concatenate([
        np.eye(2)[rng.integers(2, size=sessions)], np.eye(3)[rng.integers(3, size=sessions)],
        np.stack([level, rng.normal(size=sessions), level], 1),
    ], 1).astype(np.float32)  # fmt: skip
    states, acts = [now], []
    for step in range(steps):
        act, answer = jax.random.split(jax.random.fold_in(key, step))
        acts.append(np.asarray(law.act(jnp.asarray(states[-1]), act)))
        after = law.answer(jnp.asarray(states[-1]), jnp.asarray(acts[-1]), answer)
        states.append(np.asarray(after))
    return assembled(states, acts, rng.integers(1, steps + 1, size=sessions))


def assembled(states, acts, lengths):
    """Demonstrations of states ``[steps + 1][sessions, 8]`` and actions, cut to lengths."""
    none = np.zeros((1, 2), np.float32)
    features, user, shop = [], [], []
    for i, count in enumerate(lengths):
        own = np.stack([states[t][i] for t in range(count + 1)])
        features.append(own)
        user.append(np.concatenate([np.stack([acts[t][i] for t in range(count)]), none]))
        chosen = np.stack([own[:, :2].argmax(1), own[:, 2:5].argmax(1)], 1)
        answers = np.concatenate([chosen, own[:, 5:]], 1)
        shop.append(np.concatenate([answers[1:], np.zeros((1, 5))]))
    seen = np.concatenate(features)[:, None]
    count = len(lengths)
    return Demonstrations(
        spec=SPEC,
        starts=np.concatenate([[0], np.cumsum(np.asarray(lengths) + 1)]),
        features={"user": seen, "shop": seen},
        alive={"user": np.ones((len(seen), 1), bool), "shop": np.ones((len(seen), 1), bool)},
        actions={"user": np.concatenate(user)[:, None].astype(np.float32),
                 "shop": np.concatenate(shop)[:, None].astype(np.float32)},
        rate=1.0,
        unit="",
        labels={"episode": np.asarray([f"s{i}" for i in range(count)]),
                "source": np.full(count, "law")},
    )  # fmt: skip
