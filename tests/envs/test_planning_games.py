"""Games for planners: literal physics and rewards, walls that hold, and who explores them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import spearmanr

from understudy import envs
from understudy.envs import box_bumper, experts, particles, predator_prey
from understudy.envs.box_bumper import BoxBumper, reach
from understudy.envs.predator_prey import PredatorPrey, chase
from understudy.envs.steering import Steering
from understudy.experiment.collect import collect
from understudy.types import UserError

KEY = jax.random.key(0)
HUNT = PredatorPrey()
BUMP = BoxBumper(action="plane")


@functools.cache
def stepper(env):
    return jax.jit(env.step)


def play(env, positions, actions, velocities=((0, 0), (0, 0))):
    """One step from there: state and step."""
    first, second = env.spec.names
    here, speeds = (jnp.array(x, jnp.float32) for x in (positions, velocities))
    state = particles.Pair(here, speeds, jnp.int32(0))
    asked = jnp.array(actions, jnp.float32)
    return stepper(env)(state, {first: asked[:1], second: asked[1:]}, KEY)


def test_an_agent_gains_speed_then_moves_with_it():
    # 2 * 0.1 along x; 0.75 * 0.4 = 0.3 kept of the prey's, 0.03 of it moved
    after, step = play(HUNT, [(-0.5, 0), (0.5, 0.3)], [(1, 0), (0, 0)], [(0, 0), (0, 0.4)])
    np.testing.assert_allclose(after.velocities, [(0.2, 0), (0, 0.3)], atol=1e-6)
    np.testing.assert_allclose(after.positions, [(-0.48, 0), (0.5, 0.33)], atol=1e-6)
    predator, prey = ([-0.48, 0, 0.2, 0, 0.48, 0], [0.5, 0.33, 0, 0.3, -0.5, -0.33])
    np.testing.assert_allclose(step.observation.features["predator"], [predator], atol=1e-6)
    np.testing.assert_allclose(step.observation.features["prey"], [prey], atol=1e-6)
    state = [-0.48, 0, 0.5, 0.33, 0.2, 0, 0, 0.3]
    np.testing.assert_allclose(step.observation.state, state, atol=1e-6)
    # (0.98, 0.33) apart
    np.testing.assert_allclose(step.reward["predator"], [-1.034070], rtol=1e-5)
    np.testing.assert_allclose(step.reward["prey"], [1.034070], rtol=1e-5)
    # diagonally 0.75 * 0.7 + 0.2 = 0.725 along each axis, cut to a speed of 0.8
    after, _ = play(HUNT, [(-0.5, 0), (0.5, 0.3)], [(1, 1), (0, 0)], [(0.7, 0.7), (0, 0)])
    np.testing.assert_allclose(after.velocities[0], [0.565685] * 2, rtol=1e-5)


def test_the_arena_stops_what_runs_into_it():
    # the predator's centre gets to 1 - 0.075; its speed along the wall, 0.75 * 0.4, stays
    after, _ = play(HUNT, [(-0.9, 0), (0.5, 0)], [(-1, 0), (0, 0)], [(-0.5, 0.4), (0, 0)])
    np.testing.assert_allclose(after.positions[0], [-0.925, 0.03], atol=1e-6)
    np.testing.assert_allclose(after.velocities[0], [0.0, 0.3], atol=1e-6)
    # what leaves a wall keeps its speed
    after, _ = play(BUMP, [(0.8, 0.5), (0, 0.5)], [(-1, 0), (0, 0)])
    np.testing.assert_allclose(after.positions[0], [0.775, 0.5], atol=1e-6)
    np.testing.assert_allclose(after.velocities[0], [-0.25, 0.0], atol=1e-6)


def test_prey_in_the_safe_zone_is_worth_nothing():
    env = PredatorPrey(safe_zone=True)
    still = [(0, 0), (0, 0)]
    for spot, paid in (((0.5, -0.5), 0.0), ((0.39, -0.5), 1.39), ((0.5, -0.39), None)):
        _, step = play(env, [(-1 + 0.075, spot[1]), spot], still)
        wanted = spot[0] + 0.925 if paid is None or paid else 0.0
        np.testing.assert_allclose(step.reward["predator"], [-wanted], atol=1e-6)
        np.testing.assert_allclose(step.reward["prey"], [wanted], atol=1e-6)
        np.testing.assert_allclose(step.info["distance"], spot[0] + 0.925, rtol=1e-6)
    # where the predator is does not matter
    _, step = play(env, [(0.5, -0.5), (-0.5, -0.5)], still)
    np.testing.assert_allclose(step.reward["predator"], [-1.0], rtol=1e-6)


@pytest.mark.parametrize("start", predator_prey.STARTS)
def test_they_start_on_the_sides_of_the_wall_that_were_asked_for(start):
    keys = jax.random.split(KEY, 200)
    state, _ = jax.vmap(PredatorPrey(start=start).reset)(keys)
    x = np.asarray(state.positions)[..., 0]
    same = float((np.sign(x[:, 0]) == np.sign(x[:, 1])).mean())
    low, high = {"any": (0.35, 0.65), "same": (1, 1), "different": (0, 0)}[start]
    assert low <= same <= high
    assert 0.35 < float((x[:, 0] > 0).mean()) < 0.65
    assert np.abs(x).min() >= 0.25


def test_nobody_gets_through_the_wall():
    """Prey runs into the wall's middle with the predator behind it, or both do anything."""
    games, rng = 256, np.random.default_rng(0)
    states, _ = jax.vmap(HUNT.reset, out_axes=(-1, 0))(jax.random.split(KEY, games))
    places = [np.asarray(states.positions)]
    push = np.zeros((2, 2, games), np.float32)
    for t in range(200):
        here = places[-1]
        if t % 8 == 0:
            push = rng.choice(np.array([-1, 0, 1], np.float32), (2, 2, games))
        if t % 40 < 32:
            push[0, :, : games // 2] = np.sign(here[1] - here[0])[:, : games // 2]
            push[1, 0, : games // 2] = -np.sign(here[1, 0, : games // 2])
        asked = {"predator": jnp.asarray(push[:1]), "prey": jnp.asarray(push[1:])}
        states, _ = stepper(HUNT)(states, asked, KEY)
        places.append(np.asarray(states.positions))
    track = np.stack(places)
    crossed = np.sign(track[1:, :, 0]) != np.sign(track[:-1, :, 0])
    height = np.abs(track[1:, :, 1] + track[:-1, :, 1])[crossed] / 2
    assert len(height) > 1000
    assert height.min() > 0.45  # centres of the last discs: all went round the ends


def test_both_discs_push_each_other_in_the_box():
    # 0.39 apart, touching below 0.4: 100 * 0.01 = 1 on each, 2.5 by their own pushes
    after, step = play(BUMP, [(-0.195, 0.5), (0.195, 0.5)], [(1, 0), (-1, 0)])
    np.testing.assert_allclose(after.velocities, [(0.15, 0), (-0.15, 0)], atol=1e-5)
    own = [-0.18, 0.5, 0.15, 0, 0.18, 0.5, -0.15, 0]
    other = [0.18, 0.5, -0.15, 0, -0.18, 0.5, 0.15, 0]
    np.testing.assert_allclose(step.observation.features["runner"], [own], atol=1e-5)
    np.testing.assert_allclose(step.observation.features["blocker"], [other], atol=1e-5)
    # (0.18, 1.2) from the goal
    np.testing.assert_allclose(step.reward["runner"], [-1.213425], rtol=1e-5)
    np.testing.assert_allclose(step.reward["blocker"], [1.213425], rtol=1e-5)
    assert not bool(step.terminated)
    # a disc 0.01 into the flat of the wall and one 0.01 into its round end, 0.48 from the middle
    sides = 0.21 / np.sqrt(2)
    corner = (0.48 + sides, -0.4 + sides)
    after, _ = play(BUMP, [(-0.1, -0.19), corner], [(0, 0), (0, 0)])
    slant = 0.1 / np.sqrt(2)
    np.testing.assert_allclose(after.velocities, [(0, 0.1), (slant, slant)], atol=1e-4)


def test_the_goal_pays_and_ends_the_episode():
    _, step = play(BUMP, [(0.1, -0.7), (0.7, 0)], [(0, 0), (0, 0)])
    np.testing.assert_allclose(step.reward["runner"], [9.9], rtol=1e-6)
    np.testing.assert_allclose(step.reward["blocker"], [-9.9], rtol=1e-6)
    assert bool(step.terminated)
    assert bool(step.info["success"])
    _, step = play(BUMP, [(0.2, -0.7), (0, 0)], [(0, 0), (0, 0)])
    assert not bool(step.terminated)
    assert not bool(step.info["success"])
    # the blocker's arrival is no success
    _, step = play(BUMP, [(0.5, 0.5), (0, -0.7)], [(0, 0), (0, 0)])
    assert not bool(step.terminated)


@pytest.mark.parametrize(
    ("blocker", "ways", "lowest", "highest"),
    [((-0.75, 0.6), (0.65, 0.75, 0.8), -0.8, -0.7), ((0.75, -0.4), (0.3, 0.6, 0.8), -0.25, 0.1)],
    ids=["free", "blocked"],
)
def test_a_gap_takes_one_disc_and_no_two(blocker, ways, lowest, highest):
    """The runner pushes down to the right of the middle; the blocker keeps its place."""
    steering = Steering(particles.PLANE, box_bumper.FORCE, velocity_first=True)
    place = jnp.array([blocker])
    for x in ways:
        state = particles.Pair(jnp.array([(x, 0.2), blocker]), jnp.zeros((2, 2)), jnp.int32(0))
        for _ in range(80):
            hold = steering.to(place, state.positions[1:], state.velocities[1:])
            down = steering.to(jnp.array([(x, -0.8)]), state.positions[:1], state.velocities[:1])
            state, _ = stepper(BUMP)(state, {"runner": down, "blocker": hold}, KEY)
        assert lowest - 0.01 < float(state.positions[0, 1]) < highest


@pytest.mark.parametrize("start", box_bumper.STARTS)
def test_discs_start_apart_and_the_runner_above_the_wall(start):
    keys = jax.random.split(KEY, 300)
    state, _ = jax.vmap(BoxBumper(start=start).reset)(keys)
    places = np.asarray(state.positions)
    assert np.linalg.norm(places[:, 0] - places[:, 1], axis=1).min() > 0.4
    assert places[:, 0, 1].min() > -0.18  # 0.22 above the wall's middle line
    if start == "blocked":
        assert (np.sign(places[:, 0, 0]) == np.sign(places[:, 1, 0])).all()
        assert 0.35 < float((places[:, 1, 0] > 0).mean()) < 0.65
        np.testing.assert_allclose(np.abs(places[:, 1]), [[0.75, 0.4]] * 300, rtol=1e-6)
    else:
        below = float((places[:, 1, 1] < -0.6).mean())
        assert 0.35 < below < 0.65


def two(first, second, names, size):
    rows = jnp.zeros((1, size)).at[:, :2].set
    return {names[0]: rows(jnp.array(first)), names[1]: rows(jnp.array(second))}


def test_smooth_rewards_literally():
    seen = two((-0.1, -0.4), (0.2, 0.0), ("predator", "prey"), 6)
    # sqrt(0.5² + 0.05²) - 0.05
    np.testing.assert_allclose(chase(seen)["predator"], [-0.452494], rtol=1e-5)
    # prey in the corner of the zone: a quarter of it counts as inside
    seen = two((0.4, -0.9), (0.4, -0.4), ("predator", "prey"), 6)
    np.testing.assert_allclose(chase(seen, safe_zone=True)["prey"], [0.339370], rtol=1e-5)
    # at 0.3 from the goal d' = 0.254138: 10 sigmoid(-2.082763) - d'
    seen = two((0.3, -0.7), (0.9, 0.9), ("runner", "blocker"), 8)
    np.testing.assert_allclose(reach(seen)["runner"], [0.853698], rtol=1e-4)
    np.testing.assert_allclose(reach(seen)["blocker"], [-0.853698], rtol=1e-4)


def test_smooth_rewards_have_slopes_everywhere():
    together = two((0.5, -0.5), (0.5, -0.5), ("predator", "prey"), 6)
    at_goal = two((0.0, -0.7), (0.5, -0.5), ("runner", "blocker"), 8)
    slope = jax.grad(lambda seen: chase(seen, safe_zone=True)["predator"].sum())(together)
    assert all(np.isfinite(x).all() for x in slope.values())
    slope = jax.grad(lambda seen: reach(seen)["runner"].sum())(at_goal)
    assert all(np.isfinite(x).all() for x in slope.values())
    # on its way the runner is drawn to the goal
    slope = jax.grad(lambda seen: reach(seen)["runner"].sum())(
        two((0.5, 0.5), (0.9, 0.9), ("runner", "blocker"), 8)
    )
    assert float(slope["runner"][0, 0]) < -0.1
    assert float(slope["runner"][0, 1]) < -0.1


def returns(demos, rewards):
    """Sum over the steps of each episode, of what each led to."""
    first, found = 0, []
    for length in np.asarray(demos.lengths):
        found.append(float(np.sum(rewards[first + 1 : first + length])))
        first += int(length)
    return found


@pytest.mark.parametrize("env", [PredatorPrey(safe_zone=True), BoxBumper(action="plane")])
def test_smooth_rewards_rank_episodes_as_the_game_does(env):
    demos = collect(env, experts.wander(env), episodes=128, envs=128)
    name = env.spec.names[0]
    seen = {group: jnp.asarray(rows) for group, rows in demos.features.items()}
    assert demos.rewards is not None
    paid = np.roll(np.asarray(demos.rewards[name])[:, 0], 1)  # beside what it was paid for
    if isinstance(env, PredatorPrey):
        hard, soft = (chase(seen, safe_zone=True, softness=s)[name] for s in (1e-6, 0.05))
    else:
        hard, soft = (reach(seen, softness=s)[name] for s in (1e-6, 0.05))
    true = returns(demos, paid)
    np.testing.assert_allclose(returns(demos, np.asarray(hard)[:, 0]), true, atol=0.01)
    ranked = spearmanr(returns(demos, np.asarray(soft)[:, 0]), true)
    assert float(ranked.statistic) > 0.97  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("name", ["predator-prey", "box-bumper", "box-bumper:action=plane"])
def test_whoever_wanders_pushes_for_five_steps_and_coasts_for_five(name):
    env = envs.make(name)
    demos = collect(env, experts.wander(env), episodes=200, envs=200)
    assert demos.actions is not None
    still = 0
    for group in env.spec.names:
        rows = np.asarray(demos.actions[group])[:, 0].reshape(-1, demos.actions[group].shape[-1])
        lengths = np.asarray(demos.lengths)
        starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        whole = starts[lengths > 20]
        for begin in whole:
            for at in (begin, begin + 10):
                push = rows[at : at + 5]
                assert (push == push[:1]).all()
                assert (push != 0).any()
                assert not rows[at + 5 : at + 10].any()
            still += int((rows[begin] == rows[begin + 10]).all())
        if rows.shape[-1] == 2:
            np.testing.assert_allclose(np.linalg.norm(rows[whole], axis=1), 1.0, rtol=1e-5)
    if name == "predator-prey":
        assert still == 0  # a new direction in every round


def test_half_of_the_pushes_in_the_box_lead_towards_the_other():
    env = BoxBumper(action="plane", horizon=1)
    demos = collect(env, experts.wander(env), episodes=400, envs=400)
    assert demos.actions is not None
    seen = np.asarray(demos.features["runner"])[::2, 0]
    done = np.asarray(demos.actions["runner"])[::2, 0]
    way = seen[:, 4:6] - seen[:, :2]
    along = (done * way).sum(1) / np.linalg.norm(way, axis=1)
    assert 0.4 < float((along > 0.9999).mean()) < 0.6
    assert experts.own(env) is None  # it has no aim, so it is no measure


def test_what_makes_no_game_is_named():
    for name in ("predator-prey", "box-bumper"):
        with pytest.raises(UserError, match="start"):
            envs.make(f"{name}:start=above")
    with pytest.raises(UserError, match="at least one step, found a horizon of 0"):
        PredatorPrey(horizon=0)
    with pytest.raises(UserError, match=r"expected actions of .*, found 'torque'"):
        particles.check("torque", 1)
    with pytest.raises(UserError, match="PredatorPrey or BoxBumper for the expert 'wander', found"):
        experts.wander(envs.make("tag"))
    seen = two((0.0, 0.0), (0.0, 0.0), ("predator", "prey"), 6)
    with pytest.raises(UserError, match="a softness above 0, found 0"):
        chase(seen, softness=0)
    with pytest.raises(UserError, match="a softness above 0, found -1"):
        reach(two((0.0, 0.0), (0.0, 0.0), ("runner", "blocker"), 8), softness=-1)


def test_the_walls_are_drawn():
    state, _ = PredatorPrey(safe_zone=True).reset(KEY)
    scene = PredatorPrey(safe_zone=True).scene(state)
    assert scene.centres.shape == (9, 2)
    np.testing.assert_allclose(scene.lines[1], [(1, -1), (1, -0.4)])
    assert PredatorPrey().scene(state).lines.shape == (0, 2, 2)
    scene = BUMP.scene(BUMP.reset(KEY)[0])
    np.testing.assert_allclose(scene.lines[0], [(-0.5, -0.42), (0.5, -0.42)], rtol=1e-5)
