"""Demonstrations: the container, its readers, its form on disk, sampling, labels, checks.

Names are looked up on first use (PEP 562), so importing the package imports no JAX. Where a
function has the name of its file (``boids``, ``resample``, ``statistics``), the attribute of the
package is the function.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from understudy.data.boids import boids as boids
    from understudy.data.demonstrations import Demonstrations as Demonstrations
    from understudy.data.demonstrations import Splits as Splits
    from understudy.data.feed import feed as feed
    from understudy.data.labels import label as label
    from understudy.data.quality import check as check
    from understudy.data.readers import read as read
    from understudy.data.regroup import concatenate as concatenate
    from understudy.data.resample import resample as resample
    from understudy.data.sampling import windows as windows
    from understudy.data.statistics import statistics as statistics
    from understudy.data.store import describe as describe
    from understudy.data.store import load as load
    from understudy.data.store import save as save
    from understudy.data.writer import Writer as Writer

_PUBLIC = {
    "Demonstrations": "demonstrations",
    "Splits": "demonstrations",
    "Writer": "writer",
    "boids": "boids",
    "check": "quality",
    "concatenate": "regroup",
    "describe": "store",
    "feed": "feed",
    "half_court": "court",
    "label": "labels",
    "load": "store",
    "read": "readers",
    "resample": "resample",
    "save": "store",
    "statistics": "statistics",
    "windows": "sampling",
}

__all__ = sorted(_PUBLIC)  # pyright: ignore[reportUnsupportedDunderAll]


class _Face(ModuleType):
    """A package whose submodules never hide the function of the same name."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _PUBLIC and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Face


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'understudy.data' has no attribute {name!r}")
    return getattr(import_module(f"understudy.data.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return __all__
