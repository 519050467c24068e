"""The conformance suite passes sound envs, and says of each broken one which promise it broke."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from contracts.envs import Home, HomeSimulator, Whisper
from understudy import envs
from understudy.envs import conformance
from understudy.envs.actions import clip
from understudy.envs.host import Batched
from understudy.types import ActionSpec, Group, Observation, Spec, Step, UserError

replace = dataclasses.replace


@pytest.mark.parametrize(
    "env",
    [
        *(Home(), Home(agents=2, capacity=4), Whisper()),
        *(envs.make(n) for n in ("xor", "roles", "market", "predator-prey", "box-bumper")),
    ],
    ids=[
        *("home", "padded", "two groups", "xor", "roles", "market"),
        *("predator-prey", "box-bumper"),
    ],
)
def test_sound_envs_pass(env):
    conformance.check(env, steps=6)


def _unchecked(value, **changes):
    """`value` with fields that its types would refuse."""
    found = object.__new__(type(value))
    for field in dataclasses.fields(value):
        object.__setattr__(found, field.name, changes.get(field.name, getattr(value, field.name)))
    return found


class Changed(Home):
    """Home, whose steps go through `change`, and observations through `seen`."""

    def change(self, before, action, after, step):
        return after, step

    def step(self, state, action, key):
        after, step = super().step(state, action, key)
        return self.change(state, action, after, step)


class NewSpec(Home):
    """1: the spec changes."""

    @property
    def spec(self):
        return replace(super().spec, horizon=int(np.random.randint(1 << 30)))


class ListSpec(Home):
    """1: the spec cannot be hashed."""

    @property
    def spec(self):
        group = _unchecked(super().spec.groups[0], features=["x"])
        return Spec((group,), horizon=5)


class Forgetful(Home):
    """2: reset draws from elsewhere."""

    def reset(self, key):
        return super().reset(jax.random.key(np.random.randint(1 << 30)))


class Shaken(Changed):
    """2: step draws from elsewhere."""

    def change(self, before, action, after, step):
        return (after[0] + np.random.rand(), after[1]), step


@jax.custom_batching.custom_vmap
def sum_over_batch(place):
    return place


@sum_over_batch.def_vmap
def _(size, batched, place):
    return jnp.broadcast_to(place.sum(0, keepdims=True), place.shape), True


class Glued(Changed):
    """2: what one env does reaches another."""

    def change(self, before, action, after, step):
        return after, replace(step, reward={"agents": sum_over_batch(after[0])})


class WrongLanes(Home):
    """2: it claims that arrays may have an axis of envs last, and takes it for another."""

    lanes = True

    def step(self, state, action, key):
        place, _ = state
        if place.ndim == 1:
            return super().step(state, action, key)
        state, action = jax.tree.map(lambda leaf: leaf[..., 0], (state, action))
        found = super().step(state, action, key)
        return jax.tree.map(lambda leaf: jnp.stack([leaf, jnp.zeros_like(leaf)], -1), found)


class PythonState(Home):
    """3: a number in its state is not an array."""

    def reset(self, key):
        (place, _), observation = super().reset(key)
        state: Any = (place, 0)
        return state, observation


class Growing(Changed):
    """3: the state grows."""

    def change(self, before, action, after, step):
        return (jnp.concatenate([after[0], jnp.zeros(1)])[:3], after[1]), step


class Wide(Home):
    """4: more features than the spec says."""

    def observe(self, place):
        seen = super().observe(place)
        return replace(seen, features={"agents": jnp.tile(seen.features["agents"], (1, 2))})


class Whole(Home):
    """4: features are integers."""

    def observe(self, place):
        seen = super().observe(place)
        features = {"agents": seen.features["agents"].astype(jnp.int32)}
        return _unchecked(seen, features=features)


class TeamReward(Changed):
    """4: one reward for all."""

    def change(self, before, action, after, step):
        return after, _unchecked(step, reward={"agents": step.reward["agents"].sum()})


class TwoFlags(Changed):
    """4: a flag per agent."""

    def change(self, before, action, after, step):
        return after, replace(step, terminated=jnp.zeros(2, bool))


class Success(Changed):
    """4: success is a number."""

    def change(self, before, action, after, step):
        return after, replace(step, info={"success": jnp.ones(())})


class NoState(Home):
    """4: the spec promises a state."""

    @property
    def spec(self):
        return replace(super().spec, state=3)


class Infinite(Home):
    """5: features are not finite."""

    def observe(self, place):
        seen = super().observe(place)
        return replace(seen, features={"agents": seen.features["agents"] / 0})


class LateNan(Changed):
    """5: after the end numbers are not finite."""

    def change(self, before, action, after, step):
        late = jnp.where(after[1] > self.horizon, jnp.nan, 0.0)
        return after, replace(step, reward={"agents": step.reward["agents"] + late})


class Unbounded(Changed):
    """6: actions come back out of bounds."""

    def change(self, before, action, after, step):
        return after, replace(step, action=action)


class Halved(Changed):
    """6: actions come back changed."""

    def change(self, before, action, after, step):
        return after, replace(step, action={"agents": step.action["agents"] / 2})


@dataclasses.dataclass(frozen=True)
class Chooser:
    """Two agents choose of three; the last choice is never legal."""

    legal: tuple[bool, ...] = (True, True, False)
    obeys: bool = True

    @property
    def spec(self):
        return Spec((Group("agents", 2, 1, ActionSpec(sections=(3,))),), horizon=2)

    def observe(self):
        legal = jnp.tile(jnp.array(self.legal), (2, 1))
        features, alive = {"agents": jnp.ones((2, 1))}, {"agents": jnp.ones(2, bool)}
        return Observation(features, alive, {"agents": legal})

    def reset(self, key):
        return jnp.zeros((), jnp.int32), self.observe()

    def step(self, state, action, key):
        done = clip(ActionSpec(sections=(3,)), action["agents"])
        done = jnp.minimum(done, 1.0) if self.obeys else done
        over = state >= 1
        return state + 1, Step(
            self.observe(), {"agents": done}, {"agents": jnp.zeros(2)}, jnp.asarray(False), over
        )


class Ghosts(Home):
    """8: agents that are not alive observe something."""

    def observe(self, place):
        seen = super().observe(place)
        return replace(seen, features={"agents": place[:, None]})


class Haunted(Changed):
    """8: what agents that are not alive do is paid for."""

    def change(self, before, action, after, step):
        paid = step.reward["agents"] + action["agents"].sum()
        return after, replace(step, reward={"agents": paid})


class Endless(Changed):
    """9: the horizon is not kept."""

    def change(self, before, action, after, step):
        return after, replace(step, truncated=jnp.asarray(False))


class Restarting(Changed):
    """9: it begins again by itself."""

    def change(self, before, action, after, step):
        return (after[0], jnp.where(step.truncated, 0, after[1])), step


@pytest.mark.parametrize(
    ("env", "sentence"),
    [
        (NewSpec(), "the same spec every time"),
        (ListSpec(), "a spec that is hashable"),
        (Forgetful(), "reset with the same key gives another state"),
        (Shaken(), "step differs when compiled"),
        (Glued(), "step differs when batched"),
        (WrongLanes(), "step differs with an axis of envs last"),
        (PythonState(), "a state made of JAX arrays, found int"),
        (Growing(), "expected .* to keep structure, shapes and types"),
        (Wide(), r"expected features \(2, 1\)"),
        (Whole(), "expected float32 features"),
        (TeamReward(), "one finite float32 reward per agent"),
        (TwoFlags(), "expected terminated to be one bool"),
        (Success(), "expected success to be one bool"),
        (NoState(), "expected a state of 3 numbers, found 0"),
        (Infinite(), "expected finite features"),
        (LateNan(), "one finite float32 reward per agent"),
        (Unbounded(), "as the env executed them, inside their bounds"),
        (Halved(), "legal actions of group 'agents' within bounds to be executed as they are"),
        (Chooser(obeys=False), "as the env executed them, legal"),
        (Chooser(legal=(False,) * 3), "a legal choice in every section for live agents"),
        (Ghosts(capacity=3), "features 0 of agents of 'agents' that are not alive"),
        (Haunted(capacity=3), "what agents that are not alive do changes the game"),
        (Endless(), "expected episodes of at most 5 steps, found one of 6"),
        (Restarting(), "over after its horizon of 5 steps and stays over"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_what_is_wrong_is_named(env, sentence):
    with pytest.raises(UserError, match=sentence):
        conformance.check(env, steps=6)


def test_a_sound_chooser_passes():
    conformance.check(Chooser(), steps=6)


class Careless(HomeSimulator):
    """Does not follow from its seed."""

    def step(self, actions):
        self.place = self.place + np.random.rand(self.agents).astype(np.float32)
        return super().step(actions)


def test_a_host_env_that_does_not_follow_from_its_seeds_is_named():
    conformance.check_host(Batched(HomeSimulator, envs=2), steps=7)
    with pytest.raises(UserError, match="the same seeds and actions give other steps"):
        conformance.check_host(Batched(Careless, envs=2), steps=2)


def test_actions_are_clipped_section_by_section():
    spec = ActionSpec(sections=(3, 2), low=(-1.0,), high=(float("inf"),))
    asked = jnp.array([[-2.0, 1.4, -3.0], [2.6, 0.6, 9.0]])
    np.testing.assert_array_equal(clip(spec, asked), [[0.0, 1.0, -1.0], [2.0, 1.0, 9.0]])


def test_an_unknown_game_is_named():
    with pytest.raises(UserError, match="expected one of the games"):
        envs.make("chess")
    assert envs.Batched is not None
    with pytest.raises(AttributeError, match="no attribute 'chess'"):
        _ = envs.chess
