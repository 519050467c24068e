"""One episode of an env in one panel: discs and lines, pictures of a host env, or strips."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, to_rgba
from matplotlib.patches import Rectangle

from understudy.envs.scenes import THING
from understudy.visualise import style
from understudy.visualise.films import Film

TRAIL = 12
"""Steps of the past drawn behind a disc."""
PAD = 4
"""Points between a panel and its heading."""
SMALLEST = 3.4
"""Points across the smallest disc."""
GOOD = style.AGENTS[2]
HEAT = LinearSegmentedColormap.from_list("seen", ["#e8edf1", "#8fb0d0", style.AGENTS[0]])
EARNED = LinearSegmentedColormap.from_list("earned", [style.AGENTS[1], "#eeeae3", GOOD])
SHARES = (("sees", 0.56), ("does", 0.26), ("earns", 0.18))
"""Strips, and how much of a panel each takes."""


def panel_of(films: Sequence[Film]) -> tuple[Callable[..., Panel], float]:
    """The kind of panel these films allow, and its width over its height."""
    if films[0].scenes is not None:
        view = view_of(films)
        (left, bottom), (right, top) = view
        aspect = (right - left) / (top - bottom)
        return lambda axis, film, episode: Discs(axis, film, episode, view), aspect
    if films[0].pictures is not None:
        height, width = films[0].pictures.shape[2:4]
        return Pictures, width / height
    scales = [scale(films, kind) for kind in range(3)]
    return lambda axis, film, episode: Strips(axis, film, episode, scales), 1.35


View: TypeAlias = tuple[tuple[float, float], tuple[float, float]]
"""Low and high corner, in the game's units."""


class Panel:
    """A panel's heading: who plays, and what was earned so far."""

    def __init__(self, axis: Any, film: Film, episode: int) -> None:
        self.axis, self.film, self.episode = axis, film, episode
        by_group = {name: film.earned(name) for name in film.spec.names if name in film.rewards}
        first = next(iter(by_group.values()))
        if all(np.allclose(first, other) for other in by_group.values()):
            by_group = {"return": first}
        self.earned = {name: earned[episode] for name, earned in by_group.items()}
        axis.set_xticks([])
        axis.set_yticks([])
        axis.grid(False)
        for spine in axis.spines.values():
            spine.set_visible(False)
        axis.set_title(film.player, fontsize=9, pad=PAD, fontweight="normal")
        self.score = axis.text(
            1.0, 1.0, "", transform=axis.transAxes, ha="right", va="baseline", fontsize=8.5,
            color=style.MUTED, animated=True,
        )  # fmt: skip
        offset = PAD / 72 * axis.figure.dpi / axis.get_window_extent().height
        self.score.set_position((1.0, 1.0 + offset))

    def draw(self, row: int) -> None:
        """Draw what moves, as of `row`, over the background."""
        self.head(row)
        self.axis.draw_artist(self.score)

    def still(self) -> None:
        """Draw the whole episode at once."""
        self.head(int(self.film.lengths[self.episode]))
        self.score.set_animated(False)

    def head(self, row: int) -> None:
        """Say what was earned until `row`, and whether that is a success or the end."""
        film, length = self.film, int(self.film.lengths[self.episode])
        now = min(row, length)
        named = [f"{name} {earned[now]:.2f}" for name, earned in self.earned.items()]
        won = film.success is not None and bool(film.success[self.episode, :row].any())
        words = ["solved"] if won else []
        words += [f"ended at {length}"] if row > length else []
        self.score.set_text("   ".join([*words, *named]))
        self.score.set_color(GOOD if won else style.MUTED)


class Ahead:
    """Dotted lines where things were expected to go; nothing without a planner."""

    def __init__(self, axis: Any, film: Film, episode: int, turn: Any = None) -> None:
        self.axis, self.lines = axis, None
        if film.ahead is None:
            return
        ways = np.asarray(film.ahead[episode], np.float64)
        self.ways = np.moveaxis(ways if turn is None else turn(ways), 2, 1)
        colours = [to_rgba(style.colour(i), 0.9) for i in range(self.ways.shape[1])]
        self.lines = LineCollection(
            [], linewidths=1.4, linestyles=(0, (1, 1.2)), colors=colours, zorder=5, animated=True
        )  # fmt: skip
        axis.add_collection(self.lines, autolim=False)

    def draw(self, row: int, *, still: bool = False) -> None:
        """Draw what was expected at `row`."""
        if self.lines is None:
            return
        self.lines.set_segments(list(self.ways[min(row, len(self.ways) - 1)]))
        if still:
            self.lines.set_animated(False)
        else:
            self.axis.draw_artist(self.lines)


