"""Populations: rows that are learned from, how they are read, and whether they come back."""

import dataclasses
import os
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from understudy.algorithms.population import Population
from understudy.data.demonstrations import Demonstrations
from understudy.data.readers import transitions
from understudy.experiment import checkpoint, config, folder
from understudy.experiment.train import resume, train
from understudy.functional import marginals
from understudy.networks.population import KNOTS, NormalScores, knots
from understudy.types import ActionSpec, Batch, Group, Observation, Spec, UserError, Window

INF = float("inf")
SPEC = Spec((Group("state", 1, 6, ActionSpec((2, 3), (-INF,), (INF,)), advances=True),))


def twins(rows, seed):
    """Two choices of 0.3 and 0.7; with the first the second column is 0 and the level about -1,
    with the other 1 or 2 and about 3."""
    rng = np.random.default_rng(seed)
    kind = (rng.random(rows) < 0.7).astype(int)
    mood = np.where(kind == 0, 0, 1 + (rng.random(rows) < 0.5))
    level = np.where(kind == 0, -1.0, 3.0) + 0.3 * rng.normal(size=rows)
    return np.concatenate([np.eye(2)[kind], np.eye(3)[mood], level[:, None]], 1).astype(np.float32)


def table(rows):
    """A plain table as a log: sessions of one row, nobody acts."""
    count = len(rows)
    labels = {"episode": np.arange(count).astype(str), "source": np.full(count, "table")}
    alive = {"state": np.ones((count, 1), bool)}
    features = {"state": rows[:, None]}
    return Demonstrations(SPEC, np.arange(count + 1), features, alive, 1.0, "", labels)


def batch_of(rows):
    """Rows as windows of one."""
    lead = (len(rows), 1)
    observed = Observation(
        {"state": jnp.asarray(rows)[:, None, None]}, {"state": jnp.ones((*lead, 1), bool)}
    )
    none = jnp.zeros(lead, bool)
    return Batch(None, Window(observed, none, none, {"state": jnp.zeros((*lead, 1), bool)}))


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """Sessions of 3, 1 and 2 transitions; the level counts rows."""
    names, rows = ["a", "a", "a", "b", "c", "c"], []
    for number, name in enumerate(names):
        now, then = number % 2, (number + 1) % 2
        after = number + 1 if names[number + 1 : number + 2] == [name] else 10 + number
        state = [*np.eye(2)[now], number, 0.5, *np.eye(2)[then], after]
        rows.append(",".join([name, *(f"{x:g}" for x in state)]))
    path = tmp_path_factory.mktemp("log") / "log.csv"
    path.write_text("\n".join(rows) + "\n")
    schema = {
        "state": {"sections": {"mood": 2}, "continuous": ["level"]},
        "action": {"continuous": 1},
        "session": True,
    }
    return transitions.read(path, rate=None, unit=None, say=lambda _: None, schema=schema)


def test_the_rows_that_are_learned_from(log):
    world = log.spec.world.name
    first = Population().prepare(log)
    np.testing.assert_array_equal(first.features[world][:, 0, 2], [0, 3, 4])
    np.testing.assert_array_equal(first.lengths, 1)
    assert first.labels["episode"].tolist() == log.labels["episode"].tolist()
    every = Population(starts="any")
    np.testing.assert_array_equal(every.prepare(log).features[world][:, 0, 2], range(6))
    # of the six rows three have each mood, of the three first ones two have the first
    np.testing.assert_allclose(every.resolve(log).shares, [1 / 2, 1 / 2])
    np.testing.assert_allclose(Population().resolve(log).shares, [2 / 3, 1 / 3])
    assert not any(known.any() for known in every.prepare(log).known_actions().values())


def test_who_is_not_alive_is_not_learned_from():
    rows = twins(8, 0)
    rows[3] = 0.0
    log = table(rows)
    alive = np.ones((8, 1), bool)
    alive[3] = False
    gone = log.replace(alive={"state": alive})
    assert "3" not in Population().prepare(gone).labels["episode"]
    with pytest.raises(UserError, match="expected rows of 'state'"):
        Population().prepare(
            log.replace(
                features={"state": np.zeros((8, 1, 6), np.float32)},
                alive={"state": np.zeros((8, 1), bool)},
            )
        )


