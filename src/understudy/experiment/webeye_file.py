"""Configuration files of MAGAIL with a joint policy (the program of WebEye): keys and values.

A file has the parts ``general``, ``gae``, ``ppo``, ``jointpolicy`` with ``agent`` and ``env``,
``value`` and ``discriminator``. Older files say ``policy`` and ``user``, and have fewer keys.

Source: config/config.yml of RITCHIEHuang/MAGAIL, all versions from 2020-03-17 to 2020-05-08.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from understudy.experiment import webeye_yaml
from understudy.types import UserError, require

OLDER = {"jointpolicy": "policy", "jointpolicy.agent": "user"}
"""Part -> what older files call it."""
ACTIVATIONS = {"relu": "relu", "leakyrelu": "leaky_relu", "tanh": "tanh"}
"""Activation there, in whatever case -> here. Three others (sigmoid, prelu, softmax) have no
counterpart."""
MISSPELT = {"leaklyrelu": "leakyrelu"}
"""As older files and the program's own page write it."""
MOST = 2**31 - 1
"""Of whole numbers."""


class Kind(NamedTuple):
    """What a key holds."""

    what: str
    """``"a whole number above 0"``, for errors."""
    fits: Callable[[Any], bool]
    made: Callable[[Any], Any] = lambda value: value
    """From a value that fits."""


def _whole(value: Any, least: int) -> bool:
    return type(value) is int and least <= value <= MOST


def _number(value: Any, least: float, most: float) -> bool:
    return type(value) in (int, float) and least <= value <= most


def _wholes(value: Any, least: int) -> bool:
    return isinstance(value, list | tuple) and all(_whole(one, least) for one in value)


def word(activation: str) -> str:
    """An activation as the program looks it up, with what files misspell mended."""
    bare = activation.lower().removeprefix("nn.")
    return MISSPELT.get(bare, bare)


COUNT = Kind("a whole number above 0", lambda v: _whole(v, 1))
NATURAL = Kind("a whole number of 0 or more", lambda v: _whole(v, 0))
RATE = Kind("a step size above 0, at most 1", lambda v: _number(v, 1e-12, 1.0), float)
SHARE = Kind("a number from 0 to 1", lambda v: _number(v, 0.0, 1.0), float)
WEIGHT = Kind("a number of 0 or more", lambda v: _number(v, 0.0, 1e6), float)
FINITE = Kind("a number from -20 to 20", lambda v: _number(v, -20.0, 20.0), float)
SMOOTH = Kind("a number from 0 to below 0.5", lambda v: _number(v, 0.0, 0.5 - 1e-9), float)
DROPPED = Kind(
    "a share from 0 to below 1, or null",
    lambda v: v is None or _number(v, 0.0, 1.0 - 1e-9), lambda v: float(v or 0),
)  # fmt: skip
FLAG = Kind("True or False", lambda v: type(v) is bool)
TEXT = Kind("text", lambda v: isinstance(v, str))
LAYERS = Kind("a list of layer sizes above 0", lambda v: _wholes(v, 1), tuple)
SECTIONS = Kind(
    "a list of numbers of choices, or [0] for none",
    lambda v: _wholes(v, 1) or (_wholes(v, 0) and len(v) == 1),
    lambda v: tuple(n for n in v if n),
)
ACTIVATION = Kind(
    f"one of the activations {', '.join(ACTIVATIONS)}",
    lambda v: isinstance(v, str) and word(v) in ACTIVATIONS, lambda v: ACTIVATIONS[word(v)],
)  # fmt: skip