class Discs(Panel):
    """Discs and lines of a game that can be drawn, with trails."""

    def __init__(self, axis: Any, film: Film, episode: int, view: View) -> None:
        scenes: Any = film.scenes
        self.centres = np.asarray(scenes.centres[episode], np.float64)
        self.radii = np.asarray(scenes.radii[episode], np.float64)
        self.teams = np.asarray(scenes.teams[episode])
        self.strength = np.clip(np.asarray(scenes.strength[episode]), 0, 1)
        self.lines = np.asarray(scenes.lines[episode], np.float64)
        half = float(np.max(scenes.half_size))
        (left, bottom), (right, top) = view
        axis.set_xlim(left, right)
        axis.set_ylim(bottom, top)
        axis.set_facecolor("#f1ece4")
        ground = {"facecolor": style.GROUND, "edgecolor": style.RULE, "linewidth": 0.8}
        axis.add_patch(Rectangle((-half, -half), 2 * half, 2 * half, **ground))
        super().__init__(axis, film, episode)
        points = axis.get_window_extent().width / axis.figure.dpi * 72 / (right - left)
        self.area = np.maximum(2 * points * self.radii, SMALLEST) ** 2
        # small discs lie on top of large ones
        self.order = np.argsort(-self.radii[0], kind="stable")
        self.moving = self.teams[0] != THING
        self.colours = np.array([to_rgba(colour_of(int(team))) for team in self.teams[0]])
        self.trails = LineCollection([], linewidths=1.3, zorder=2, animated=True)
        self.strokes = LineCollection(
            [], linewidths=1.0, colors=to_rgba(style.INK, 0.55), zorder=4, animated=True
        )
        self.dots = axis.scatter([], [], edgecolors="white", zorder=3, animated=True)
        self.dots.set_linewidth(0.8 if 2 * points * self.radii.max() > 8 else 0.3)
        for collection in (self.trails, self.strokes):
            axis.add_collection(collection, autolim=False)
        self.ahead = Ahead(axis, film, episode)

    def draw(self, row: int) -> None:
        """Draw discs, the lines between them, and their trails."""
        row = self._place(row)
        self._trail(row, max(0, row - TRAIL))
        for artist in (self.trails, self.dots, self.strokes):
            self.axis.draw_artist(artist)
        self.ahead.draw(row)
        super().draw(row if row < self.film.lengths[self.episode] else self.film.steps)

    def still(self) -> None:
        """Draw the last row, and all that led to it."""
        row = self._place(len(self.centres) - 1)
        self._trail(row, 0)
        for artist in (self.trails, self.dots, self.strokes):
            artist.set_animated(False)
        super().still()

    def _place(self, row: int) -> int:
        row = min(row, len(self.centres) - 1)
        order = self.order
        colours = self.colours[order].copy()
        colours[:, 3] *= 0.12 + 0.88 * self.strength[row, order]
        colours[self.strength[row, order] <= 0, 3] = 0
        self.dots.set_offsets(self.centres[row, order])
        self.dots.set_sizes(self.area[row, order])
        self.dots.set_facecolor(colours)  # pyright: ignore[reportArgumentType]
        edges = np.ones_like(colours)
        edges[:, 3] = colours[:, 3]
        self.dots.set_edgecolor(edges)  # pyright: ignore[reportArgumentType]
        lines = self.lines[row]
        self.strokes.set_segments(list(lines[np.ptp(lines, axis=1).max(-1) > 0]))
        return row

    def _trail(self, row: int, first: int) -> None:
        """Fading lines along the last rows, of discs that somebody controls and that are there."""
        past = self.centres[first : row + 1][:, self.moving]
        there = self.strength[first : row + 1][:, self.moving] > 0
        if len(past) < 2:
            self.trails.set_segments([])
            return
        pieces = np.stack([past[:-1], past[1:]], 2)
        colours = np.tile(self.colours[self.moving], (len(past) - 1, 1, 1))
        colours[..., 3] = np.linspace(0.08, 0.6, len(past) - 1)[:, None]
        whole = there[:-1] & there[1:] & (np.ptp(pieces, axis=2).max(-1) > 0)
        self.trails.set_segments(list(pieces[whole]))
        self.trails.set_color(colours[whole])  # pyright: ignore[reportArgumentType]