def test_values_come_back_and_scores_are_standard_normal():
    rng = np.random.default_rng(0)
    steps, counted = np.exp(rng.normal(size=4_000)), rng.binomial(2, 0.3, 4_000)
    rows = np.stack([steps, counted, np.full(4_000, 7.0)], 1).astype(np.float32)
    columns = NormalScores.of(
        Spec((Group("state", 1, 3, ActionSpec((), (-INF,) * 3, (INF,) * 3), advances=True),)),
        knots(rows),
    )
    scores = np.asarray(columns.read(jnp.asarray(rows), jax.random.key(1)))
    # 4,000 ranks spread evenly: mean within 3 / √4000 of 0; deviation 1 but for kept ends
    np.testing.assert_allclose(scores.mean(0), 0.0, atol=0.05)
    np.testing.assert_allclose(scores.std(0), 1.0, atol=0.03)
    again = np.asarray(columns.write(jnp.asarray(scores)))
    np.testing.assert_array_equal(again[:, 1:], rows[:, 1:])  # steps are exact
    kept = np.abs(scores[:, 0]) < 3.7
    np.testing.assert_allclose(again[kept, 0], rows[kept, 0], rtol=1e-2, atol=1e-3)
    far = np.asarray(columns.write(jnp.full((1, 3), 50.0)))[0]
    np.testing.assert_array_equal(far, rows.max(0))  # nothing outside of what was logged


def test_quantiles_of_few_values_are_their_steps():
    ((ranks, values),) = knots(np.asarray([[0.0], [0.0], [0.0], [5.0]]))
    assert ranks[:4] == (0.0, 0.75, 0.75, 1.0)
    assert values[:4] == (0.0, 0.0, 5.0, 5.0)
    assert len(ranks) == len(values) == KNOTS
    with pytest.raises(UserError, match="expected rows to take quantiles of"):
        knots(np.zeros((0, 1)))


def test_rows_are_exactly_one_hot_and_inside_of_the_log(key):
    rows = twins(200, 0)
    algorithm = Population(**Population.TINY).resolve(table(rows))
    made = algorithm.population(algorithm.init(SPEC, None, key))
    draw = jax.jit(lambda k: made.sample(k, 500))
    found = np.asarray(draw(key))
    assert found.shape == (500, 6)
    for part in (found[:, :2], found[:, 2:5]):
        assert set(np.unique(part)) == {0.0, 1.0}
        np.testing.assert_array_equal(part.sum(1), 1.0)
    assert found[:, 5].min() >= rows[:, 5].min()
    assert found[:, 5].max() <= rows[:, 5].max()
    np.testing.assert_array_equal(draw(key), found)
    assert (np.asarray(draw(jax.random.key(9))) != found).any()
    with pytest.raises(UserError, match="expected a count above 0"):
        made.sample(key, 0)


def test_choices_follow_the_logits_and_gradients_go_through_them(key):
    algorithm = Population(**Population.TINY).resolve(table(twins(200, 0)))
    generator = algorithm.init(SPEC, None, key).generator

    def first(generator, temperature):
        return generator(key, 2_000, temperature)[0][:, 0].mean()

    rows, shares = jax.jit(lambda k: generator(k, 20_000))(key)
    np.testing.assert_allclose(rows[:, :5].mean(0), shares, atol=0.02)
    both = jax.jit(jax.value_and_grad(first))
    (warm, slope), (cold, _) = (both(generator, t) for t in (2.0, 0.2))
    assert float(warm) == float(cold)
    slope = slope.net.layers[-1].bias
    assert float(slope[0]) > 0 > float(slope[1])
    np.testing.assert_allclose(slope[2:], 0.0, atol=1e-7)


