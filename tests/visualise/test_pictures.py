"""Pictures are read back: sizes, frames, and whether what was drawn is where it belongs."""

import dataclasses

import numpy as np
import pytest
from drawn_plays import basketball, flock
from matplotlib.patches import Arc, Rectangle
from PIL import Image
from PIL.GifImagePlugin import GifImageFile

from understudy.data.grid import Grid
from understudy.types import UserError
from understudy.visualise import style
from understudy.visualise.animate import animate, frames
from understudy.visualise.curves import borders, draw_curves, meant, series
from understudy.visualise.diagnostics import draw_intents, draw_spread
from understudy.visualise.intervals import draw_intervals
from understudy.visualise.plays import draw_plays
from understudy.visualise.scene import draw, scene_of
from understudy.visualise.tracks import appearance, ground, tracks
from understudy.visualise.transfer import draw_transfer

GRID = Grid(9, 10, (0.0, 0.0), (45.0, 50.0))


def rgb(colour):
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])


def close(picture, colour, within=12):
    """Pixels of about one colour."""
    return (np.abs(picture.astype(int) - rgb(colour)) <= within).all(-1)


@pytest.mark.parametrize("plays", [basketball(scenes=1), flock(scenes=1)], ids=["court", "plain"])
def test_a_gif_has_a_frame_per_row_and_is_small(plays, tmp_path):
    path = animate(plays, tmp_path / "plays.gif", grid=GRID)
    with Image.open(path) as image:
        assert isinstance(image, GifImageFile)
        assert image.n_frames == 50
        assert image.info["duration"] in (200, 100)  # 5 and 10 Hz
    assert path.stat().st_size < 3_000_000


def test_speed_shortens_the_frames(tmp_path):
    path = animate(flock(scenes=1), tmp_path / "plays.gif", speed=2.0)
    with Image.open(path) as image:
        assert image.info["duration"] == 50


@pytest.mark.filterwarnings(r"ignore:os\.fork:RuntimeWarning")  # the decoder's
def test_an_mp4_can_be_read_back(tmp_path):
    imageio = pytest.importorskip("imageio.v2")
    plays = flock(scenes=1, observed=2, horizon=6)
    path = animate(plays, tmp_path / "plays.mp4", hold=0.5)
    with imageio.get_reader(path) as reader:
        assert reader.count_frames() == 8 + 5


def test_a_png_is_a_still_of_all_scenes(tmp_path):
    sizes = []
    for scenes in (1, 2):
        with Image.open(animate(basketball(), tmp_path / f"{scenes}.png", scenes=scenes)) as image:
            sizes.append(image.size)
    one, two = sizes
    assert two[0] == one[0]
    assert two[1] > 1.5 * one[1]


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"\.gif, \.mp4, \.png"):
        animate(flock(), tmp_path / "plays.webm")


def test_frames_move_the_agents_and_nothing_else():
    plays = flock(scenes=1)
    rows = [tracks(plays, 0, 2)]
    pictures = list(frames(rows, ground(plays, rows), 10.0))
    assert len(pictures) == 50
    assert all(p.shape == pictures[0].shape and p.dtype == np.uint8 for p in pictures)
    changed = np.stack([(p != pictures[0]).any(-1) for p in pictures]).any(0)
    assert 0.001 < changed.mean() < 0.5
    dots = [close(p, style.AGENTS[0]).sum() for p in pictures]
    assert min(dots) > 100  # eight agents in three panels, in every frame


def test_teams_have_their_colours_and_the_ball_its_own():
    colours, sizes = appearance(basketball().truth, 0)
    assert colours == (style.AGENTS[0],) * 5 + (style.AGENTS[1],) * 5 + (style.BALL,)
    assert sizes[-1] < sizes[0]
    assert appearance(flock().truth, 0)[0] == (style.AGENTS[0],) * 8


def test_observed_rows_are_the_truth_in_every_panel():
    plays = basketball()
    truth, *drawn = tracks(plays, 1, 3)
    assert [t.title for t in (truth, *drawn)] == [
        "what happened",
        "sample 1",
        "sample 2",
        "sample 3",
    ]
    for panel in drawn:
        np.testing.assert_array_equal(panel.positions[:10], truth.positions[:10])
        np.testing.assert_array_equal(panel.positions[:, 10], truth.positions[:, 10])  # the ball
        assert (panel.positions[10:, :10] != truth.positions[10:, :10]).any()
        assert panel.generated.tolist() == [True] * 10 + [False]
        assert panel.intents is not None
        np.testing.assert_array_equal(panel.intents[:10], -1)
        assert (panel.intents[10:, :10] >= 0).all()
        assert (panel.intents[:, 10] == -1).all()


