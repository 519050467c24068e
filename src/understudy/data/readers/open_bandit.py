"""Open Bandit logs: what a platform showed, at which position, and whether the user clicked.

``read("open_bandit", ["obd/random/men", "obd/bts/men"])``. A file holds the impressions of one
policy in one campaign, ``POLICY/CAMPAIGN/CAMPAIGN.csv``; files of one campaign are read together.
Every impression is an episode in which two groups act in turn: ``platform`` chooses an item, then
``user``, who sees it, clicks (choice 1) or not. The episode ends there: in its last row nobody is
alive. Both are rewarded with the click.

Both observe who the user is (one-hot levels of four features), the position (one-hot) and the time
(share of the day that has passed, UTC). The user also observes ``affinity k``, ``log(1 + score)``
of the log's score of item k, which comes from their past clicks on it, and ``affinity``, the same
of the sum. A file does not know levels that occur in others only, so logs that are to share a spec
are read together.

The logged probability of the item is in the context ``propensity``, ``[episodes]``, which no
network reads; ``time``, beside it, holds seconds since 1970. Labels: ``policy`` and ``campaign``
(as the folders say), ``day`` (UTC) to split by.

Source: Saito, Aihara, Matsutani and Narita, "Open Bandit Dataset and Pipeline: Towards Realistic
and Reproducible Off-Policy Evaluation", 2020; its columns.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
from jaxtyping import Bool, Float, Shaped

from understudy.data.demonstrations import Demonstrations
from understudy.data.readers import files
from understudy.data.readers.columnar import DAMAGE
from understudy.types import ActionSpec, Group, Spec, UserError, require

SUFFIXES = (".csv", ".csv.gz")
ITEMS = "item_context.csv"
"""Lies beside every log and says what its items are; not read, an item is its number."""
USER = tuple(f"user_feature_{i}" for i in range(4))
NUMBERS = ("item_id", "position", "click", "propensity_score")
AFFINITY = "user-item_affinity_"
POSITIONS = 3
"""Numbered from 1."""
LEVELS = 1_000
"""Most levels of a feature: one with more is no feature but an id."""


@dataclasses.dataclass(frozen=True)
class _Log:
    """One file, in order of time."""

    path: Path
    row: np.ndarray
    """Number in the file, from 0."""
    time: np.ndarray
    """Microseconds since 1970, UTC."""
    numbers: dict[str, np.ndarray]
    levels: dict[str, np.ndarray]
    affinity: Float[np.ndarray, "rows items"]


def read(
    sources: files.Source | Sequence[files.Source],
    *,
    rate: float | None,
    unit: str | None,
    say: Callable[[str], None],
) -> Demonstrations:
    """Read impressions as documented on this page.

    Args:
        sources: A file, folder, pattern, or list, of one campaign.
        rate: None is needed; an episode has one step.
        unit: None is needed.
        say: Called with one sentence per file.

    Raises:
        UserError: naming the file, and the row and column that is wrong.
    """
    found = files.expand(sources, SUFFIXES)
    paths = [path for path in found if not path.name.startswith(ITEMS)]
    require(
        bool(paths), f"expected a log beside {found[0]}, found what its items are; name the log"
    )
    names, logs = files.names(paths), [_log(path) for path in paths]
    items = logs[0].affinity.shape[1]
    for log, name in zip(logs, names, strict=True):
        require(
            log.affinity.shape[1] == items,
            f"expected the {items} items of {paths[0]} in every file, found "
            f"{log.affinity.shape[1]} in {log.path}; read each campaign by itself",
        )
        policy = f"policy {_policy(log.path)!r}" if _policy(log.path) else "policy not known"
        say(f"{name}: {len(log.row):,} impressions of {items} items, {policy}")
    return _assemble(logs, names, items, rate or 1.0, unit or "")


def _log(path: Path) -> _Log:
    """Read and check one file."""
    data = files.content(path)
    with files.reading(path, "an Open Bandit log", DAMAGE):
        header = pyarrow.csv.open_csv(pa.BufferReader(data)).schema.names
        items = sum(name.startswith(AFFINITY) for name in header)
        affinity = [f"{AFFINITY}{k}" for k in range(items)]
        wanted = ("timestamp", *NUMBERS, *USER, *affinity)
        missing = [name for name in wanted if name not in header]
        require(
            items > 0 and not missing,
            f"expected the columns of an Open Bandit log in {path}, found none called "
            f"{', '.join(missing[:5]) or AFFINITY + '0'}; name another reader",
        )
        words = {name: pa.string() for name in ("timestamp", *USER)}
        options = pyarrow.csv.ConvertOptions(
            column_types={name: words.get(name, pa.float64()) for name in wanted},
            include_columns=list(wanted), strings_can_be_null=False, null_values=[],
        )  # fmt: skip
        table = pyarrow.csv.read_csv(pa.BufferReader(data), convert_options=options)
        require(table.num_rows > 0, f"expected impressions in {path}, found a header alone")
    with files.reading(path, "times such as 2019-11-24 00:03:13.442536+00:00", DAMAGE):
        stamps = table.column("timestamp").cast(pa.timestamp("us", tz="UTC"))
        time = stamps.cast(pa.int64()).to_numpy()
    numbers = {name: table.column(name).to_numpy() for name in NUMBERS}
    shown = np.stack([table.column(name).to_numpy() for name in affinity], 1)
    _check(path, numbers, shown)
    order = np.argsort(time, kind="stable")
    return _Log(
        path, order, time[order],
        {name: values[order] for name, values in numbers.items()},
        {name: _words(path, table, name)[order] for name in USER},
        shown[order],
    )  # fmt: skip


def _words(path: Path, table: pa.Table, name: str) -> Shaped[np.ndarray, " rows"]:
    """A column of levels."""
    with files.reading(path, f"text in column {name!r}", DAMAGE):
        words = np.asarray(table.column(name).to_pylist(), str)
    _refuse(path, name, np.char.strip(words) == "", words, "a level")
    return words


def _check(path: Path, numbers: dict[str, np.ndarray], affinity: np.ndarray) -> None:
    """See that numbers are items, positions, clicks, probabilities and counts.

    Raises:
        UserError: naming the first that is not.
    """
    items, choice = affinity.shape[1], numbers["propensity_score"]
    _refuse(path, "propensity_score", ~((choice > 0) & (choice <= 1)), choice,
            "a probability above 0")  # fmt: skip
    for name, low, high in (
        ("item_id", 0, items - 1), ("position", 1, POSITIONS), ("click", 0, 1),
    ):  # fmt: skip
        values = numbers[name]
        whole = (values >= low) & (values <= high) & (values == np.floor(values))
        _refuse(path, name, ~whole, values, f"a whole number from {low} to {high}")
    for k in range(items):
        values = affinity[:, k]
        wrong = ~((values >= 0) & np.isfinite(values))
        _refuse(path, f"{AFFINITY}{k}", wrong, values, "a number of at least 0")


def _refuse(
    path: Path, column: str, wrong: Bool[np.ndarray, " rows"], values: np.ndarray, wanted: str
) -> None:
    if wrong.any():
        row = int(np.argmax(wrong))
        raise UserError(
            f"expected {wanted} in row {row + 1} of column {column!r} of {path}, found "
            f"{values[row].item()!r}; correct the log or leave the row out"
        )


def _policy(path: Path) -> str:
    """Who chose the items, where the folders are ``POLICY/CAMPAIGN/CAMPAIGN.csv``; else ""."""
    path = path.resolve()
    return path.parent.parent.name if path.parent.name == files.stem(path.name) else ""


def _assemble(
    logs: Sequence[_Log], names: Sequence[str], items: int, rate: float, unit: str
) -> Demonstrations:
    """An acted row and a last one, in which nobody is left, for each impression."""
    time = np.concatenate([log.time for log in logs])
    number = {name: np.concatenate([log.numbers[name] for log in logs]) for name in NUMBERS}
    features, columns = _observed(logs, time, number["position"])
    platform = columns.index("affinity")
    spec = Spec(
        (
            Group("platform", 1, platform, ActionSpec((items,)), features=columns[:platform]),
            Group("user", 1, len(columns), ActionSpec((2,)), sees=("platform",), features=columns),
        ),
        horizon=1,
    )

    def rows(values: np.ndarray) -> np.ndarray:
        """Zeros between values of impressions."""
        spread = np.zeros((2 * len(time), 1, *values.shape[1:]), values.dtype)
        spread[::2, 0] = values
        return spread

    titles = [
        f"{files.stem(name)} {row}"
        for log, name in zip(logs, names, strict=True)
        for row in log.row
    ]
    acted, click = np.ones(len(time), bool), rows(number["click"].astype(np.float32))
    day = np.datetime_as_string(time.astype("datetime64[us]").astype("datetime64[D]"))
    return Demonstrations(
        spec=spec,
        starts=np.arange(0, 2 * len(time) + 1, 2, dtype=np.int64),
        features={"platform": rows(features[:, :platform]), "user": rows(features)},
        alive=dict.fromkeys(spec.names, rows(acted)),
        actions={
            "platform": rows(number["item_id"].astype(np.float32)[:, None]),
            "user": click[..., None],
        },
        rewards=dict.fromkeys(spec.names, click),
        terminated=rows(acted)[:, 0],
        rate=rate,
        unit=unit,
        labels={
            "episode": np.asarray(titles),
            **_of_files(logs, source=names, policy=[_policy(log.path) for log in logs],
                        campaign=[files.stem(log.path.name) for log in logs]),
            "day": day,
        },
        context={"propensity": number["propensity_score"], "time": time / 1e6},
    )  # fmt: skip


def _of_files(logs: Sequence[_Log], **words: Sequence[str]) -> dict[str, np.ndarray]:
    """A word per file as one per impression."""
    counts = [len(log.row) for log in logs]
    return {name: np.repeat(np.asarray(each, str), counts) for name, each in words.items()}


def _observed(
    logs: Sequence[_Log], time: np.ndarray, position: np.ndarray
) -> tuple[Float[np.ndarray, "impressions obs"], tuple[str, ...]]:
    """Features of all impressions, the platform's first, and their names."""
    blocks: list[Any] = []
    columns: list[str] = []
    for name in USER:
        words = np.concatenate([log.levels[name] for log in logs])
        levels, codes = np.unique(words, return_inverse=True)
        require(
            len(levels) <= LEVELS,
            f"expected at most {LEVELS:,} levels of {name!r} in {logs[0].path}, found "
            f"{len(levels):,}; give features, not ids",
        )
        blocks.append(codes[:, None] == np.arange(len(levels)))
        columns += [f"{name}={level}" for level in levels]
    blocks.append(position[:, None] == np.arange(1, POSITIONS + 1))
    columns += [f"position={i}" for i in range(1, POSITIONS + 1)]
    day = 86_400_000_000
    past = np.concatenate([log.affinity for log in logs])
    blocks += [(time % day / day)[:, None], np.log1p(past.sum(1))[:, None], np.log1p(past)]
    columns += ["time", "affinity", *(f"affinity {k}" for k in range(past.shape[1]))]
    return np.concatenate([block.astype(np.float32) for block in blocks], 1), tuple(columns)
