"""``train ALGORITHM --compat NAME``: flags of a published program, read as a training of ours."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Annotated, Any

import tyro

from understudy.cli import console
from understudy.cli.compat_forms import Shown as Shown
from understudy.cli.compat_forms import Training as Training
from understudy.cli.compat_goodai import RunMultiagent
from understudy.cli.compat_webeye import MagailMain

MODES: dict[tuple[str, str], Any] = {
    ("ddpg", "goodai"): RunMultiagent,
    ("magail", "webeye"): MagailMain,
}
"""Algorithm and name of the mode -> the flags it reads."""


def modes(algorithm: str) -> dict[str, str]:
    """Modes of an algorithm, and the programs whose flags they read."""
    return {mode: form.program for (name, mode), form in MODES.items() if name == algorithm}


def read(
    algorithm: str, mode: str, argv: Sequence[str], *, prog: str
) -> tuple[Training | Shown, Any]:
    """Read the flags of a published program: the training, and how it reports and keeps itself.

    Raises:
        UsageError: for an algorithm without that mode, and whatever its flags are refused for.
    """
    from understudy.experiment.plan import TrainOptions

    if (algorithm, mode) not in MODES:
        known = " or ".join(f"train {name} --compat {own}" for name, own in MODES)
        raise console.UsageError(f"expected {known}, found train {algorithm} --compat {mode}")
    form = MODES[algorithm, mode]
    fields: list[Any] = [
        ("flags", Annotated[form, tyro.conf.arg(name="")]),
        (
            "options",
            Annotated[TrainOptions, tyro.conf.arg(name="")],
            dataclasses.field(default=TrainOptions()),
        ),
    ]
    both = dataclasses.make_dataclass(
        "Form", fields, frozen=True, namespace={"__module__": __name__}
    )
    prog = f"{prog} --compat {mode}"
    found: Any = console.read(both, argv, prog=prog, description=form.__doc__)
    return found.flags.training(), found.options
