"""Half-court basketball: who attacks which hoop, seen from the observed rows alone.

A play of two teams on a 94 x 50 ft court becomes one that attacks the left hoop, with the groups
``offence``, ``defence`` and ``ball``. Nothing after the observed rows is looked at: the play begins
at the first row t from which, for ``observed`` rows,

1. everybody and the ball are in one half of the court,
2. the player nearest to the ball belongs to one team in at least 7 of 10 rows: the offence,
3. the evidence ``(defence - offence) + 0.3 last + 1 s * velocity`` (mean x of each team, of all
   players in the last row from the middle line, and of all players' velocity; feet) points by at
   least 3 ft to that half: a defence stands between the attackers and the hoop it guards.

The rule is checked on possessions that end in a basket, where the ball in the last rows tells the
truth (tests/data/test_court.py).
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Int

from understudy.data.demonstrations import Demonstrations
from understudy.types import Group, Spec, require

LENGTH, WIDTH = 94.0, 50.0
"""Feet."""
MIDDLE = LENGTH / 2
HOOPS = ((5.25, 25.0), (88.75, 25.0))
"""Feet: left, right."""
POSSESSION = 0.7
"""Least part of the observed rows in which one team is nearest to the ball."""
EVIDENCE = 3.0
"""Feet."""

_log = logging.getLogger("understudy.data").info


@dataclasses.dataclass(frozen=True)
class Attack:
    """What the observed rows tell, for each row they could begin at."""

    known: Bool[np.ndarray, " begins"]
    visitors: Bool[np.ndarray, " begins"]
    """The visitors have the ball."""
    right: Bool[np.ndarray, " begins"]
    """They attack the right hoop."""


def flip(positions: Float[np.ndarray, "*rows 2"]) -> Float[np.ndarray, "*rows 2"]:
    """Turn the court by half a turn, ``(94 - x, 50 - y)`` feet; its own inverse."""
    return np.asarray([LENGTH, WIDTH], positions.dtype) - positions


def infer(
    players: Float[np.ndarray, "time 10 2"], ball: Float[np.ndarray, "time 2"], observed: int,
    rate: float,
) -> Attack:  # fmt: skip
    """Tell offence and attacked hoop from each stretch of `observed` rows.

    Args:
        players: Feet; five of the home team, then five visitors.
        ball: Feet.
        observed: Rows of a stretch, at least 2.
        rate: Rows per second.

    Returns:
        One answer per stretch, ``time - observed + 1`` of them.
    """
    near = np.linalg.norm(players - ball[:, None], axis=-1).argmin(-1)
    visiting = _mean(near >= 5, observed)
    visitors = visiting > 0.5
    x = players[..., 0]
    home, away = _mean(x[:, :5].mean(1), observed), _mean(x[:, 5:].mean(1), observed)
    lead = np.where(visitors, home - away, away - home)
    centre = x.mean(1)
    last = centre[observed - 1 :] - MIDDLE
    seconds = (observed - 1) / rate
    velocity = (centre[observed - 1 :] - centre[: len(centre) - observed + 1]) / seconds
    evidence = lead + 0.3 * last + 1.0 * velocity
    right = evidence > 0
    everybody = np.concatenate([x, ball[:, :1]], 1)
    settled = np.where(
        right,
        _mean(everybody.min(1) > MIDDLE, observed) == 1,
        _mean(everybody.max(1) < MIDDLE, observed) == 1,
    )
    held = np.maximum(visiting, 1 - visiting) >= POSSESSION
    return Attack(settled & held & (np.abs(evidence) >= EVIDENCE), visitors, right)


def _mean(values: np.ndarray, observed: int) -> Float[np.ndarray, " begins"]:
    """Mean over each stretch of `observed` rows."""
    return np.lib.stride_tricks.sliding_window_view(values.astype(np.float64), observed).mean(-1)


def half_court(
    demonstrations: Demonstrations, observed: int = 10, *, say: Callable[[str], None] = _log
) -> Demonstrations:
    """Cut plays to where they are set up and turn them to attack the left hoop.

    Args:
        demonstrations: Groups ``player`` (ten, label ``team`` home or visitor) and ``ball``, feet.
        observed: Rows at the beginning of each play from which everything is inferred.
        say: Called with how many plays were kept and left out.

    Returns:
        Groups ``offence`` (5), ``defence`` (5), ``ball`` (1); labels ``offence`` (home or visitor)
        and ``hoop`` (left or right, before turning); context ``bounds`` [episodes, 2, 2], the low
        and high corner of the left half in feet. Only positions are carried over.

    Raises:
        UserError: when groups, teams or unit are other, or no play can be told.
    """
    d = demonstrations
    _check(d, observed)
    home = _home_first(d)
    kept, begins, visitors, right = [], [], [], []
    for episode, (start, end) in enumerate(zip(d.starts[:-1], d.starts[1:], strict=True)):
        rows = slice(int(start), int(end))
        whole = d.alive["player"][rows].all() and d.alive["ball"][rows].all()
        if end - start < observed or not whole:
            continue
        players = np.asarray(d.features["player"][rows])[:, home[episode], :2]
        attack = infer(players, np.asarray(d.features["ball"][rows])[:, 0, :2], observed, d.rate)
        if attack.known.any():
            first = int(np.argmax(attack.known))
            kept.append(episode)
            begins.append(int(start) + first)
            visitors.append(bool(attack.visitors[first]))
            right.append(bool(attack.right[first]))
    require(len(kept) > 0, "expected a play whose attack can be told, found none")
    left = d.episodes - len(kept)
    say(f"{len(kept)} plays set up in one half; {left} left out, where that cannot be told")
    order = np.where(np.array(visitors)[:, None], np.roll(home[kept], 5, axis=1), home[kept])
    return _turned(d, np.array(kept), np.array(begins), order, np.array(right))


def _check(d: Demonstrations, observed: int) -> None:
    groups = {g.name: g.agents for g in d.spec.groups}
    require(
        groups == {"player": 10, "ball": 1},
        f"expected the groups player (10) and ball (1), found {groups}; regroup first",
    )
    require(
        d.unit == "ft", f"expected feet, found {d.unit or 'no unit'}; scale the positions first"
    )
    require(observed >= 2, f"expected at least 2 observed rows, found {observed}")
    require(
        "team" in d.agent_labels,
        "expected the agent label team (home, visitor), found none; read the set again",
    )


def _home_first(d: Demonstrations) -> Int[np.ndarray, "episodes 10"]:
    """Slots of the home five, then of the visitors, of each episode."""
    team = np.asarray(d.agent_labels["team"]["player"])
    require(
        bool(((team == "home").sum(1) == 5).all() and ((team == "visitor").sum(1) == 5).all()),
        "expected five players of team home and five of visitor in every episode",
    )
    return np.argsort(team == "visitor", axis=1, kind="stable")


def _turned(
    d: Demonstrations,
    kept: Int[np.ndarray, " kept"],
    begins: Int[np.ndarray, " kept"],
    order: Int[np.ndarray, "kept 10"],
    right: Bool[np.ndarray, " kept"],
) -> Demonstrations:
    """The kept plays from `begins` on; `order` lists the slots of the offence first."""
    ends = d.starts[1:][kept]
    lengths = ends - begins
    starts = np.concatenate([[0], np.cumsum(lengths)])
    rows = np.concatenate([np.arange(a, b) for a, b in zip(begins, ends, strict=True)])
    turn = np.repeat(right, lengths)[:, None, None]
    players = np.take_along_axis(
        np.asarray(d.features["player"])[rows][..., :2],
        np.repeat(order, lengths, axis=0)[..., None],
        axis=1,
    )
    ball = np.asarray(d.features["ball"])[rows][..., :2]
    players, ball = (np.where(turn, flip(track), track) for track in (players, ball))
    values = {"offence": players[:, :5], "defence": players[:, 5:], "ball": ball}
    agents = {}
    for name, columns in d.agent_labels.items():
        own = np.take_along_axis(np.asarray(columns["player"])[kept], order, 1)
        agents[name] = {
            "offence": own[:, :5],
            "defence": own[:, 5:],
            "ball": np.asarray(columns["ball"])[kept],
        }
    sides = np.asarray(d.agent_labels["team"]["player"])[kept, order[:, 0]]
    bounds = np.array([[0, 0], [MIDDLE, WIDTH]], np.float32)
    return Demonstrations(
        spec=Spec(tuple(Group(g, v.shape[1], 2, features=("x", "y")) for g, v in values.items())),
        starts=starts.astype(np.int64),
        features=values,
        alive={g: np.ones(v.shape[:2], bool) for g, v in values.items()},
        rate=d.rate,
        unit=d.unit,
        labels={
            **{name: np.asarray(column)[kept] for name, column in d.labels.items()},
            "offence": sides,
            "hoop": np.where(right, "right", "left"),
        },
        agent_labels=agents,
        context={"bounds": np.repeat(bounds[None], len(kept), 0)},
        licence=d.licence,
    )
