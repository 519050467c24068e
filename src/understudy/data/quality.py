"""What spoils learning, found before it does: gaps, jumps, frozen clocks, noise, copies, leaks.

Rules (positions are the features named x and y, or both of two nameless ones):

- *not finite*, error: a feature, action, reward or state that is not a finite number.
- *noise*: lag-1 autocorrelation of the positions of an episode below 0.5 although its steps are
  more than a tenth of the spread of all positions; at least 5 rows. Error where more than half of
  the episodes are like that, else warning. Also a warning: a mean speed above 25 ft/s (5 ft per
  frame at 5 Hz) where the unit is known.
- *teleports*, warning: a step faster than 12 times the median speed of moving steps and, where
  the unit is known, faster than 13 m/s (45 m/s in a group named ``ball``).
- *frozen*, warning: a track that never moves for 2 s or more, or 1 s or more in which nobody of a
  group of several moves (a clock that stood still).
- *duplicates*, error: episodes of equal content under different names. A warning in a set that was
  collected in an env: a small game repeats itself.
- *leaks*, error: an episode, by name or content, in two parts of a split; a game in two parts is
  a warning. Of a log of states and what followed them, also states of another part that occur
  in training: error where they are more than 5 %, else warning.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from typing import Literal

import numpy as np

from understudy.data import fingerprints
from understudy.data.demonstrations import Demonstrations, Splits
from understudy.data.layout import ROW_GROUPS, ROWS
from understudy.data.motion import METRES, Motion, measure, positions
from understudy.types import Group

NOISE_AUTOCORRELATION = 0.5
NOISE_STEP = 0.1
NOISE_ROWS = 5
NOISE_SPEED = 25 * 0.3048
TELEPORT_FACTOR = 12.0
TELEPORT_SPEED = {"ball": 45.0}
TELEPORT_SPEED_OTHERS = 13.0
STILL_SECONDS = 1.0
LEAKED_STATES = 0.05


@dataclasses.dataclass(frozen=True)
class Finding:
    """Something a user should know before training."""

    level: Literal["error", "warning"]
    """An error spoils what is learned or measured; a warning may be how things were."""
    name: str
    """Name of the rule: not finite, noise, teleports, frozen, duplicates, leaks."""
    message: str
    """One sentence: what was found, where, what to do."""
    episodes: tuple[str, ...] = ()
    """Names of the episodes concerned, or of the shared ids."""

    def __str__(self) -> str:
        return f"{self.level}: {self.message}"


def check(demonstrations: Demonstrations, splits: Splits | None = None) -> list[Finding]:
    """Look for everything above; no finding means that nothing was found.

    Args:
        demonstrations: the whole set.
        splits: its parts, to look for leaks between them.
    """
    findings = _not_finite(demonstrations)
    if demonstrations.episodes:
        for group in demonstrations.spec.groups:
            if len(positions(group)) == 2:
                findings += _motion(demonstrations, group)
        findings += _duplicates(demonstrations)
    if splits is not None:
        findings += check_leaks(splits)
    return findings


def check_splits(splits: Splits) -> list[Finding]:
    """Check every part by itself, and look for leaks between them; messages name the part."""
    findings = []
    for name, part in splits._asdict().items():
        for finding in check(part):
            findings.append(dataclasses.replace(finding, message=f"{name}: {finding.message}"))
    return findings + check_leaks(splits)


def check_leaks(splits: Splits) -> list[Finding]:
    """Look for episodes, games, and states of a log, that are in more than one part."""
    rules: tuple[tuple[Literal["error", "warning"], str, list[str], str], ...] = (
        ("error", "episodes", fingerprints.shared_ids(splits, "episode"), "split by an id"),
        ("error", "episodes of equal content", fingerprints.shared_content(splits), "drop copies"),
        ("warning", "games", fingerprints.shared_ids(splits, "game"), "split by game"),
    )
    return [
        Finding(
            level,
            "leaks",
            f"{len(ids):,} {what} are in more than one part of the split ({_some(ids)}); {advice}",
            tuple(ids),
        )
        for level, what, ids, advice in rules
        if ids
    ] + _leaked_states(splits)


def _leaked_states(splits: Splits) -> list[Finding]:
    """States that were trained on: a set split by rows has the same on both sides."""
    findings = []
    for name, part in (("validation", splits.validation), ("test", splits.test)):
        share = fingerprints.seen_states(splits.train, part)
        if share > 0:
            findings.append(Finding(
                "error" if share > LEAKED_STATES else "warning", "leaks",
                f"{share:.1%} of the states of {name} also occur in train; split by session",
            ))  # fmt: skip
    return findings


def _not_finite(d: Demonstrations) -> list[Finding]:
    findings = []
    for field in (*ROW_GROUPS, *ROWS):
        value = getattr(d, field)
        if value is None:
            continue
        for group, array in [("", value)] if field in ROWS else value.items():
            if array.dtype.kind != "f" or np.isfinite(array).all():
                continue
            rows = np.flatnonzero(~np.isfinite(array).reshape(len(array), -1).all(1))
            episodes = np.unique(np.searchsorted(d.starts, rows, side="right") - 1)
            findings.append(
                _finding(
                    d, "error", "not finite", episodes,
                    f"{field}{f' of group {group!r}' if group else ''} are not finite numbers in "
                    f"{len(rows):,} rows",
                    "mark agents that are missing as not alive",
                )
            )  # fmt: skip
    return findings


def _motion(d: Demonstrations, group: Group) -> list[Finding]:
    motion = measure(d, group)
    return [
        *_noise(d, group, motion),
        *_teleports(d, group, motion),
        *_frozen(d, group, motion),
    ]


def _noise(d: Demonstrations, group: Group, motion: Motion) -> list[Finding]:
    findings = []
    looked = d.lengths >= NOISE_ROWS
    noisy = (
        looked
        & (motion.autocorrelation < NOISE_AUTOCORRELATION)
        & (motion.step_rms > NOISE_STEP * motion.spread)
    )
    if noisy.any():
        findings.append(
            _finding(
                d, "error" if noisy.sum() > looked.sum() / 2 else "warning", "noise",
                np.flatnonzero(noisy),
                f"positions of group {group.name!r} jump about like noise (lag-1 autocorrelation "
                f"{np.median(motion.autocorrelation[noisy]):.2f}, expected above "
                f"{NOISE_AUTOCORRELATION})",
                "find the real recordings",
            )
        )  # fmt: skip
    metres = METRES.get(d.unit)
    if metres and group.name != "ball" and motion.mean_speed * metres > NOISE_SPEED:
        findings.append(
            Finding(
                "warning", "noise",
                f"group {group.name!r} moves at {motion.mean_speed:.3g} {d.unit}/s on average, "
                f"expected below {NOISE_SPEED / metres:.3g}; check rate and unit",
            )
        )  # fmt: skip
    return findings


def _teleports(d: Demonstrations, group: Group, motion: Motion) -> list[Finding]:
    bound = TELEPORT_FACTOR * motion.moving_speed
    metres = METRES.get(d.unit)
    if metres:
        bound = max(bound, TELEPORT_SPEED.get(group.name, TELEPORT_SPEED_OTHERS) / metres)
    jumps = np.flatnonzero((motion.fastest > bound) & (motion.moving_speed > 0))
    if not len(jumps):
        return []
    per_second = f"{d.unit or 'units'}/s"
    return [
        _finding(
            d, "warning", "teleports", jumps,
            f"agents of group {group.name!r} jump at up to {motion.fastest.max():.3g} {per_second} "
            f"(half of the moving steps are below {motion.moving_speed:.3g})",
            "cut the episodes there",
        )
    ]  # fmt: skip


def _frozen(d: Demonstrations, group: Group, motion: Motion) -> list[Finding]:
    findings = []
    frozen = np.flatnonzero(motion.frozen > 0)
    if len(frozen):
        findings.append(
            _finding(
                d, "warning", "frozen", frozen,
                f"tracks of group {group.name!r} never move "
                f"({int(motion.frozen[frozen].sum()):,} of them)",
                "mark agents that are not tracked as not alive",
            )
        )  # fmt: skip
    least = max(3, math.ceil(STILL_SECONDS * d.rate))
    still = np.flatnonzero(motion.still >= least)
    if group.agents > 1 and len(still):
        findings.append(
            _finding(
                d, "warning", "frozen", still,
                f"nobody of group {group.name!r} moves for up to "
                f"{motion.still.max() / d.rate:.3g} s",
                "cut the episodes where the clock stands still",
            )
        )  # fmt: skip
    return findings


def _duplicates(d: Demonstrations) -> list[Finding]:
    copies = fingerprints.repeated(d)
    if not len(copies):
        return []
    return [
        _finding(
            d, "warning" if "env" in d.provenance else "error", "duplicates", copies,
            "the content is that of an earlier episode", "keep one of each",
        )
    ]  # fmt: skip


def _finding(
    d: Demonstrations,
    level: Literal["error", "warning"],
    name: str,
    episodes: np.ndarray,
    what: str,
    advice: str,
) -> Finding:
    names = tuple(d.labels["episode"][episodes].tolist())
    return Finding(
        level,
        name,
        f"{what} in {len(names):,} of {d.episodes:,} episodes ({_some(names)}); {advice}",
        names,
    )


def _some(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
