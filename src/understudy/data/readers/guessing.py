"""Which reader fits a file: by its ending and its first bytes."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence

from understudy.data.readers import files
from understudy.types import UserError

ENDINGS = (
    ".7z", ".json", ".json.gz", ".npz", ".npy", ".pkl", ".pickle", ".parquet",
    ".csv", ".csv.gz", ".tsv", ".tsv.gz", ".txt", ".txt.gz", ".tar", ".tar.gz", ".tgz",
)  # fmt: skip


def guess(sources: files.Source | Sequence[files.Source]) -> str:
    """Name the reader for a file, or for the first file of a folder, pattern or list.

    Raises:
        UserError: when neither ending nor first bytes tell.
    """
    path = files.expand(sources, ENDINGS)[0]
    name = path.name.lower().removesuffix(".gz")
    if name.endswith((".tar", ".tgz")):
        return "frames"
    if name.endswith((".pkl", ".pickle")):
        return "scenes"
    if name.endswith(".npy"):
        return "groupnet"
    if name.endswith((".tsv", ".parquet")):
        return "table"
    if name.endswith(".7z"):
        return "sportvu"
    if name.endswith(".npz"):
        with files.reading(path, "an .npz archive"), zipfile.ZipFile(path) as archive:
            return "stats_npz" if archive.namelist() == ["data.npy"] else "scenes"
    head = files.content(path)[:65536]
    if name.endswith(".csv"):
        columns = head.split(b"\n", 1)[0]
        bandit = b"propensity_score" in columns or b"item_feature_0" in columns
        return "open_bandit" if bandit else "table"
    if b'"gameid"' in head or b'"events"' in head:
        return "sportvu"
    if name.endswith(".txt"):
        words = head.split(b"\n", 1)[0].split()
        if len(words) in (4, 5):
            return "frames"
        if len(words) == 10 and words[-1].startswith(b'"'):
            return "table"
    raise UserError(
        f"expected a file whose reader is plain from its ending and first bytes, found {path}; "
        "name one of frames, sportvu, stats_npz, groupnet, table, scenes, open_bandit"
    )