def test_an_absent_agent_is_not_drawn():
    plays = flock(scenes=1)
    alive = {"agents": plays.truth.alive["agents"].copy()}
    alive["agents"][:, 3] = False
    features = np.where(alive["agents"][..., None], plays.truth.features["agents"], 0)
    gone = dataclasses.replace(
        plays, truth=plays.truth.replace(alive=alive, features={"agents": features})
    )
    for panel in tracks(gone, 0, 2):
        assert np.isnan(panel.positions[:, 3]).all()
        assert np.isfinite(panel.positions[:, [0, 1, 2, 4, 5, 6, 7]]).all()
    assert len(list(frames([tracks(gone, 0, 2)], ground(gone, [tracks(gone, 0, 2)]), 10.0))) == 50


def test_a_truth_that_ends_early_leaves_the_samples_whole():
    plays = flock(scenes=1)
    short = plays.truth.map_rows(lambda a: a[:30], starts=np.array([0, 30]))
    truth, sample = tracks(dataclasses.replace(plays, truth=short), 0, 1)
    assert np.isnan(truth.positions[30:]).all()
    assert np.isfinite(sample.positions).all()


def test_intents_that_all_agents_share_are_named():
    plays = flock(scenes=1)
    intents = {"agents": np.ones((1, 3, 40, 8), int)}
    named = tracks(dataclasses.replace(plays, intents=intents), 0, 1)
    assert [t.title for t in named] == ["what happened", "sample 1 · intent 1"]


@pytest.mark.parametrize(
    ("bounds", "unit", "kind"),
    [
        ([[0, 0], [94, 50]], "ft", "court"),
        ([[0, 0], [28.6512, 15.24]], "m", "court"),
        ([[0, 0], [47, 50]], "ft", "half court"),
        ([[0, 0], [94, 50]], "", "plain"),
        ([[0, 0], [120, 53.3]], "yd", "plain"),
    ],
)
def test_a_court_is_drawn_where_bounds_are_those_of_one(bounds, unit, kind):
    scene = scene_of(np.zeros((1, 2)), unit=unit, bounds=np.array(bounds, float))
    assert scene.kind == kind
    assert scene.field


def test_a_court_has_the_lines_of_the_rule_book():
    """The arc is 23.75 ft from the hoop, the lane 16 ft wide and 19 long, at both ends."""
    scene = scene_of(np.zeros((1, 2)), unit="ft", bounds=np.array([[0.0, 0.0], [94.0, 50.0]]))
    axis = style.figure(4.0, 2.0).subplots()
    draw(axis, scene)
    arcs = [p for p in axis.patches if isinstance(p, Arc)]
    assert {tuple(np.round(a.center, 2)) for a in arcs} == {(5.25, 25.0), (88.75, 25.0)}
    assert {a.width for a in arcs} == {47.5}
    lanes = [p for p in axis.patches if isinstance(p, Rectangle) and p.get_height() == 16]
    assert {(p.get_x(), p.get_width()) for p in lanes} == {(0.0, 19.0), (75.0, 19.0)}


def test_feet_and_a_ball_within_94_by_50_are_a_court():
    plays = basketball(scenes=1)
    bare = dataclasses.replace(plays, truth=plays.truth.replace(context={}))
    assert ground(bare, [tracks(bare, 0, 1)]).kind == "court"
    metres = dataclasses.replace(bare, truth=bare.truth.replace(unit="m"))
    assert ground(metres, [tracks(metres, 0, 1)]).kind == "plain"
    assert ground(metres, [tracks(metres, 0, 1)], [[0, 0], [28.65, 15.24]]).kind == "court"


def test_demonstrations_alone_can_be_drawn(tmp_path):
    plays = flock(scenes=1)
    none = {"agents": np.zeros((1, 0, 0, 8, 2))}
    alone = dataclasses.replace(plays, samples=none, observed=50)
    assert [t.title for t in tracks(alone, 0, 2)] == ["what happened"]
    with Image.open(animate(alone, tmp_path / "alone.gif")) as image:
        assert isinstance(image, GifImageFile)
        assert image.n_frames == 50


def test_without_bounds_the_tracks_decide():
    scene = scene_of(np.array([[1.0, 2.0], [3.0, 2.5], [np.nan, np.nan]]))
    assert scene.low[0] < 1 < 3 < scene.high[0]
    assert scene.low[1] < 2 < 2.5 < scene.high[1]
    assert not scene.field
    assert np.isfinite(scene_of(np.full((2, 2), np.nan)).aspect)


