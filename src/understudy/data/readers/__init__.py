"""Readers: one page per outside format, each turning files into `Demonstrations`.

``read("frames", "score/*.txt", rate=8.33, unit="ft")``; ``guess(path)`` names the reader.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from importlib import import_module
from typing import Any

from understudy.data.demonstrations import Demonstrations
from understudy.types import require

READERS = {
    "frames": "understudy.data.readers.frames:read",
    "sportvu": "understudy.data.readers.sportvu:read",
    "stats_npz": "understudy.data.readers.stats_npz:read",
    "groupnet": "understudy.data.readers.groupnet:read",
    "table": "understudy.data.readers.table:read",
    "scenes": "understudy.data.readers.scenes:read",
    "transitions": "understudy.data.readers.transitions:read",
    "open_bandit": "understudy.data.readers.open_bandit:read",
    "kloppy": "understudy.data.readers.kloppy:read",
}
"""Name of a format -> ``module:function``."""

_log = logging.getLogger("understudy.data").info


def read(
    reader: str,
    sources: Any,
    *,
    rate: float | int | None = None,
    unit: str | None = None,
    say: Callable[[str], None] = _log,
    **options: Any,
) -> Demonstrations:
    """Read outside files into `Demonstrations`.

    Args:
        reader: One of `READERS`; `guess` names the one that fits a file.
        sources: A file, a folder, a glob pattern, or a list of these (``kloppy``: a dataset).
        rate: Rows per second, where the format does not say.
        unit: ft, m, yd, px or "", where the format does not say.
        say: Called with one sentence per decision and per count of rows left out.
        options: The reader's own, see its page.

    Raises:
        UserError: one sentence naming the file and the line or row that is wrong.
    """
    require(reader in READERS, f"expected a reader among {sorted(READERS)}, found {reader!r}")
    module, function = READERS[reader].split(":")
    call = getattr(import_module(module), function)
    known = [n for n in inspect.signature(call).parameters if n not in ("rate", "unit", "say")][1:]
    unknown = sorted(set(options) - set(known))
    require(
        not unknown,
        f"reader {reader!r} has no option {', '.join(unknown)}, only {', '.join(known) or 'none'}",
    )
    return call(sources, rate=None if rate is None else float(rate), unit=unit, say=say, **options)


def guess(sources: Any) -> str:
    """Name the reader for a file (or the first file of a folder, pattern or list).

    Raises:
        UserError: when neither ending nor first bytes tell.
    """
    from understudy.data.readers import guessing

    return guessing.guess(sources)
