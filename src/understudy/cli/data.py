"""``understudy data ...``: demonstrations in, demonstrations out."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from pathlib import Path
from typing import Any, Literal

from tyro.conf import Positional

from understudy.cli import console


@dataclasses.dataclass(frozen=True)
class Convert(console.Verb):
    """Read outside files and save them as a demonstration folder."""

    source: Positional[tuple[str, ...]]
    """Files, a folder, or a glob."""
    out: Path
    """Folder to write; it must not exist yet."""
    reader: str | None = None
    """Format of the files; guessed from them and said aloud if not given."""
    rate: float | None = None
    """Rows per second (Hz), where the format does not say."""
    unit: Literal["ft", "m", "yd", "px"] | None = None
    """Unit of positions, where the format does not say."""
    options: tuple[str, ...] = ()
    """More arguments of the reader, as NAME=VALUE; VALUE is JSON or plain text."""

    def __call__(self) -> None:
        """Read, then write everything or nothing."""
        from understudy.data import readers, store
        from understudy.types import require

        require(self.source, "expected at least one file to convert, found none; name them")
        require(not self.out.exists(), f"{self.out} already exists; choose another --out")
        sources: str | list[str] = self.source[0] if len(self.source) == 1 else list(self.source)
        reader = self.reader or readers.guess(sources)
        if self.reader is None:
            console.say(f"reading {self.source[0]} as {reader!r} (--reader names another)")
        demonstrations = readers.read(
            reader,
            sources,
            rate=self.rate,
            unit=self.unit,
            say=console.say,
            **_options(self.options),
        )
        store.save(demonstrations, self.out)
        console.show(f"{self.out}: {demonstrations!r}")


@dataclasses.dataclass(frozen=True)
class Inspect(console.Verb):
    """Print what a demonstration folder holds: groups, counts, rate, labels."""

    folder: Positional[Path]
    """Demonstration folder."""
    json: bool = False
    """Print one JSON object instead."""

    def __call__(self) -> None:
        """Read the description; the data itself stays where it is."""
        from understudy.data import store

        description = store.describe(self.folder)
        if self.json:
            console.show_json(description)
        else:
            console.show(_described(description))


@dataclasses.dataclass(frozen=True)
class Check(console.Verb):
    """Look for what spoils learning: gaps, teleports, frozen tracks, noise, duplicates, leaks."""

    folder: Positional[Path]
    """Demonstration folder, or a folder that holds train, validation and test."""
    json: bool = False
    """Print one JSON object instead."""

    def __call__(self) -> int:
        """Print the findings; exit 2 if one of them is an error."""
        from understudy.data import quality

        parts = load_parts(self.folder)
        if "all" in parts:
            findings = quality.check(parts["all"])
        else:
            findings = quality.check_splits(_splits(parts))
        episodes = sum(part.episodes for part in parts.values())
        errors = sum(finding.level == "error" for finding in findings)
        if self.json:
            console.show_json(
                {
                    "folder": str(self.folder),
                    "episodes": episodes,
                    "errors": errors,
                    "findings": [dataclasses.asdict(finding) for finding in findings],
                }
            )
            return 2 if errors else 0
        for finding in findings:
            console.show(f"{finding.level}: {finding.name}: {finding.message}")
        console.show(f"{episodes:,} episodes, {errors} errors, {len(findings) - errors} warnings")
        return 2 if errors else 0


@dataclasses.dataclass(frozen=True)
class Split(console.Verb):
    """Write DIR/train, DIR/validation and DIR/test; no id is in two of them."""

    folder: Positional[Path]
    """Demonstration folder."""
    out: Path
    """Folder to write the three parts to."""
    by: str = "game"
    """Label whose values stay together: game, source, episode, or one of your own."""
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1)
    """Shares of train, validation and test."""
    seed: int = 0
    """Of the shuffle of ids."""

    def __call__(self) -> None:
        """Split, then write every part that is not empty, or nothing."""
        from understudy.data import store
        from understudy.types import require

        require(not self.out.exists(), f"{self.out} already exists; choose another --out")
        parts = store.load(self.folder).split(self.by, self.fractions, self.seed)
        self.out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.out.parent, prefix=".partial-") as work:
            unfinished = Path(work) / "parts"
            for name, part in parts._asdict().items():
                ids = len(set(part.label(self.by)))
                console.show(f"{name:<12}{part.episodes:>8,} episodes of {ids:,} {self.by} ids")
                if len(part):
                    store.save(part, unfinished / name)
            unfinished.rename(self.out)


def _described(meta: dict[str, Any]) -> str:
    """A set in a few lines: size, groups with the range of each feature, labels."""
    low, high = meta["statistics"]["low"], meta["statistics"]["high"]
    unit = meta["unit"] or "no unit"
    lines = [
        ("episodes", f"{meta['episodes']:,} of {meta['shortest']:,} to {meta['longest']:,} rows"),
        ("rows", f"{meta['rows']:,} at {meta['rate']:g} Hz"),
    ]
    for group in meta["spec"]["groups"]:
        name = group["name"]
        features = group["features"] or [str(i) for i in range(group["observation"])]
        ranges = [
            f"{feature} {console.number(low[name][i])} to {console.number(high[name][i])}"
            for i, feature in enumerate(features)
        ]
        acts = "with actions" if group["action"] else "no actions"
        lines.append((f"group {name}", f"{group['agents']} agents, {acts}; {', '.join(ranges)}"))
    intents = f", {meta['intent_classes']} intents" if meta["intent_classes"] else ""
    lines += [
        ("unit", unit),
        ("fields", ", ".join(meta["fields"]) + intents),
        ("labels", ", ".join(f"{name} ({count:,})" for name, count in meta["labels"].items())),
        ("licence", meta["licence"] or "unknown"),
    ]
    known = {n: v for n, v in meta.get("provenance", {}).items() if not isinstance(v, dict)}
    if known:
        lines.append(("made by", ", ".join(f"{n} {console.number(v)}" for n, v in known.items())))
    return "\n".join(f"{name:<16}{text}" for name, text in lines)


def load_parts(folder: Path) -> dict[str, Any]:
    """Load a demonstration folder, or the parts of a split one: ``{name: demonstrations}``."""
    from understudy.data import store

    names = [n for n in ("train", "validation", "test") if (folder / n / "meta.json").exists()]
    if names and not (folder / "meta.json").exists():
        return {name: store.load(folder / name) for name in names}
    return {"all": store.load(folder)}


def _splits(parts: dict[str, Any]) -> Any:
    from understudy.data.demonstrations import Splits

    first = next(iter(parts.values()))
    return Splits(*(parts.get(name, first[:0]) for name in Splits._fields))


def _options(pairs: tuple[str, ...]) -> dict[str, Any]:
    options = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not (name.isidentifier() and equals):
            raise console.UsageError(f"expected --options NAME=VALUE, found {pair!r}")
        try:
            options[name] = json.loads(value)
        except json.JSONDecodeError:
            options[name] = value
    return options