def view_of(films: Sequence[Film]) -> View:
    """The part of the plane where anything happens: all that the game says, or less where half of
    it would do, or up to half as much again; at most 1.6 times as wide as high."""
    spots, halves = [], []
    for film in films:
        scenes: Any = film.scenes
        there = np.asarray(scenes.strength) > 0
        centres, radii = np.asarray(scenes.centres)[there], np.asarray(scenes.radii)[there]
        spots += [centres - radii[:, None], centres + radii[:, None]]
        halves.append(np.max(scenes.half_size))
    half = float(max(halves))
    points = np.clip(np.concatenate([*spots, np.zeros((0, 2))]), -1.5 * half, 1.5 * half)
    if len(points) == 0:
        points = np.array([[-half, -half], [half, half]])
    low, high = points.min(0), points.max(0)
    if (high - low).max() > half:
        low, high = np.minimum(low, -half), np.maximum(high, half)
    size = np.maximum(1.06 * (high - low), 0.7 * half)
    size = np.maximum(size, [size[1], size[0] / 1.6])
    middle = (low + high) / 2
    (left, bottom), (right, top) = middle - size / 2, middle + size / 2
    return (float(left), float(bottom)), (float(right), float(top))


def colour_of(team: int) -> str:
    """A team has its colour, a thing that nobody controls is quiet."""
    return style.LINES if team == THING else style.colour(team)


class Pictures(Panel):
    """What a host env renders."""

    def __init__(self, axis: Any, film: Film, episode: int) -> None:
        assert film.pictures is not None
        self.pictures = film.pictures[episode]
        self.image = axis.imshow(self.pictures[0], animated=True, interpolation="antialiased")
        super().__init__(axis, film, episode)
        high, wide = self.pictures.shape[1:3]
        self.ahead = Ahead(axis, film, episode, lambda x: (x * [1, -1] + [0, 1]) * [wide, high])

    def draw(self, row: int) -> None:
        """Show one picture."""
        self.image.set_data(self.pictures[min(row, len(self.pictures) - 1)])
        self.axis.draw_artist(self.image)
        self.ahead.draw(row)
        super().draw(row)

    def still(self) -> None:
        """Show the middle of the episode."""
        middle = int(self.film.lengths[self.episode]) // 2
        self.image.set_data(self.pictures[middle])
        self.image.set_animated(False)
        self.ahead.draw(middle, still=True)
        super().still()


class Strips(Panel):
    """Heat over time of what every agent sees, does and earns, a row per number."""

    def __init__(
        self, axis: Any, film: Film, episode: int, scales: Sequence[tuple[np.ndarray, np.ndarray]]
    ) -> None:
        steps, top = film.steps, 1.0
        for kind, (name, share) in enumerate(SHARES):
            low, span = scales[kind]
            rows = ((_rows(film, kind)[episode] - low) / span).T
            rows[:, int(film.lengths[episode]) + (kind == 0) :] = np.nan
            axis.imshow(
                rows, aspect="auto", interpolation="nearest", vmin=0, vmax=1,
                cmap=EARNED if name == "earns" else HEAT, zorder=1,
                extent=(0.0, float(rows.shape[1]), top - share + 0.02, top),
            )  # fmt: skip
            axis.text(
                -0.012 * steps, top - share / 2, name, rotation=90, ha="right", va="center",
                fontsize=7.5, color=style.MUTED,
            )  # fmt: skip
            top -= share
        axis.set_xlim(-0.05 * steps, steps + 1)
        axis.set_ylim(0, 1)
        self.cover = Rectangle((0, 0), 1, 1, facecolor=style.PAPER, zorder=2, animated=True)
        axis.add_patch(self.cover)
        super().__init__(axis, film, episode)

    def draw(self, row: int) -> None:
        """Uncover the strips up to `row`."""
        self.cover.set_bounds(row + (row > 0), 0, self.film.steps + 1, 1)
        self.axis.draw_artist(self.cover)
        super().draw(row)

    def still(self) -> None:
        """Show everything."""
        self.cover.set_visible(False)
        super().still()


def _rows(film: Film, kind: int) -> Float[np.ndarray, "episodes steps numbers"]:
    """Observations, actions or rewards of all groups in spec order, agent after agent."""
    held = (film.features, film.actions, film.rewards)[kind]
    parts = [held[name] for name in film.spec.names if name in held]
    flat = [part.reshape(*part.shape[:2], -1) for part in parts]
    return np.concatenate(flat, -1).astype(np.float64)


def scale(
    films: Sequence[Film], kind: int
) -> tuple[Float[np.ndarray, " numbers"], Float[np.ndarray, " numbers"]]:
    """Lowest value and span of each number over everything drawn, so that panels compare.

    Rewards share one span with 0 in its middle.
    """
    rows = np.concatenate(
        [_rows(film, kind).reshape(-1, _rows(film, kind).shape[-1]) for film in films]
    )
    low, high = rows.min(0), rows.max(0)
    if SHARES[kind][0] == "earns":
        most = max(float(np.abs(rows).max(initial=0.0)), 1e-9)
        low, high = np.full_like(low, -most), np.full_like(high, most)
    return low, np.where(high > low, high - low, 1.0)
