"""What the command line reads and writes: arguments in, sentences, tables and a bar out.

Results go to stdout, everything else to stderr, so ``--json`` leaves one JSON object on stdout.
"""

from __future__ import annotations

import contextlib
import difflib
import io
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


class UsageError(Exception):
    """A command that cannot be read; its text is one sentence."""


class Verb:
    """A command: a dataclass of its arguments, called to do it."""

    @classmethod
    def read(cls, argv: Sequence[str], *, prog: str) -> Any:
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


def take(argv: Sequence[str], flag: str) -> tuple[str | None, list[str]]:
    """Take ``flag VALUE`` or ``flag=VALUE`` out of `argv`: the value, or None, and the rest."""
    for i, word in enumerate(argv):
        head, equals, value = word.partition("=")
        if head == flag:
            end = i + 1 if equals else i + 2
            return value if equals else "".join(argv[i + 1 : end]), [*argv[:i], *argv[end:]]
    return None, list(argv)


def read(command: type[T], argv: Sequence[str], *, prog: str, description: str | None = None) -> T:
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
                description=description,
                config=(tyro.conf.FlagCreatePairsOff,),
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


@contextlib.contextmanager
def progress(run: Path) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Draw a bar with the metrics that matter while a run trains; an interrupt says how to go on.

    Yields:
        What `understudy.experiment.train` calls with each event.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[pace]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[metrics]}", markup=False),
    )
    bar = Progress(*columns, console=Console(stderr=True), refresh_per_second=4)
    tasks: list[Any] = []
    begun: list[tuple[float, int]] = []

    def draw(event: dict[str, Any]) -> None:
        if not tasks:
            bar.start()
            tasks.append(bar.add_task("compiling", total=None, pace="", metrics=""))
        if event["event"] == "data":
            skipped = event["skipped"]
            short = f"; {len(skipped)} episodes shorter than a window" if skipped else ""
            bar.console.print(f"data: {event['feed']}{short}", highlight=False)
        elif event["event"] == "step":
            begun.append((time.monotonic(), event["step"]))
            stages, step = event.get("stages", 1), event["step"]
            bar.update(
                tasks[0],
                description=f"stage {event['stage'] + 1}/{stages}" if stages > 1 else "training",
                completed=step,
                total=event["steps"],
                pace=f"{step:,} of {event['steps']:,}{pace(begun)}",
                metrics=headline(event["metrics"]),
            )
        elif event["event"] == "end":
            end, steps = event["step"], event["steps"]
            bar.update(tasks[0], description="done", completed=end, total=steps)

    try:
        yield draw
    except KeyboardInterrupt:
        if not (run / "config.json").exists():
            raise
        command = f"understudy train --resume {run}"
        raise KeyboardInterrupt(f"interrupted; go on with: {command}") from None
    finally:
        if tasks:
            bar.stop()


def pace(passed: Sequence[tuple[float, int]]) -> str:
    """Steps per second since the first (time, step), which came with compiling; "" at first."""
    (begun, start), (now, step) = passed[0], passed[-1]
    return f"  {(step - start) / (now - begun):,.0f}/s" if step > start else ""


HEADLINE = ("loss", "elbo", "validation/elbo", "return", "evaluation/return")
"""Metrics shown beside the bar, if there are such."""


def headline(metrics: Mapping[str, Any]) -> str:
    """``loss 1.2  elbo 3.4``: means over the seeds that are well."""
    shown = []
    for name in HEADLINE:
        known = [value for value in metrics.get(name, []) if value is not None]
        if known:
            shown.append(f"{name} {number(sum(known) / len(known))}")
    return "  ".join(shown)


def number(value: Any) -> str:
    """A value of a table: four figures where it is a float."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
