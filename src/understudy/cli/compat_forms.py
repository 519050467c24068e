"""What flags of a published program are read into, and what their readers share.

What the program published stands unless a flag says otherwise, and what flags change is said.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from understudy.cli import console


@dataclasses.dataclass(frozen=True)
class Training:
    """What somebody asked for, in our words."""

    algorithm: Any
    env: str
    steps: int
    out: Path
    seeds: int
    seed: int
    remarks: tuple[str, ...]
    """Sentences to say before it begins."""
    demos: Path | None = None
    """Folder of demonstrations."""
    warm_start: str | None = None
    """Run whose policies it begins with."""


@dataclasses.dataclass(frozen=True)
class Shown:
    """What somebody asked to see, in place of a training."""

    value: Mapping[str, Any]
    """Printed as one JSON object."""
    remarks: tuple[str, ...]
    """Sentences to say before."""

    def __call__(self) -> None:
        """Say and print it."""
        for sentence in self.remarks:
            console.say(sentence)
        console.show_json(self.value)


def over(published: Mapping[str, Any], flags: Any) -> tuple[dict[str, Any], list[str]]:
    """Published values under the flags that were given (not None), and what those change."""
    values, changes = dict(published), []
    for name, before in published.items():
        given = getattr(flags, name)
        if given is not None and given != before:
            values[name] = given
            changes.append(
                f"{name.replace('_', ' ')} {_shown(given)} (published: {_shown(before)})"
            )
    return values, changes


def _shown(value: float | int) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def refuse(flags: Any, instead: Mapping[str, str]) -> None:
    """Refuse flags that say more than their defaults.

    Raises:
        UsageError: naming the first, and what to do instead.
    """
    for field in dataclasses.fields(flags):
        if field.name in instead and getattr(flags, field.name) != field.default:
            raise console.UsageError(
                f"expected no --{field.name}, which means nothing in a training here; "
                f"{instead[field.name]}"
            )


def said(preset: str, changes: Sequence[str]) -> str:
    """One sentence about what flags changed in a preset."""
    return f"{preset}, " + (f"but {'; '.join(changes)}" if changes else "as published")