REQUIRED = object()
"""In place of a value for a key that is left out."""
_LAYERS = {
    "num_hiddens": (LAYERS, REQUIRED),
    "activation": (ACTIVATION, REQUIRED),
    "drop_rate": (DROPPED, REQUIRED),
}
_HALF = {
    "num_states": (COUNT, REQUIRED),
    "num_actions": (COUNT, REQUIRED),
    "num_discrete_actions": (NATURAL, REQUIRED),
    "discrete_actions_sections": (SECTIONS, REQUIRED),
    "action_log_std": (FINITE, REQUIRED),
    "use_multivariate_distribution": (FLAG, False),
    **_LAYERS,
}
_PARTS: dict[str, dict[str, tuple[Kind, Any]]] = {
    "general": {
        "seed": (NATURAL, REQUIRED),
        "expert_batch_size": (COUNT, REQUIRED),
        "training_epochs": (COUNT, REQUIRED),
        "expert_data_path": (TEXT, None),
        "expert_train_data_path": (TEXT, None),
        "expert_test_data_path": (TEXT, None),
        "num_states": (COUNT, None),
        "num_actions": (COUNT, None),
        "noise_std": (WEIGHT, 0.0),
        "use_eval": (FLAG, False),
    },
    "gae": {"gamma": (SHARE, REQUIRED), "tau": (SHARE, REQUIRED)},
    "ppo": {
        "clip_ratio": (SHARE, REQUIRED),
        "ppo_optim_epochs": (COUNT, REQUIRED),
        "ppo_mini_batch_size": (COUNT, REQUIRED),
        "sample_batch_size": (COUNT, REQUIRED),
    },
    "jointpolicy": {
        "learning_rate": (RATE, REQUIRED),
        "trajectory_length": (COUNT, REQUIRED),
        "num_states": (COUNT, None),
        "num_actions": (COUNT, None),
    },
    "jointpolicy.agent": _HALF,
    "jointpolicy.env": _HALF,
    "value": {
        "num_states": (COUNT, REQUIRED),
        **_LAYERS,
        "learning_rate": (RATE, REQUIRED),
        "l2_reg": (WEIGHT, REQUIRED),
    },
    "discriminator": {
        "num_states": (COUNT, REQUIRED),
        "num_actions": (COUNT, REQUIRED),
        **_LAYERS,
        "learning_rate": (RATE, REQUIRED),
        "use_noise": (FLAG, False),
        "noise_std": (WEIGHT, 0.0),
        "use_label_smoothing": (FLAG, False),
        "label_smooth_rate": (SMOOTH, 0.0),
    },
}
KEYS = {f"{part}.{key}": kind for part, keys in _PARTS.items() for key, kind in keys.items()}
"""Key -> what it holds, and what it is if left out."""


@dataclasses.dataclass(frozen=True)
class Configuration:
    """A file's values by key, in the words of newer files: ``"jointpolicy.agent.num_hiddens"``."""

    values: Mapping[str, Any]
    """Of all `KEYS`; activations as `networks.mlp.Activation`, sections () for none."""
    spelled: Mapping[str, str]
    """Key or part -> as the file has it, for those that are there."""
    remarks: tuple[str, ...] = ()
    """Sentences about what the file misspells."""

    def __getitem__(self, key: str) -> Any:
        return self.values[key]

    def name(self, key: str) -> str:
        """A key or part as the file has it, or would."""
        part, _, last = key.rpartition(".")
        return self.spelled.get(key) or (f"{self.name(part)}.{last}" if part else last)


def read(path: str | Path) -> Configuration:
    """Read a configuration file.

    Args:
        path: a YAML file.

    Raises:
        UserError: for what is no such YAML (`webeye_yaml.load`); for keys that are missing, unknown
            or hold something else, and values that do not go together, naming them.
    """
    return parse(webeye_yaml.load(path), str(path))


def parse(tree: Any, where: str = "the configuration") -> Configuration:
    """Check what a file holds.

    Args:
        tree: parts, keys and values as a file has them.
        where: named in errors.

    Raises:
        UserError: as `read`.
    """
    given, spelled = {}, {}
    for key, name, value in _leaves(tree, "", "", where):
        given[key] = value
        while key:
            spelled[key] = name
            key, name = (path.rpartition(".")[0] for path in (key, name))
    values, mended = {}, {}
    found = Configuration(values, spelled)
    for key, (kind, otherwise) in KEYS.items():
        if key not in given:
            require(
                otherwise is not REQUIRED,
                f"expected the key {found.name(key)} in {where}, found none; add {kind.what}",
            )
            values[key] = otherwise
            continue
        value = given[key]
        require(
            kind.fits(value),
            f"expected {kind.what} at {spelled[key]} in {where}, found {_shown(value)}",
        )
        values[key] = kind.made(value)
        if kind is ACTIVATION and value.lower() not in ACTIVATIONS:
            mended.setdefault(value, []).append(spelled[key])
    _check(found, where)
    remarks = tuple(
        f"{', '.join(keys)}: {value} is read as LeakyReLU" for value, keys in mended.items()
    )
    return dataclasses.replace(found, remarks=remarks)


