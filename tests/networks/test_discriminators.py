"""Discriminators: whose observations and actions a score depends on, and on nothing else."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from contracts.envs import MOVE
from understudy.experiment import config as files
from understudy.networks.discriminators import Inputs, MLPDiscriminator, TransformerDiscriminator
from understudy.types import ActionSpec, Group, Observation, Spec, Statistics, UserError

WOLVES = Group("wolves", 3, 4, ActionSpec((3,), (-1.0,), (1.0,)))
SPEC = Spec((WOLVES, Group("sheep", 2, 5, MOVE)))
SIZES = {"wolves": 8, "sheep": 6}
"""4 features, 3 choices and a value; 5 features and a value."""
ALONE = Spec((WOLVES,))
EVERYBODY = {"wolves": jnp.ones(3, bool), "sheep": jnp.ones(2, bool)}
SMALL: dict[str, Any] = {"width": 16, "heads": 2}
MASKS = ("full", "causal", "diagonal")


scored = jax.jit(lambda scorer, inputs, alive: scorer.scores(inputs, alive))


def filled(config: Any, spec: Spec = SPEC, seed: int = 0) -> Any:
    """Weights as they are after learning, without the wait for drawing them orthogonal."""
    shapes = jax.eval_shape(lambda key: config.init(spec, key), jax.random.key(0))
    places, structure = jax.tree_util.tree_flatten_with_path(shapes)
    draw = np.random.default_rng(seed)
    leaves = []
    for path, leaf in places:
        name, noise = jax.tree_util.keystr(path), draw.normal(size=leaf.shape)
        if name.endswith("weight"):
            noise = noise / np.sqrt(leaf.shape[-1])
        elif "identity" not in name:
            noise = 0.1 * noise + float(name.endswith("scale"))
        leaves.append(jnp.asarray(noise, jnp.float32))
    return jax.tree.unflatten(structure, leaves)


def row(number=0, spec=SPEC):
    keys = jax.random.split(jax.random.key(number), len(spec.groups))
    sizes = Inputs.sizes(spec)
    return {
        g.name: jax.random.normal(k, (g.agents, sizes[g.name]))
        for g, k in zip(spec.groups, keys, strict=True)
    }


def all_scores(scorer, inputs, alive=EVERYBODY):
    found = scored(scorer, inputs, alive)
    return np.concatenate([found["wolves"], found["sheep"]])


def depends(scorer, column):
    """``[changed, scored]``: whether a score moves when a number of one agent's changes."""
    plain, rows = all_scores(scorer, row()), []
    for name, agents in (("wolves", 3), ("sheep", 2)):
        for agent in range(agents):
            inputs = row()
            inputs[name] = inputs[name].at[agent, column].add(1.0)
            rows.append(np.abs(all_scores(scorer, inputs) - plain) > 1e-6)
    return np.stack(rows)


@pytest.fixture(scope="module")
def transformers():
    return {mask: filled(TransformerDiscriminator(mask=mask, **SMALL)) for mask in MASKS}


@pytest.mark.parametrize("column", [0, -1], ids=["observation", "action"])
@pytest.mark.parametrize("mask", MASKS)
def test_a_score_depends_on_whom_the_mask_says(transformers, mask, column):
    all_agents = np.ones((5, 5), bool)
    wanted = {"full": all_agents, "causal": np.triu(all_agents), "diagonal": np.eye(5, dtype=bool)}
    np.testing.assert_array_equal(depends(transformers[mask], column), wanted[mask])


