"""The command line: picks the verb, and turns mistakes into one sentence.

Nothing here imports JAX: a verb's own file does, once that verb was asked for.

Exit codes: 0 done; 2 something the caller can mend; 3 a seed diverged; 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from typing import Any

from understudy.cli import console

VERBS = {
    "quickstart": ("understudy.cli.quickstart:Quickstart", "a problem from data to report"),
    "data convert": ("understudy.cli.data:Convert", "outside files to a demonstration folder"),
    "data inspect": ("understudy.cli.data:Inspect", "what a demonstration folder holds"),
    "data check": ("understudy.cli.data:Check", "what is wrong with a demonstration folder"),
    "data split": ("understudy.cli.data:Split", "train, validation and test, no id in two"),
    "simulate": (
        "understudy.cli.simulate:Simulate",
        "simulators of both sides of a log",
    ),
    "collect": ("understudy.cli.collect:Collect", "demonstrations of an expert playing an env"),
    "train": ("understudy.cli.train:Train", "an algorithm on demonstrations; also --resume RUN"),
    "evaluate": ("understudy.cli.runs:Evaluate", "a run beside its baselines"),
    "generate": ("understudy.cli.plays:Generate", "sample plays from a run"),
    "impute": ("understudy.cli.plays:Impute", "fill in rows that are missing from a log"),
    "diagnose": ("understudy.cli.diagnose:Diagnose", "what adversarial training did, drawn"),
    "compare": ("understudy.cli.runs:Compare", "several runs side by side"),
    "render": ("understudy.cli.plays:Render", "plays or demonstrations as GIF, PNG or MP4"),
    "study prepare": ("understudy.cli.study:Prepare", "two models' plays for people to compare"),
    "study count": ("understudy.cli.study:Count", "which model's plays people preferred"),
    "export": ("understudy.cli.runs:Export", "weights and spec alone, to load anywhere"),
    "bench": ("understudy.cli.bench:Bench", "measure again what benchmarks/results states"),
}
"""Verb -> where it lives, and its line in ``understudy --help``."""

FAMILIES = {verb.split()[0] for verb in VERBS if " " in verb}
"""First words of verbs that have two."""

EXTRAS = {
    "kloppy": "kloppy",
    "imageio": "video",
    "tensorboardX": "tensorboard",
    "wandb": "wandb",
    "jaxmarl": "smax",
    "pettingzoo": "pettingzoo",
    "mpe2": "pettingzoo",
    "gymnasium_robotics": "mujoco",
    "mujoco": "mujoco",
}
"""Optional package -> the extra that installs it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; `argv` defaults to the process's arguments."""
    try:
        return dispatch(list(sys.argv[1:] if argv is None else argv))
    except KeyboardInterrupt as interrupt:
        console.say(str(interrupt) or "interrupted")
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (console.UsageError, OSError, ImportError, ValueError) as error:
        console.say(sentence(error))
        return 2


def dispatch(argv: list[str]) -> int:
    """Answer what needs no verb, else read `argv` and run it."""
    if not argv or argv[0] in ("-h", "--help"):
        console.show(help_text())
        return 0
    if argv[0] == "--version":
        console.show(version("understudy"))
        return 0
    if argv[0] in FAMILIES and argv[1:2] in ([], ["-h"], ["--help"]):
        console.show(help_text(prefix=f"{argv[0]} "))
        return 0
    return parse(argv)() or 0


def parse(argv: Sequence[str]) -> Any:
    """Read a command: the verb at the head of `argv`, and its arguments.

    Raises:
        UsageError: for an unknown verb, a bad flag, or something missing.
    """
    for words in (2, 1):
        verb = " ".join(argv[:words])
        if verb in VERBS:
            module, name = VERBS[verb][0].split(":")
            read = getattr(import_module(module), name).read
            return read(argv[words:], prog=f"understudy {verb}")
    typed = " ".join(argv[: 2 if argv[0] in FAMILIES else 1])
    raise console.UsageError(f"expected a verb, found {typed!r}{console.nearest(typed, VERBS)}")


def help_text(prefix: str = "") -> str:
    """The verbs, one line each."""
    verbs = {verb: line for verb, (_, line) in VERBS.items() if verb.startswith(prefix)}
    lines = [f"  {verb:<15}{line}" for verb, line in verbs.items()]
    return "\n".join(
        [
            "understudy: learn how a team behaves by watching it.",
            "",
            f"usage: understudy {prefix}VERB ...",
            "",
            *lines,
            "",
            "understudy VERB --help says more. Start with: understudy quickstart",
        ]
    )


def sentence(error: Exception) -> str:
    """What went wrong, in one sentence; an error that is not the caller's is raised again."""
    if isinstance(error, console.UsageError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        place = f": {error.filename}" if error.filename else ""
        return f"{error.strerror}{place}"
    if isinstance(error, ImportError) and (error.name or "").split(".")[0] in EXTRAS:
        package = (error.name or "").split(".")[0]
        return (
            f"expected the package {package}, which is not installed; "
            f'run pip install "understudy[{EXTRAS[package]}]"'
        )
    from understudy.types import UserError  # imports JAX, which --help must not

    if isinstance(error, UserError):
        return " ".join(str(error).split())
    raise error
