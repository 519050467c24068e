"""Rules against plain loops in numpy, on random and real tracks; breaks, jit, users' own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from understudy.data.boids import boids
from understudy.data.demonstrations import Demonstrations
from understudy.data.labels import (
    LABELS,
    Cells,
    Curvature,
    Destination,
    Direction,
    Displacement,
    Grid,
    NearestNeighbour,
    Registered,
    Speed,
    Stationary,
    Window,
    label,
    register,
)
from understudy.types import Group, Spec, UserError

COURT = Grid(9, 10, (0.0, 0.0), (45.0, 50.0))
RULES = [
    Stationary(COURT, threshold=2.5),
    Window(COURT, seconds=1.6),
    Cells(COURT),
    Destination(COURT),
    Direction(8),
    NearestNeighbour(threshold=6.0, seconds=2.5),
    Speed(edges=(2.0, 4.0)),
    Displacement(edges=(5.0, 12.0)),
    Curvature(edges=(1.0, 3.0)),
]
names = pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)


# --- oracle: one agent, one row at a time -------------------------------------------------------


def cell(grid, point):
    low, high = grid.corners
    column = int(np.floor((point[0] - low[0]) / ((high[0] - low[0]) / grid.columns)))
    row = int(np.floor((point[1] - low[1]) / ((high[1] - low[1]) / grid.rows)))
    return min(max(column, 0), grid.columns - 1) * grid.rows + min(max(row, 0), grid.rows - 1)


def runs(alive):
    """Maximal stretches of live rows of one agent."""
    found, begin = [], None
    for t, here in enumerate([*alive, False]):
        if here and begin is None:
            begin = t
        if not here and begin is not None:
            found.append(range(begin, t))
            begin = None
    return found


def grade(edges, measure):
    return sum(measure >= edge for edge in edges)


def stationary(rule, x, rate, labels, run):
    for t in reversed(run):
        slow = [
            u == run[-1] or np.linalg.norm(x[u + 1] - x[u]) < rule.threshold / rate
            for u in (t, min(t + 1, run[-1]))
        ]
        if t == run[-1] or (slow[0] and not slow[1]):
            labels[t] = cell(rule.grid, x[t])
        else:
            labels[t] = labels[t + 1]


def window(rule, x, rate, labels, run):
    width = max(1, round(rule.seconds * rate))
    for t in reversed(run):
        if t == run[-1] or (t - run[0] + 1) % width == 0:
            labels[t] = cell(rule.grid, x[t])
        else:
            labels[t] = labels[t + 1]


def whole(rule, x, alive, rate):
    """The class of one agent from its whole track."""
    live = np.flatnonzero(alive)
    steps = [t for t in live if t + 1 in live]
    vectors = {t: x[t + 1] - x[t] for t in steps}
    way = x[live[-1]] - x[live[0]]
    match rule:
        case Destination():
            return cell(rule.grid, x[live[-1]])
        case Direction():
            angle = np.arctan2(way[1], way[0])
            return int(np.floor(angle / (2 * np.pi) * rule.sectors + 0.5)) % rule.sectors
        case Displacement():
            return grade(rule.edges, np.linalg.norm(way))
        case Speed():
            lengths = [np.linalg.norm(v) for v in vectors.values()]
            return grade(rule.edges, np.mean(lengths or [0]) * rate)
        case Curvature():
            turns = []
            for t in steps:
                if t + 1 in vectors and vectors[t].any() and vectors[t + 1].any():
                    a, b = (np.arctan2(v[1], v[0]) for v in (vectors[t], vectors[t + 1]))
                    turns.append(abs((b - a + np.pi) % (2 * np.pi) - np.pi))
            return grade(rule.edges, np.mean(turns or [0]) * rate)


def together(rule, x, alive, rate):
    counted = [t for t in range(len(x)) if alive[t].sum() >= 2]
    if not counted:
        return 0
    nearest = []
    for t in counted:
        if t > counted[-1] - max(1, round(rule.seconds * rate)):
            for k in np.flatnonzero(alive[t]):
                others = [j for j in np.flatnonzero(alive[t]) if j != k]
                nearest.append(min(np.linalg.norm(x[t, j] - x[t, k]) for j in others))
    return int(np.mean(nearest) < rule.threshold)


def oracle(rule, x, alive, rate):
    x = np.asarray(x, np.float64)
    labels = np.zeros(alive.shape, int)
    for k in range(alive.shape[1]):
        for run in runs(alive[:, k]):
            match rule:
                case Stationary():
                    stationary(rule, x[:, k], rate, labels[:, k], run)
                case Window():
                    window(rule, x[:, k], rate, labels[:, k], run)
                case Cells():
                    labels[list(run), k] = [cell(rule.grid, x[t, k]) for t in run]
                case NearestNeighbour():
                    labels[list(run), k] = together(rule, x, alive, rate)
                case _:
                    labels[list(run), k] = whole(rule, x[:, k], alive[:, k], rate)
    return labels


# --- tracks --------------------------------------------------------------------------------------


def random_tracks(seed, episodes, agents, gaps=True):
    """Walks that start, stop and run, some off the court; agents that come and go."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 40, episodes)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    pace = np.repeat(rng.choice([0.05, 1.5], (starts[-1] // 4 + 1, agents, 1)), 4, 0)[: starts[-1]]
    walk = (rng.normal(size=(starts[-1], agents, 2)) * pace).cumsum(0)
    x = (walk % 60 - 5).astype(np.float32)
    alive = np.ones(x.shape[:2], bool)
    if gaps:
        alive = np.repeat(rng.random((starts[-1] // 6 + 1, agents)) < 0.8, 6, 0)[: starts[-1]]
    return demonstrations(np.where(alive[..., None], x, 0).astype(np.float32), alive, starts, 5.0)


def demonstrations(x, alive, starts, rate, unit="ft"):
    episodes = len(starts) - 1
    return Demonstrations(
        spec=Spec((Group("player", x.shape[1], 2, features=("x", "y")),)),
        starts=np.asarray(starts),
        features={"player": x},
        alive={"player": alive},
        rate=rate,
        unit=unit,
        labels={
            "episode": np.array([str(e) for e in range(episodes)]),
            "source": np.full(episodes, "made up"),
        },
    )


def one_track(*points, rate=1.0, unit="ft"):
    x = np.array(points, np.float32)[:, None]
    return demonstrations(x, np.ones(x.shape[:2], bool), [0, len(x)], rate, unit)


def labels_of(d, rule):
    return label(d, rule).intents["player"]  # pyright: ignore[reportOptionalSubscript]


def expected(d, rule):
    found = [
        oracle(rule, d.features["player"][s], d.alive["player"][s], d.rate)
        for s in map(d.rows, range(d.episodes))
    ]
    return np.concatenate(found)


# --- tests ---------------------------------------------------------------------------------------


@names
def test_equals_plain_loops_on_a_thousand_random_tracks(rule):
    d = random_tracks(0, episodes=250, agents=4)
    np.testing.assert_array_equal(labels_of(d, rule), expected(d, rule))


@names
def test_equals_plain_loops_on_real_tracks(rule, real_data):
    with np.load(real_data / "nba_socialvae" / "score_train.npz") as file:
        starts = file["scene_start"][:13]
        x = np.ascontiguousarray(file["xy_ft"][: starts[-1], 1:])
    d = demonstrations(x, np.ones(x.shape[:2], bool), starts, 1 / 0.12)
    np.testing.assert_array_equal(labels_of(d, rule), expected(d, rule))


@names
def test_the_same_inside_jit_and_vmap(rule):
    d = random_tracks(1, episodes=40, agents=3)
    length = 25
    rows = np.stack([np.arange(s, s + length) for s in range(0, 200, length)])
    x, alive = d.features["player"][rows], d.alive["player"][rows]
    compiled = jax.jit(lambda r, x, a: jax.vmap(lambda x, a: r(x, d.rate, a))(x, a))
    found = compiled(rule, jnp.asarray(x), jnp.asarray(alive))
    np.testing.assert_array_equal(found, [oracle(rule, *pair, 5.0) for pair in zip(x, alive)])
    assert found.dtype == jnp.int32


def test_a_worked_stop_and_go():
    # At A for three rows, three steps to B, then standing. The step from row 2 is a move, so row 1
    # is the last one of the stop at A: where a slow step is followed by a fast one.
    d = one_track((2, 2), (2, 2), (2, 2), (12, 2), (22, 2), (32, 2), (32, 2))
    rule = Stationary(COURT, threshold=2.5)
    a, b = 0, 60  # column 32 // 5 = 6, ten rows each
    assert labels_of(d, rule)[:, 0].tolist() == [a, a, b, b, b, b, b]


def test_windows_end_where_they_end():
    d = one_track(*[(5 * t + 1, 1) for t in range(7)])
    # Windows of 3 rows end in rows 2, 5 and, cut short, 6; the column is the row here.
    columns = labels_of(d, Window(COURT, seconds=3.0))[:, 0] // 10
    assert columns.tolist() == [2, 2, 2, 5, 5, 5, 6]


def test_cells_are_numbered_along_y_and_clamp():
    points = [(0, 0), (4.99, 0), (5, 0), (0, 5), (44, 49), (45, 50), (-3, 70)]
    cells = COURT.cell(np.array(points, np.float32))
    assert cells.tolist() == [0, 0, 10, 1, 89, 89, 9]
    np.testing.assert_array_equal(COURT.centre(np.array([0, 11])), [[2.5, 2.5], [7.5, 7.5]])
    assert COURT.apart(np.array([0, 0, 0]), np.array([11, 1, 20])).tolist() == [1, 1, 2]
    np.testing.assert_array_equal(COURT.cell(COURT.centre(np.arange(90))), np.arange(90))


def test_the_direction_is_counted_from_x_towards_y():
    for point, sector in [((9, 0), 0), ((9, 9), 1), ((0, 9), 2), ((-9, 0), 4), ((0, -9), 6)]:
        assert labels_of(one_track((0, 0), point), Direction(8))[0, 0] == sector
    assert labels_of(one_track((3, 3), (3, 3)), Direction(8))[0, 0] == 0


def test_degrees_by_hand():
    # Steps 3, 4 and 5 long at 2 Hz: 8 units per second on average. Right angle, then straight on:
    # (π/2 + 0)/2 · 2 Hz = 1.571 rad/s. Way (3, 9): 9.487.
    d = one_track((0, 0), (3, 0), (3, 4), (3, 9), rate=2.0)
    assert labels_of(d, Speed(edges=(7.99, 8.01)))[:, 0].tolist() == [1, 1, 1, 1]
    assert labels_of(d, Curvature(edges=(1.57, 1.58)))[0, 0] == 1
    assert labels_of(d, Displacement(edges=(9.48, 9.49)))[0, 0] == 1


def test_the_threshold_is_a_speed_and_not_a_step():
    # 0.4 ft a row is 2 ft/s at 5 Hz (standing) and 4 ft/s at 10 Hz (moving).
    points = [(4.0 + 0.4 * t, 1) for t in range(5)] + [(6.0 + 2 * t, 1) for t in range(5)]
    slow, fast = one_track(*points, rate=5.0), one_track(*points, rate=10.0)
    rule = Stationary(COURT, threshold=2.5)
    assert labels_of(slow, rule)[0, 0] == 10  # stops at x = 5.6, then runs
    assert labels_of(fast, rule)[0, 0] == 20  # never stops before its end at x = 14
    assert labels_of(slow, rule)[-1, 0] == 20


@pytest.mark.parametrize(("unit", "threshold"), [("ft", 2.5), ("m", 0.762), ("yd", 0.8333333)])
def test_the_default_threshold_is_two_and_a_half_feet_per_second(unit, threshold):
    rule = Stationary(COURT).resolve(one_track((0, 0), (1, 1), unit=unit), "player")
    assert rule.threshold == pytest.approx(threshold)


def test_no_default_threshold_for_pixels():
    with pytest.raises(UserError, match="threshold in units per second"):
        label(one_track((0, 0), (1, 1), unit="px"), Stationary(COURT))


def test_the_grid_is_the_bounds_or_what_was_visited():
    d = one_track((1, 2), (5, 9), (3, 4))
    assert Grid().resolve(d, "player").corners == ((1.0, 2.0), (5.0, 9.0))
    bounded = d.replace(context={"bounds": np.array([[[0.0, 0.0], [47.0, 50.0]]])})
    assert Grid().resolve(bounded, "player").corners == ((0.0, 0.0), (47.0, 50.0))
    assert COURT.resolve(bounded, "player") == COURT


def test_edges_are_quantiles_of_the_training_split():
    d = random_tracks(3, episodes=300, agents=4, gaps=False)
    for rule in (Speed(), Displacement(), Curvature()):
        labels = labels_of(d, rule)
        first = labels[d.starts[:-1]]
        assert first.dtype == np.int32
        share = np.bincount(first.ravel(), minlength=3) / first.size
        np.testing.assert_allclose(share, 1 / 3, atol=0.05, err_msg=type(rule).__name__)
    still = one_track((1, 1), (1, 1))
    with pytest.raises(UserError, match="give edges"):
        label(still, Speed())


def test_an_unresolved_rule_says_so():
    track = np.zeros((4, 2, 2), np.float32)
    with pytest.raises(UserError, match="resolve"):
        Stationary(COURT)(track, 5.0)
    with pytest.raises(UserError, match="resolve"):
        Cells()(track, 5.0)
    with pytest.raises(UserError, match="resolve"):
        Speed()(track, 5.0)


@pytest.mark.parametrize("name", LABELS)
def test_every_listed_rule_resolves_and_labels(name):
    d = random_tracks(5, episodes=30, agents=2)
    labelled = label(d, LABELS[name]())
    assert labelled.intents is not None
    intents = labelled.intents["player"]
    assert 0 <= intents.min() <= intents.max() < labelled.intent_classes
    if name != "nearest-neighbour":  # nobody here comes as close as Boids do
        assert len(np.unique(intents[d.alive["player"]])) > 1
    assert not intents[~d.alive["player"]].any()


def test_the_rule_recovers_the_behaviour_of_the_flock():
    d = boids(4096, seed=11)
    found = label(d, NearestNeighbour())
    assert found.intents is not None
    assert d.intents is not None
    assert (found.intents["agents"] == d.intents["agents"]).mean() >= 0.999


def test_other_groups_get_class_zero():
    x = np.ones((4, 1, 2), np.float32)
    d = one_track((9, 9), (9, 9), (9, 9), (9, 9))
    both = d.replace(
        spec=Spec((*d.spec.groups, Group("ball", 1, 2))),
        features={**d.features, "ball": 30 * x},
        alive={**d.alive, "ball": np.ones((4, 1), bool)},
    )
    labelled = label(both, Cells(COURT))
    assert labelled.intents is not None
    assert labelled.intents["player"][:, 0].tolist() == [11] * 4
    assert labelled.intents["ball"][:, 0].tolist() == [0] * 4
    ball = label(both, Cells(COURT), "ball")
    assert ball.intents is not None
    assert ball.intents["ball"][0, 0] == 66


def test_positions_are_the_features_named_x_and_y():
    d = one_track((9, 9), (30, 9))
    speeds = np.full((2, 1, 2), 99, np.float32)
    wide = d.replace(
        spec=Spec((Group("player", 1, 4, features=("vx", "vy", "x", "y")),)),
        features={"player": np.concatenate([speeds, d.features["player"]], axis=-1)},
    )
    assert labels_of(wide, Cells(COURT))[:, 0].tolist() == [11, 61]
    assert Grid().resolve(wide, "player").corners == ((9.0, 8.5), (30.0, 9.5))
    ticks = d.replace(
        spec=Spec((Group("player", 1, 1),)), features={"player": d.features["player"][..., :1]}
    )
    with pytest.raises(UserError, match="two coordinates"):
        label(ticks, Cells(COURT))


def left_half(track, rate, alive):
    return (track[..., 0] < 22.5).astype(np.int32)


def test_a_registered_function_labels():
    d = random_tracks(6, episodes=20, agents=3)
    rule = register("left-half", left_half, 2)
    assert register("left-half", left_half, 2) == Registered("left-half", 2)  # the same once more
    x = d.features["player"]
    np.testing.assert_array_equal(labels_of(d, rule), (x[..., 0] < 22.5) & d.alive["player"])


def test_registering_and_its_answers_are_checked():
    with pytest.raises(UserError, match="taken"):
        register("stationary", left_half, 2)
    with pytest.raises(UserError, match="at least 1 class"):
        register("nothing", left_half, 0)
    with pytest.raises(UserError, match="register before"):
        label(one_track((1, 1), (2, 2)), Registered("never heard of", 2))
    too_many = register("three-of-two", lambda x, rate, alive: np.full(alive.shape, 2), 2)
    with pytest.raises(UserError, match="classes 0 to 1"):
        label(one_track((1, 1), (2, 2)), too_many)
    wrong = register("per-agent", lambda x, rate, alive: np.zeros(alive.shape[1:], int), 2)
    with pytest.raises(UserError, match="of shape"):
        label(one_track((1, 1), (2, 2)), wrong)