def _leaves(tree: Any, part: str, name: str, where: str) -> Iterator[tuple[str, str, Any]]:
    """``(key, the key as written, value)`` of everything below a part.

    Raises:
        UserError: for keys that are unknown, a part that holds no keys, or is there in both
            spellings.
    """
    place = f"{name or 'the top'} in {where}"
    require(isinstance(tree, Mapping), f"expected keys at {place}, found {_shown(tree)}")
    lead = f"{part}." if part else ""
    known = list(dict.fromkeys(
        key[len(lead):].partition(".")[0] for key in KEYS if key.startswith(lead)
    ))  # fmt: skip
    older = {OLDER[lead + new]: new for new in known if lead + new in OLDER}
    for written, value in tree.items():
        new = older.get(written, written) if isinstance(written, str) else written
        if new not in known:
            close = difflib.get_close_matches(str(written), known, n=1)
            meant = f"write {close[0]!r}" if close else f"take one of {', '.join(known)}"
            raise UserError(
                f"expected keys of the published program at {place}, found {_shown(written)}; "
                f"remove it, or {meant}"
            )
        require(
            new == written or new not in tree,
            f"expected one of {new} and {written} at {place}, found both; remove one",
        )
        path, as_written = lead + new, f"{name}.{written}" if name else written
        if path in KEYS:
            yield path, as_written, value
        else:
            yield from _leaves(value, path, as_written, where)


def _check(found: Configuration, where: str) -> None:
    """See that sizes go together.

    Raises:
        UserError: naming the keys.
    """
    agent, env = "jointpolicy.agent", "jointpolicy.env"
    states, actions = found[f"{agent}.num_states"], found[f"{agent}.num_actions"]
    of_agent = found.name(f"{agent}.num_states").rpartition(".")[0]
    sizes = {f"{env}.num_states": states + actions, f"{env}.num_actions": states}
    for part in ("general", "jointpolicy", "value", "discriminator"):
        sizes |= {f"{part}.num_states": states, f"{part}.num_actions": actions}
    for key, size in sizes.items():
        require(
            found.values.get(key) in (None, size),
            f"expected {size} at {found.name(key)} in {where}, as {of_agent} has {states} states "
            f"and {actions} actions, found {found.values.get(key)}",
        )
    for half in (agent, env):
        choices, total = found[f"{half}.num_discrete_actions"], found[f"{half}.num_actions"]
        shared = sum(found[f"{half}.discrete_actions_sections"])
        require(
            shared == choices,
            f"expected sections of {choices} choices in all, as "
            f"{found.name(f'{half}.num_discrete_actions')} says, at "
            f"{found.name(f'{half}.discrete_actions_sections')} in {where}, found {shared}",
        )
        require(
            choices <= total,
            f"expected at most {total}, as {found.name(f'{half}.num_actions')} says, at "
            f"{found.name(f'{half}.num_discrete_actions')} in {where}, found {choices}",
        )


def _shown(value: Any) -> str:
    """A value in an error; only the kind of one that could be of any size."""
    if isinstance(value, list | tuple) and all(type(one) in (float, str) or _whole(one, -MOST)
                                               for one in value):  # fmt: skip
        return f"{list(value)!r:.60}"
    if isinstance(value, Mapping | list | tuple | set):
        return f"a {type(value).__name__}"
    if isinstance(value, str) and _reads_as_number(value):
        return f"the text {value!r:.40}; YAML reads a number as 1.0e-4 or !!float 1e-4"
    if type(value) is int and abs(value) > MOST:
        return "a number beyond 2³¹"
    return "nothing" if value is None else f"{value!r:.60}"


def _reads_as_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
