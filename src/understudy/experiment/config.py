"""Configurations as JSON and back: ``{"type": "module:Class", ...}``, strict both ways.

Every dataclass is written with its type, so a field may hold any of several classes. Reading
refuses unknown types, unknown fields and values of the wrong kind. Only modules of understudy are
imported on the word of a file; a type of your own has to be imported before its file is read.
"""

from __future__ import annotations

import dataclasses
import importlib
import math
import sys
import typing
from collections.abc import Mapping
from typing import Any

import cattrs
import numpy as np

from understudy.types import UserError, require

VERSION = 1


def to_json(value: Any) -> Any:
    """Turn hyper-parameters, specs and options into what `json.dumps` takes.

    Raises:
        UserError: for a value that has no JSON form (a function, say).
    """
    return _CONVERTER.unstructure(value)


def from_json(data: Any, kind: Any = Any) -> Any:
    """Rebuild what `to_json` wrote.

    Args:
        data: what `json.loads` gave.
        kind: the expected type; any registered type if left out.

    Raises:
        UserError: unknown type or field, a missing field, or a value of the wrong kind.
    """
    try:
        return _CONVERTER.structure(data, kind)
    except (cattrs.BaseValidationError, cattrs.StructureHandlerNotFoundError, TypeError) as error:
        raise UserError(
            f"expected a configuration written by understudy, found {_reasons(error)}"
        ) from error


def _reasons(error: BaseException) -> str:
    if isinstance(error, cattrs.BaseValidationError):
        return "; ".join(_reasons(part) for part in error.exceptions)
    return str(error)


def _type_name(cls: type) -> str:
    return f"{cls.__module__}:{cls.__qualname__}"


def _lookup(name: Any) -> type:
    require(
        isinstance(name, str) and name.count(":") == 1,
        f"expected a type written module:Class, found {name!r}",
    )
    module, qualname = name.split(":")
    if module.split(".")[0] == "understudy":
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise UserError(
                f"expected a module of this version of understudy, found {module!r}; "
                "install the version that wrote the file"
            ) from error
    require(
        module in sys.modules,
        f"type {name!r} is not part of understudy; import {module!r} before reading this file",
    )
    found: Any = sys.modules[module]
    for part in qualname.split("."):
        found = getattr(found, part, None)
    if not (isinstance(found, type) and dataclasses.is_dataclass(found)):
        raise UserError(f"expected a configuration class, found {name!r}, which is none")
    return found


def _write_dataclass(value: Any) -> dict[str, Any]:
    fields = {f.name: to_json(getattr(value, f.name)) for f in dataclasses.fields(value)}
    return {"type": _type_name(type(value)), **fields}


def _write_float(value: float) -> float | str:
    return float(value) if math.isfinite(value) else str(float(value))


def _write_array(value: Any) -> Any:
    return to_json(np.asarray(value).tolist())


def _write_unknown(value: Any) -> Any:
    raise UserError(
        f"expected numbers, strings, tuples and dataclasses in a configuration, found "
        f"{type(value).__name__}; name functions by a string"
    )


def _read_dataclass(data: Any, kind: Any) -> Any:
    """Read ``{"type": ..., fields}`` as the class it names, which has to fit `kind`."""
    require(isinstance(data, dict), f"expected an object with a type, found {data!r}")
    require("type" in data, f"expected the key 'type' among {sorted(data)}")
    cls = _lookup(data["type"])
    wanted: Any = kind
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        require(issubclass(cls, wanted), f"expected a {kind.__name__}, found {data['type']!r}")
    fields = {f.name: f for f in dataclasses.fields(cls)}
    unknown = sorted(set(data) - {"type"} - set(fields))
    require(
        not unknown,
        f"{cls.__name__} has no field {unknown}; expected some of {sorted(fields)}",
    )
    hints = typing.get_type_hints(cls)
    missing = [
        name
        for name, field in fields.items()
        if name not in data
        and field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
    ]
    require(not missing, f"{cls.__name__} needs the field {missing}; add it to the file")
    return cls(**{n: from_json(v, hints[n]) for n, v in data.items() if n != "type"})


def _read_any(data: Any, kind: Any) -> Any:
    """Read without a declared type: objects by their type, lists as tuples."""
    if isinstance(data, dict) and "type" in data:
        return _read_dataclass(data, kind)
    if isinstance(data, dict):
        return {key: _read_any(item, Any) for key, item in data.items()}
    if isinstance(data, list):
        return tuple(_read_any(item, Any) for item in data)
    return data


def _read_exactly(kind: type) -> Any:
    def read(data: Any, _: Any) -> Any:
        require(
            isinstance(data, kind) and not (kind is int and isinstance(data, bool)),
            f"expected a value of type {kind.__name__}, found {data!r}",
        )
        return data

    return read


def _read_float(data: Any, _: Any) -> float:
    known = isinstance(data, int | float) and not isinstance(data, bool)
    require(known or data in ("inf", "-inf", "nan"), f"expected a number, found {data!r}")
    return float(data)


def _is_open(kind: Any) -> bool:
    """Any, a protocol, or a union of classes: decided by what the file says."""
    if kind is Any or getattr(kind, "_is_protocol", False):
        return True
    members = [m for m in typing.get_args(kind) if m is not type(None)]
    union = typing.get_origin(kind) is typing.Union or type(kind).__name__ == "UnionType"
    return union and len(members) > 0 and not all(m in (int, float, str, bool) for m in members)


def _is_float_or_none(kind: Any) -> bool:
    return set(typing.get_args(kind)) == {float, type(None)}


def _make() -> cattrs.Converter:
    converter = cattrs.Converter(forbid_extra_keys=True, unstructure_fallback_factory=_fallback)
    converter.register_unstructure_hook(float, _write_float)
    converter.register_unstructure_hook_func(dataclasses.is_dataclass, _write_dataclass)
    converter.register_unstructure_hook_func(
        lambda cls: isinstance(cls, type) and hasattr(cls, "__array__"), _write_array
    )
    converter.register_unstructure_hook_func(
        lambda cls: cls in (tuple, list), lambda v: [to_json(item) for item in v]
    )
    converter.register_unstructure_hook_func(
        lambda cls: isinstance(cls, type) and issubclass(cls, set | frozenset),
        lambda v: sorted(to_json(item) for item in v),
    )
    for kind in (int, str, bool):
        converter.register_structure_hook(kind, _read_exactly(kind))
    converter.register_structure_hook(float, _read_float)
    converter.register_structure_hook_func(dataclasses.is_dataclass, _read_dataclass)
    converter.register_structure_hook_func(_is_open, _read_any)
    converter.register_structure_hook_func(
        _is_float_or_none, lambda v, t: None if v is None else _read_float(v, t)
    )
    return converter


def _fallback(kind: Any) -> Any:
    plain = kind in (int, str, bool, type(None)) or (
        isinstance(kind, type) and issubclass(kind, Mapping | tuple)
    )
    if plain and isinstance(kind, type) and issubclass(kind, Mapping):
        return lambda value: {key: to_json(item) for key, item in value.items()}
    return (lambda value: value) if plain else _write_unknown


_CONVERTER = _make()