def test_all_masks_have_the_same_weights(transformers):
    leaves = [jax.tree.leaves(transformers[mask]) for mask in MASKS]
    for other in leaves[1:]:
        for a, b in zip(leaves[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("attention", ["l2", "vitgan", "dot"])
def test_without_identities_scores_follow_their_agents(attention):
    config = TransformerDiscriminator(attention=attention, identity=False, **SMALL)
    scorer = filled(config, ALONE)
    inputs, alive = row(spec=ALONE), {"wolves": jnp.ones(3, bool)}
    turned = {"wolves": inputs["wolves"][jnp.array([2, 0, 1])]}
    plain, found = (scored(scorer, x, alive)["wolves"] for x in (inputs, turned))
    assert float(jnp.abs(plain[0] - plain[1])) > 1e-3
    np.testing.assert_allclose(found, plain[jnp.array([2, 0, 1])], atol=1e-5)


@pytest.mark.parametrize("identity", [True, False])
def test_it_matters_who_did_what(identity):
    """Two agents that see different things exchange their actions."""
    scorer = filled(TransformerDiscriminator(identity=identity, **SMALL), ALONE)
    inputs, alive = row(spec=ALONE), {"wolves": jnp.ones(3, bool)}
    actions = inputs["wolves"][jnp.array([1, 0, 2]), 4:]
    changed = {"wolves": inputs["wolves"].at[:, 4:].set(actions)}
    plain, found = (scored(scorer, x, alive)["wolves"] for x in (inputs, changed))
    assert (np.abs(plain - found)[:2] > 1e-4).all()


@pytest.mark.parametrize(
    "config",
    [
        TransformerDiscriminator(blocks=2, **SMALL),
        TransformerDiscriminator(mask="causal", **SMALL),
        MLPDiscriminator(hidden=(8,), reads="team"),
        MLPDiscriminator(hidden=(8,), reads="team", sharing="independent"),
    ],
)
def test_the_dead_influence_nobody(config):
    scorer = filled(config)
    alive = {"wolves": jnp.array([True, False, True]), "sheep": jnp.ones(2, bool)}
    other = row()
    other["wolves"] = other["wolves"].at[1].set(9.0)
    live = np.array([0, 2, 3, 4])
    one, two = (all_scores(scorer, x, alive)[live] for x in (row(), other))
    np.testing.assert_array_equal(one, two)
    assert (np.abs(all_scores(scorer, row())[live] - one) > 1e-6)[1:].all()


@pytest.mark.parametrize("mask", ["full", "causal"])
def test_twice_the_places_change_no_score_of_the_living(mask):
    scorer = filled(TransformerDiscriminator(mask=mask, identity=False, **SMALL))
    inputs = {n: jnp.concatenate([x, jnp.full_like(x, 7.0)]) for n, x in row().items()}
    alive = {n: jnp.arange(2 * len(a)) < len(a) for n, a in EVERYBODY.items()}
    plain, found = scored(scorer, row(), EVERYBODY), scored(scorer, inputs, alive)
    for name, scores in plain.items():
        np.testing.assert_allclose(found[name][: len(scores)], scores, atol=1e-5)


def test_identities_are_for_one_number_of_agents(transformers):
    inputs = row() | {"sheep": jnp.zeros((3, 6))}
    with pytest.raises(UserError, match="identity=False"):
        scored(transformers["full"], inputs, EVERYBODY | {"sheep": jnp.ones(3, bool)})


@pytest.mark.parametrize("normalise", [True, False])
def test_layer_normalisation_is_blind_to_a_single_feature(normalise):
    spec = Spec((Group("agents", 2, 1, MOVE),))
    scorer = filled(TransformerDiscriminator(normalise=normalise, **SMALL), spec)
    alive = {"agents": jnp.ones(2, bool)}
    one = scored(scorer, {"agents": jnp.array([[0.5, 0.1], [-1.0, 0.2]])}, alive)["agents"]
    two = scored(scorer, {"agents": jnp.array([[9.0, 0.1], [-1.0, 0.2]])}, alive)["agents"]
    assert bool((jnp.abs(one - two) < 1e-6).all()) == normalise


PERCEPTRONS = {
    "decentralised": ({}, np.eye(5, dtype=bool)),
    "one each": ({"sharing": "independent"}, np.eye(5, dtype=bool)),
    "central": ({"reads": "team"}, np.ones((5, 5), bool)),
    "central, one each": ({"reads": "team", "sharing": "independent"}, np.ones((5, 5), bool)),
    "single": ({"reads": "team", "outputs": "one"}, np.ones((5, 5), bool)),
}


@pytest.mark.parametrize("name", PERCEPTRONS)
def test_perceptrons_read_what_they_should(name):
    given, wanted = PERCEPTRONS[name]
    scorer = filled(MLPDiscriminator(hidden=(8,), **given))
    np.testing.assert_array_equal(depends(scorer, 0), wanted)
    np.testing.assert_array_equal(depends(scorer, -1), wanted)
    scores = all_scores(scorer, row())
    assert (np.ptp(scores) == 0) == (name == "single")


@pytest.mark.parametrize("sharing", ["shared", "independent"])
def test_agents_share_weights_or_have_their_own(sharing):
    """Three agents that see and do the same have one score, or three."""
    scorer = filled(MLPDiscriminator(sharing=sharing, hidden=(8,)))
    inputs = row()
    inputs["wolves"] = jnp.broadcast_to(inputs["wolves"][0], (3, 8))
    found = scored(scorer, inputs, EVERYBODY)["wolves"]
    assert len(np.unique(np.asarray(found))) == (1 if sharing == "shared" else 3)


@pytest.mark.parametrize(
    "config",
    [
        TransformerDiscriminator(dropout=0.3, **SMALL),
        MLPDiscriminator(hidden=(8,), dropout=0.3),
        MLPDiscriminator(hidden=(8,), sharing="independent", dropout=0.3),
        MLPDiscriminator(hidden=(8,), reads="team", dropout=0.3),
    ],
)
def test_rows_are_scored_one_by_one_or_together(config, key):
    """Under vmap and with leading axes; something is dropped only with a key."""
    scorer = filled(config)
    rows = jax.tree.map(lambda *x: jnp.stack(x).reshape(2, 3, *x[0].shape), *map(row, range(6)))
    alive = {n: jnp.broadcast_to(a, (2, 3, *a.shape)) for n, a in EVERYBODY.items()}
    together = scored(scorer, rows, alive)
    each = jax.jit(jax.vmap(jax.vmap(scorer.scores)))(rows, alive)
    dropped = jax.jit(lambda key: scorer.scores(rows, alive, key=key))(key)
    for name in SPEC.names:
        assert together[name].shape == (2, 3, SPEC[name].agents)
        np.testing.assert_allclose(together[name], each[name], atol=1e-5)
        assert (jnp.abs(dropped[name] - together[name]) > 1e-6).any()


@pytest.mark.parametrize(
    ("config", "near"),
    [
        (TransformerDiscriminator(width=8), False),
        (MLPDiscriminator(hidden=(8,), normalisation="improved"), False),
        (MLPDiscriminator(hidden=(8,)), True),
    ],
)
def test_fresh_scores_are_near_0_unless_weights_keep_their_size(config, near, key):
    """And every leaf of fresh weights is an array, also for many seeds at once."""
    alive = {"wolves": jnp.ones(3, bool)}

    def fresh(key):
        scorer = config.init(ALONE, key)
        return scorer, scorer.scores(row(spec=ALONE), alive)["wolves"]

    scorers, scores = jax.jit(jax.vmap(fresh))(jax.random.split(key, 2))
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(scorers))
    assert (np.abs(scores).max() < 0.1) == near
    assert np.abs(scores).max() < 10.0


def test_one_score_of_the_team_reads_the_team():
    with pytest.raises(UserError, match="read the whole team"):
        MLPDiscriminator(outputs="one")
    with pytest.raises(UserError, match="from one network"):
        MLPDiscriminator(reads="team", outputs="one", sharing="independent")
    scorer = filled(MLPDiscriminator(reads="team"))
    inputs = row() | {"sheep": jnp.zeros((3, 6))}
    with pytest.raises(UserError, match="expected 2 agents of group 'sheep'"):
        scored(scorer, inputs, EVERYBODY | {"sheep": jnp.ones(3, bool)})


def test_inputs_are_standardised_features_and_written_actions():
    """(3 - 1) / 2 = 1; a deviation of 0.001 counts as 0.01; choice 2 of 3 and the value 0.5."""
    spec = Spec((Group("agents", 1, 2, ActionSpec((3,), (-1.0,), (1.0,))),))
    mean, std = {"agents": jnp.array([1.0, 0.0])}, {"agents": jnp.array([2.0, 0.001])}
    moments = Statistics(mean, std, mean, mean, std, std, jnp.ones(()))
    seen = Observation({"agents": jnp.array([[3.0, 0.1]])}, {"agents": jnp.ones(1, bool)})
    action = {"agents": jnp.array([[2.0, 0.5]])}
    found = Inputs.of(spec, moments)(seen, action)["agents"]
    np.testing.assert_allclose(found, [[1.0, 10.0, 0.0, 0.0, 1.0, 0.5]], rtol=1e-6)
    plain = Inputs.of(spec, None)(seen, action)["agents"]
    np.testing.assert_allclose(plain, [[3.0, 0.1, 0.0, 0.0, 1.0, 0.5]], rtol=1e-6)
    assert Inputs.sizes(SPEC) == SIZES


def test_a_group_that_cannot_act_has_no_scores():
    with pytest.raises(UserError, match="expected a group that acts"):
        Inputs.of(Spec((Group("birds", 3, 2),)), None)


def test_configurations_are_written_and_read():
    for config in (TransformerDiscriminator(mask="causal"), MLPDiscriminator(reads="team")):
        assert files.from_json(files.to_json(config)) == config


def test_titles_are_those_people_know():
    found = [TransformerDiscriminator(mask=mask).title for mask in MASKS]
    assert found == ["MILD²", "MILD² (causal)", "MILD²-GD"]
    assert MLPDiscriminator().title == "MAGAIL"
    single = dataclasses.replace(MLPDiscriminator(), reads="team", outputs="one")
    assert single.title == "MAGAIL (single)"