def test_intent_boxes_are_drawn_in_their_cell():
    """One agent, one intent: the tinted pixels lie where cell 0 (bottom left) lies."""
    plays = flock(scenes=1, agents=1)
    truth = plays.truth.replace(context={"bounds": np.array([[[-4.0, -4.0], [4.0, 4.0]]])})
    intents = {"agents": np.zeros((1, 3, 40, 1), int)}
    grid = Grid(2, 2, (-4.0, -4.0), (4.0, 4.0))
    plays = dataclasses.replace(plays, truth=truth, intents=intents)
    pictures = [
        _drawn(draw_plays(plays, scenes=1, samples=1, grid=g)).astype(int) for g in (grid, None)
    ]
    y, x = np.nonzero(np.abs(pictures[0] - pictures[1]).sum(-1) > 20)
    height, width = pictures[0].shape[:2]
    assert len(y) > 500
    assert width / 2 < x.min()  # the right panel, the sample
    assert x.max() < 0.79 * width  # its left half
    assert y.min() > 0.4 * height  # its lower half


def _drawn(figure):
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3]


def test_validation_is_shown_where_what_it_measures_is_trained():
    rows = [{"stage": 0, "step": 1, "intents": [-9.0]}, {"stage": 1, "step": 2, "kl": [9.0]}]
    assert [meant(rows, name) for name in ("intents", "kl", "elbo")] == [{0}, {1}, {1}]


METRICS = [
    *({"stage": 0, "step": s, "loss": [9.0, None]} for s in (1, 2)),
    *({"stage": 1, "step": s, "loss": [5.0, 6.0], "kl": [2.0, 4.0]} for s in (3, 4)),
    {"stage": 1, "step": 4, "validation/kl": [3.0, 3.0]},
]


def test_a_series_keeps_seeds_apart_and_gaps_open():
    steps, values = series(METRICS, "loss")
    np.testing.assert_array_equal(steps, [1, 2, 3, 4])
    np.testing.assert_array_equal(values, [[9, np.nan], [9, np.nan], [5, 6], [5, 6]])
    assert borders(METRICS) == [2.0]
    np.testing.assert_array_equal(series(METRICS, "loss", frozenset({1}))[0], [3, 4])


def test_curves_have_a_panel_per_metric_and_validation_within_it():
    figure = draw_curves(METRICS)
    titles = [axis.get_title(loc="left") for axis in figure.axes if axis.get_lines()]
    assert titles == ["loss", "kl"]
    legend = figure.axes[1].get_legend()
    assert legend is not None
    assert [t.get_text() for t in legend.get_texts()] == [
        "training", "validation",
    ]  # fmt: skip
    with pytest.raises(UserError, match="found none"):
        draw_curves([])


def test_diagnostics_and_intervals_draw():
    curve = np.linspace(0, 1, 8)
    assert _drawn(draw_spread(curve, curve, np.ones(5) / 5, rate=5.0, unit="ft")).std() > 5
    assert _drawn(draw_intents(curve, np.eye(3), 0.4, rate=5.0)).std() > 5
    rows = [
        {"label": "one", "minADE": 1.0, "intervals": {"minADE": (0.9, 1.1)}},
        {"label": "two", "reference": True, "minADE": 2.0},
    ]
    figure = draw_intervals(rows, [("minADE", "minADE (ft)")])
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["one", "two"]
    assert len(figure.axes[0].get_lines()) == 3  # two dots, one interval


def test_scores_are_drawn_against_numbers_of_agents():
    rows = [
        {"label": name, "agents": agents, "score": score, "intervals": {"score": [score, 1.0]},
         "reference": name == "expert"}
        for name, scores in (("shared", (0.9, 0.8)), ("expert", (1.0, 1.0)))
        for agents, score in zip((4, 80), scores, strict=True)
    ]  # fmt: skip
    axis = draw_transfer(rows, trained=4, floor="noop").axes[0]
    (line,) = [line for line in axis.lines if line.get_label() == "shared"]
    np.testing.assert_array_equal(line.get_xydata(), [[4, 0.9], [80, 0.8]])
    assert [tick.get_text() for tick in axis.get_xticklabels()] == ["4", "80"]
    assert "trained with 4" in axis.get_xlabel()
    assert {"noop", "expert"} <= {text.get_text() for text in axis.texts}