def test_the_divergence_alone_brings_shares_and_scores_to_those_of_the_log(key):
    rows = twins(2_000, 0)
    algorithm = Population(noise=4, hidden=(8,), batch=200, learning_rate=2e-2).resolve(table(rows))
    state = algorithm.init(SPEC, None, key)
    blind = jax.tree.map(jnp.zeros_like, state.discriminator)
    generator, metrics = state.generator, {}

    @jax.jit
    def lower(generator, key):
        draw = jax.value_and_grad(algorithm.drawing, has_aux=True)
        (_, metrics), slope = draw(generator, blind, state, 200, key)
        return jax.tree.map(lambda w, s: w - 0.1 * s, generator, slope), metrics

    for number in range(150):
        generator, metrics = lower(generator, jax.random.fold_in(key, number))
    assert float(metrics["reward"]) == 0.0
    assert float(metrics["divergence"]) < 0.02
    _, shares = generator(jax.random.key(5), 5_000)
    np.testing.assert_allclose(shares, rows[:, :5].mean(0), atol=0.03)


@pytest.mark.parametrize(
    "changes",
    [
        {"objective": "bce+gp", "pack": 2, "discriminator_steps": 2},
        {"objective": "wgan-gp", "reward": "prob", "entropy_weight": 0.5},
        {"objective": "bce", "reward": "neg"},
    ],
)
def test_an_update_moves_every_part_and_says_the_same_things(changes, key):
    rows = twins(8, 0)
    algorithm = Population(**{**Population.TINY, "batch": 8}, **changes).resolve(table(rows))
    state = algorithm.init(SPEC, None, key)
    after, said = jax.jit(algorithm.update)(state, batch_of(rows), jnp.int32(3), key)
    assert set(said) == {
        "discriminator_loss", "expert_score", "policy_score", "reward", "entropy", "divergence",
        "distance", "gradient_norm",
    }  # fmt: skip
    for name in ("generator", "average", "discriminator"):
        one, other = (getattr(s, name) for s in (state, after))
        one, other = (jax.tree.leaves(getattr(net, "net", net).layers[0]) for net in (one, other))
        assert all((a != b).any() for a, b in zip(one, other, strict=True))
    for name in ("columns", "shares"):
        one, other = (jax.tree.leaves(getattr(s, name)) for s in (state, after))
        assert all((a == b).all() for a, b in zip(one, other, strict=True))


@pytest.mark.slow
def test_an_update_is_the_same_uncompiled(key):
    rows = twins(4, 0)
    algorithm = Population(**Population.TINY).resolve(table(rows))
    state = algorithm.init(SPEC, None, key)
    compiled = jax.jit(algorithm.update)(state, batch_of(rows), jnp.int32(3), key)
    with jax.disable_jit():
        plain = algorithm.update(state, batch_of(rows), jnp.int32(3), key)
    for one, other in zip(jax.tree.leaves(plain), jax.tree.leaves(compiled), strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-3, atol=2e-4)


def test_the_discriminator_learns_to_tell_a_log_from_what_is_drawn(key):
    rows = twins(400, 0)
    algorithm = Population(noise=2, hidden=(16,), batch=400, learning_rate=0.0)
    algorithm = algorithm.resolve(table(rows))
    state, update = algorithm.init(SPEC, None, key), jax.jit(algorithm.update)
    metrics = {}
    for step in range(60):
        state, metrics = update(state, batch_of(rows), jnp.int32(step), jax.random.key(step))
    assert float(metrics["expert_score"] - metrics["policy_score"]) > 0.3


@pytest.mark.slow
def test_it_learns_how_columns_depend_on_each_other(tmp_path):
    """Chance agreement of kind and mood would be 0.3² + 0.7² = 0.58."""
    rows, held = twins(4_000, 0), twins(20_000, 1)
    algorithm = Population(noise=8, hidden=(32, 32), batch=200)
    run = train(algorithm, demonstrations=table(rows), steps=1_500, out=tmp_path / "run")
    made = np.asarray(population_of(run).sample(jax.random.key(3), 20_000))
    edges = marginals.quantile_edges(held[:, 5:], 8)
    one, two = (marginals.coded(x, (2, 3), edges) for x in (made, held))
    assert marginals.variations(one, two, (2, 3, 8)).mean() < 0.03
    assert marginals.pair_variations(one, two, (2, 3, 8)).mean() < 0.1
    assert ((one[:, 0] == 0) == (one[:, 1] == 0)).mean() > 0.95


