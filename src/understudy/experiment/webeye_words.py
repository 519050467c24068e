"""In words, what a file for WebEye says that is done otherwise here, or was published otherwise."""

from __future__ import annotations

from typing import Any

from understudy.experiment.webeye import (
    AGENT,
    COLUMNS,
    ENV,
    PUBLISHED,
    ROWS,
    Judges,
    cuts,
    published,
)
from understudy.experiment.webeye_file import KEYS, Configuration


def differences(
    configuration: Configuration, *, rows: int = ROWS, judges: Judges = "sas"
) -> list[str]:
    """What a file says that has no counterpart here, and what happens instead.

    Args:
        configuration: of the file.
        rows: logged transitions to learn from.
        judges: as in `magail`.

    Returns:
        A sentence for each key, or for several alike.
    """
    at, said, cut = configuration.name, [], cuts(configuration, rows)
    files = [key for key in KEYS if key.endswith("_path") and configuration[key] is not None]
    if files:
        said.append(f"{_listed(configuration, files)}: not opened, as --demos is learned from")
    if judges == "sas":
        said.append(
            f"{at('discriminator.num_states')}: what the environment answers is judged too, or "
            "nothing would teach it what to answer; --judges sa leaves that out"
        )
    hidden, activation = (configuration[f"{AGENT}.{key}"] for key in ("num_hiddens", "activation"))
    if configuration["value.num_hiddens"] != hidden:
        said.append(f"{at('value.num_hiddens')}: critics have the layers of actors, {list(hidden)}")
    if configuration["value.activation"] != activation:
        said.append(f"{at('value.activation')}: critics have that of actors, {activation}")
    rate = configuration["jointpolicy.learning_rate"]
    if configuration["value.learning_rate"] != rate:
        said.append(f"{at('value.learning_rate')}: critics learn at the rate of actors, {rate:g}")
    if configuration["value.l2_reg"]:
        said.append(f"{at('value.l2_reg')}: left out, critics' weights are not held small")
    dropped = [f"{part}.drop_rate" for part in (AGENT, ENV, "value")]
    dropped = [key for key in dropped if configuration[key]]
    if dropped:
        said.append(f"{_listed(configuration, dropped)}: left out, only discriminators drop units")
    said.append(f"{at('ppo.clip_ratio')}: critics' values move no further either")
    if configuration["discriminator.use_noise"]:
        said.append(
            f"{at('discriminator.use_noise')}: on standardised inputs while the discriminator "
            "learns; rewards have no noise"
        )
    if configuration["general.noise_std"]:
        said.append(f"{at('general.noise_std')}: left out, rewards have no noise")
    if configuration["general.use_eval"]:
        said.append(f"{at('general.use_eval')}: left out, use understudy evaluate RUN")
    wide = [f"{half}.use_multivariate_distribution" for half in (AGENT, ENV)]
    wide = [key for key in wide if configuration[key]]
    if wide:
        said.append(f"{_listed(configuration, wide)}: values are drawn apart, as they were there")
    if cut.size != configuration["ppo.ppo_mini_batch_size"]:
        said.append(f"{at('ppo.ppo_mini_batch_size')}: {cut.minibatches} of {cut.size} rows each")
    return said


def _listed(configuration: Configuration, keys: list[str]) -> str:
    return ", ".join(configuration.name(key) for key in keys)


def _said(value: Any) -> str:
    return str(list(value)) if isinstance(value, tuple) else str(value)


def nearest(configuration: Configuration) -> tuple[str, list[str]]:
    """The published file that a file is nearest to, and what it says otherwise, but for columns.

    Returns:
        Its name, and ``"key value (published: value)"`` for each key.
    """
    found = []
    for name in PUBLISHED:
        other = published(name)
        changed = [
            f"{configuration.name(key)} {_said(configuration[key])} (published: "
            f"{_said(other[key])})"
            for key in KEYS
            if not key.endswith(COLUMNS) and configuration[key] != other[key]
        ]
        found.append((name, changed))
    return min(found, key=lambda pair: len(pair[1]))
