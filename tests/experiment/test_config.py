"""Configurations: written, read, refused."""

import dataclasses
import json
from typing import Any

import numpy as np
import pytest

from understudy.algorithms.presets import IntentVRNN
from understudy.experiment import config
from understudy.types import ActionSpec, Group, Spec, UserError, hyperparameters


@hyperparameters
class Inner:
    rate: float = 0.5
    limit: float | None = None
    names: tuple[str, ...] = ()


@hyperparameters
class Outer:
    inner: Any = dataclasses.field(default_factory=Inner)
    parts: tuple[tuple[Any, int], ...] = ()
    count: int = 3
    sure: bool = True


def through_json(value, kind=Any):
    return config.from_json(json.loads(json.dumps(config.to_json(value), allow_nan=False)), kind)


@pytest.mark.parametrize(
    "value",
    [
        Outer(Inner(0.25, 2.0, ("a", "b")), ((Inner(), 2), (Outer(), 1)), 5, False),
        Spec((Group("a", 2, 3, ActionSpec((4,), (-float("inf"),), (1.0,))),), 1, 9),
        IntentVRNN(),
    ],
    ids=["nested", "spec", "stages"],
)
def test_what_is_written_is_read_again(value):
    assert through_json(value) == value


def test_numbers_of_numpy_are_written_as_numbers():
    assert config.to_json({"a": np.float32(0.5), "b": np.arange(2)}) == {"a": 0.5, "b": [0, 1]}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"speed": 1}, r"Outer has no field \['speed'\]; expected some of"),
        ({"count": "3"}, "expected a value of type int, found '3'"),
        ({"count": True}, "expected a value of type int, found True"),
        ({"sure": 1}, "expected a value of type bool, found 1"),
        ({"inner": {"type": "os:system"}}, "expected a configuration class, found 'os:system'"),
        ({"inner": {"type": "nowhere:Thing"}}, "import 'nowhere' before reading this file"),
        ({"inner": {"type": "understudy.nowhere:Thing"}}, "of this version of understudy"),
        ({"inner": {"type": 3}}, "expected a type written module:Class, found 3"),
    ],
)
def test_what_is_not_understood_is_refused(change, sentence):
    with pytest.raises(UserError, match=sentence):
        config.from_json(config.to_json(Outer()) | change)


def test_another_class_than_expected_is_refused():
    with pytest.raises(UserError, match="expected a Spec, found"):
        config.from_json(config.to_json(Outer()), Spec)
    with pytest.raises(UserError, match=r"Group needs the field \['agents', 'observation'\]"):
        config.from_json({"type": "understudy.types:Group", "name": "a"})


def test_a_function_has_no_json_form():
    with pytest.raises(UserError, match="name functions by a string"):
        config.to_json(Outer(inner=len))