def population_of(run):
    """What a run trained, from its last checkpoint."""
    like = jax.eval_shape(
        lambda: jax.tree.map(
            lambda x: x[None], run.algorithm.init(run.spec, run.statistics, jax.random.key(0))
        )
    )
    states = checkpoint.load(folder.checkpoints(run.folder)[-1], like, ".states")
    return run.algorithm.population(jax.tree.map(lambda x: x[0], states))


def test_a_run_is_kept_whole_and_goes_on(log, tmp_path):
    algorithm = Population(**Population.TINY)
    run = train(algorithm, demonstrations=log, steps=3, out=tmp_path / "run")
    assert run.finished
    assert run.algorithm == algorithm.resolve(log)
    found = population_of(run).sample(jax.random.key(0), 20)
    assert found.shape == (20, 3)
    assert resume(tmp_path / "run", demonstrations=log).step == 3
    again = config.from_json(config.to_json(run.algorithm))
    assert again == run.algorithm


def test_what_does_not_fit_is_said():
    with pytest.raises(UserError, match="multiple of 6"):
        Population(pack=3, discriminator_steps=2, batch=100)
    with pytest.raises(UserError, match="expected noise above 0"):
        Population(noise=0)
    with pytest.raises(UserError, match="temperature above 0"):
        Population(temperature=0.0)
    log = table(twins(20, 0))
    with pytest.raises(UserError, match="starts='any' with actions"):
        Population(starts="any").resolve(log)
    with pytest.raises(UserError, match="call resolve"):
        Population().init(SPEC, None, jax.random.key(0))
    known = dataclasses.replace(Population(), shares=(0.2,) * 5)
    with pytest.raises(UserError, match="expected quantiles of 1"):
        known.init(SPEC, None, jax.random.key(0))
    track = Spec((Group("walkers", 1, 2),))
    walk = {"walkers": np.zeros((1, 1, 2), np.float32)}
    labels = {"episode": np.asarray(["a"]), "source": np.asarray(["s"])}
    tracks = Demonstrations(
        track, np.arange(2), walk, {"walkers": np.ones((1, 1), bool)}, 1.0, "m", labels
    )
    with pytest.raises(UserError, match="decides the next state"):
        Population().resolve(tracks)


@pytest.mark.skipif("UNDERSTUDY_DATA" not in os.environ, reason="needs the shared data")
def test_values_of_a_real_log_come_back(key):
    path = Path(os.environ["UNDERSTUDY_DATA"]) / "virtualtaobao_sas" / "train_data_sas.csv.gz"
    sections = [5, 2, 4, 3, 2, 9, 2, 32, 35, 7, 2, 21, 2, 3, 3]
    schema = {"state": {"sections": sections, "continuous": 23}, "action": {"continuous": 6}}
    log = transitions.read(path, rate=None, unit=None, say=lambda _: None, schema=schema)
    algorithm = Population(starts="any", noise=4, hidden=(8,)).resolve(log)
    rows = algorithm.prepare(log).features[log.spec.world.name][:, 0]
    state = jax.jit(lambda k: algorithm.init(log.spec, None, k))(key)
    scores = jax.jit(NormalScores.read)(state.columns, jnp.asarray(rows), key)
    again = np.asarray(jax.jit(NormalScores.write)(state.columns, scores))
    np.testing.assert_array_equal(again[:, :132], rows[:, :132])
    # within a hundredth of a deviation, but for the ends beyond the furthest rank that is kept
    apart = np.abs(again - rows)[:, 132:] / rows[:, 132:].std(0)
    assert np.quantile(apart, 0.99) < 0.01
    assert np.abs(scores[:, 132:].std(0) - 1.0).max() < 0.1
    made = np.asarray(jax.jit(lambda k: algorithm.population(state).sample(k, 100))(key))
    assert made.shape == (100, 155)
    assert (made.min(0)[132:] >= rows.min(0)[132:]).all()
