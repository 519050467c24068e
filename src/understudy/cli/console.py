"""What the command line reads and writes: arguments in, sentences, tables and a bar out.

Results go to stdout, everything else to stderr, so ``--json`` leaves one JSON object on stdout.
"""

from __future__ import annotations

import contextlib
import difflib
import io
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self, TypeVar

T = TypeVar("T")


class UsageError(Exception):
    """A command that cannot be read; its text is one sentence."""


class Verb:
    """A command: a dataclass of its arguments, called to do it."""

    @classmethod
    def read(cls, argv: Sequence[str], *, prog: str) -> Self:
        """Build the command from arguments.

        Raises:
            UsageError: for a bad flag or something missing.
        """
        return read(cls, argv, prog=prog)

    def __call__(self) -> int | None:
        """Do it; return an exit code, or None for 0."""
        raise UsageError(f"{type(self).__name__} does nothing")


def show(text: str) -> None:
    """Print a result on stdout."""
    print(text, flush=True)


def show_json(value: Mapping[str, Any]) -> None:
    """Print the one JSON object of ``--json`` on stdout."""
    print(json.dumps(value, indent=2), flush=True)


def say(text: str) -> None:
    """Print a remark on stderr."""
    print(f"understudy: {text}", file=sys.stderr, flush=True)


def nearest(word: str, words: Iterable[str]) -> str:
    """`` (did you mean 'x'?)``, or the list of what there is."""
    words = list(words)
    close = difflib.get_close_matches(word, words, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(words) or 'none'}"


def read(command: type[T], argv: Sequence[str], *, prog: str) -> T:
    """Build `command`, a dataclass, from arguments; ``--help`` prints and exits 0.

    Raises:
        UsageError: what tyro draws as a box, as one sentence.
    """
    import tyro

    box = io.StringIO()
    try:
        with contextlib.redirect_stderr(box):
            return tyro.cli(
                command,
                args=list(argv),
                prog=prog,
                config=(tyro.conf.FlagCreatePairsOff, tyro.conf.OmitSubcommandPrefixes),
            )
    except SystemExit as stop:
        if not stop.code:
            raise
    raise UsageError(f"{_flatten(box.getvalue())}; see {prog} --help")


def _flatten(box: str) -> str:
    """The text of a tyro error box: paragraphs joined by semicolons, indented rows by commas."""
    paragraphs: list[list[str]] = [[]]
    for line in box.splitlines():
        text = line.strip("│").rstrip()
        depth = len(text) - len(text.lstrip())
        text = text.strip()
        if text.startswith(("╭", "╰")) or not text:
            continue
        if set(text) == {"─"}:
            paragraphs.append([])
        elif depth < 8:
            paragraphs[-1].append(f"{text}," if depth >= 4 else text)
    kept = [
        " ".join(lines).rstrip(",.")
        for lines in paragraphs
        if lines and not lines[0].startswith(("For full helptext", "Argument helptext"))
    ]
    return "; ".join(kept)


def number(value: Any) -> str:
    """A value of a table: four figures where it is a float."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)

