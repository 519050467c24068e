import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from understudy.networks.actor_critic import ActorCritic
from understudy.networks.following import Following
from understudy.networks.policy import ActedRows
from understudy.specs import ActionSpec, Group, Spec
from understudy.types import Observation, UserError

INF = float("inf")
STATE = ActionSpec((3, 35), (-INF, -INF), (INF, INF))
SPEC = Spec((
    Group("agent", 1, 40, ActionSpec((), (-INF,), (INF,))),
    Group("environment", 1, 40, STATE, sees=("agent",), advances=True, constant=(0,)),
))  # fmt: skip


def seen(first=1, second=34, values=(0.5, -8.0)):
    features = jnp.concatenate([jnp.eye(3)[first], jnp.eye(35)[second], jnp.array(values)])[None]
    legal = {
        "agent": jnp.ones((1, 0), bool),
        "environment": SPEC["environment"].stays_legal(features),
    }
    alive = {name: jnp.ones(1, bool) for name in SPEC.names}
    return Observation(dict.fromkeys(SPEC.names, features), alive, legal)


def test_at_the_beginning_everything_probably_stays_as_it_is():
    network = ActorCritic(hidden=(8,)).init(SPEC, jax.random.key(0))
    action, _ = network.act(seen(), (), jax.random.key(1), "mode")
    np.testing.assert_allclose(action["environment"], [[1, 34, 0.5, -8.0]], atol=0.15)
    assert action["agent"].shape == (1, 1)


def test_what_never_changes_is_certain_and_the_rest_is_not():
    network = ActorCritic(hidden=(8,)).init(SPEC, jax.random.key(0))
    action = {"agent": jnp.zeros((1, 1)), "environment": jnp.array([[1.0, 34.0, 0.5, -8.0]])}
    rows = jax.tree.map(lambda leaf: leaf[None, None], (seen(), action, jnp.array(True)))
    found = network.predictions(ActedRows(*rows, ()))["environment"]
    logs = found.log_probs(rows[1]["environment"])[0, 0, 0]
    assert logs[0] == 0.0
    assert found.entropies()[0, 0, 0, 0] == 0.0
    # the bonus is 2: e² / (e² + 34), but for a head of small weights
    np.testing.assert_allclose(jnp.exp(logs[1]), np.exp(2) / (np.exp(2) + 34), rtol=0.15)


def test_a_choice_among_many_can_be_as_good_as_certain():
    follows = Following(jnp.array([0.0, 20.0]))
    head, _ = follows(STATE, jnp.zeros(42), seen().features["agent"][0], jnp.ones(2))
    assert jax.nn.softmax(head[3:38])[34] > 0.9999
    np.testing.assert_allclose(jax.nn.softmax(head[:3]), np.full(3, 1 / 3), rtol=1e-6)


def test_deviations_depend_on_the_outputs_and_have_a_floor():
    follows = Following(jnp.zeros(2))
    outputs = jnp.zeros(42).at[40:].set(jnp.array([2.0, -1e6]))
    _, std = follows(STATE, outputs, seen().features["agent"][0], jnp.array([0.5, 1e-9]))
    wider = np.exp(5 * np.tanh(2 / 5))
    np.testing.assert_allclose(std, [0.001 + 0.5 * wider, 0.001], rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"observation": 39}, "40 features which everybody observes next"),
        ({"agents": 2}, "one group of one agent"),
        ({"constant": (2,)}, r"constant sections among \[0, 1\]"),
    ],
)
def test_a_group_that_advances_decides_all_that_is_observed(change, message):
    with pytest.raises(UserError, match=message):
        Spec((SPEC.groups[0], dataclasses.replace(SPEC.groups[1], **change)))
