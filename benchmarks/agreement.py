"""Draw `xor.py`: how near every discriminator and policy comes to what experts agreed on.

``python benchmarks/agreement.py`` reads ``results/xor.json`` and writes
``docs/imitation/agreement.svg``: total variation to the expert's joint actions, mean of all seeds,
and the least that agents can have who do not see each other's choice.
"""

from __future__ import annotations

import json

import numpy as np

from results import FOLDER
from understudy.visualise import style

OUT = FOLDER.parents[1] / "docs" / "imitation" / "agreement.svg"
GAMES = {"xor": "Xor: one of two agents plays 1", "roles": "Roles: three agents share out three"}
POLICIES = {"independent": "agents on their own", "autoregressive": "agents in turn"}
MARKS = {"softplus": "o", "logit": "s"}
BEST = "best without seeing others"


def main() -> None:
    """Draw."""
    rows = json.loads((FOLDER / "xor.json").read_text())["rows"]
    judges = list(dict.fromkeys(r["discriminator"] for r in rows if "lowest" in r))
    with style.styled():
        figure = style.figure(7.6, 3.4)
        axes = figure.subplots(1, len(GAMES), sharey=True)
        for axis, (game, words) in zip(axes, GAMES.items(), strict=True):
            shown = [row for row in rows if row["game"] == game]
            for number, policy in enumerate(POLICIES):
                for row in shown:
                    if row["policy"] != policy or "lowest" not in row:
                        continue
                    reward = row.get("reward", "softplus")
                    at = judges.index(row["discriminator"]) + (0.12 if reward == "logit" else -0.12)
                    axis.plot(
                        row["distance"], at, MARKS[reward], color=style.colour(number), markersize=5
                    )
            best = next(r["distance"] for r in shown if r["discriminator"] == BEST)
            axis.axvline(best, color=style.MUTED, linestyle=(0, (2, 2)))
            axis.set_yticks(np.arange(len(judges)), judges)
            axis.set_ylim(len(judges) - 0.5, -0.5)
            axis.set_xlim(-0.03, 0.85)
            axis.set_title(words)
            axis.set_xlabel("distance to the expert's team")
        for number, words in enumerate(POLICIES.values()):
            axes[0].plot([], [], "o", color=style.colour(number), label=words)
        for reward, mark in MARKS.items():
            axes[0].plot([], [], mark, color=style.MUTED, label=f"reward {reward}")
        line = {"color": style.MUTED, "linestyle": (0, (2, 2))}
        axes[0].plot([], [], label="least on their own", **line)
        figure.legend(
            *axes[0].get_legend_handles_labels(), loc="lower center", ncols=5, fontsize=8,
            labelcolor=style.MUTED,
        )  # fmt: skip
        figure.tight_layout(rect=(0, 0.09, 1, 1))
        figure.savefig(OUT, metadata={"Date": None})
    print(OUT)


if __name__ == "__main__":
    main()
