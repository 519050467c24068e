"""PyTorch peer: the per-agent family as published, a Python loop over time and over agents.

``--model independent``: one VRNN per agent (z 16, width 200, GRU 250x2), five agents.
``--model intents``: the same with one-hot intents of 90 cells (GRU 200x2); an intents network of
one shared GRU over everybody's intents chooses them when sampling.
``--mode train`` is one training step, ``--mode sample`` draws ``--batch`` rollouts at once: ten
rows burned in with z from the prior, forty generated, ``--calls`` times one after the other.
``--mode label`` trains the intents. ``--units N`` sets every width and GRU to N instead.
"""

from __future__ import annotations

import torch
from common import Gaussian, arguments, divergence, draw, plays, report, training_step
from common import negative_log_likelihood as nll
from torch import Tensor, nn
from torch.nn import functional as F

AGENTS, X, Z, ROWS, BURN_IN, CELLS = 5, 2, 16, 50, 10, 90
Y = AGENTS * X


class AgentVRNN(nn.Module):
    """One agent. Published for intents: encoder and prior see the intent, not the positions."""

    def __init__(self, width: int, hidden: int, cells: int) -> None:
        super().__init__()
        seen = cells or Y
        self.prior = Gaussian(seen + hidden, width, Z)
        self.encoder = Gaussian(X + seen + hidden, width, Z)
        self.decoder = Gaussian(Y + cells + Z + hidden, width, X)
        self.gru = nn.GRU(X + Z, hidden, num_layers=2)

    def forget(self, batch: int) -> Tensor:
        return torch.zeros(2, batch, self.gru.hidden_size)


class Team(nn.Module):
    """All agents, and the network of their intents where there are any."""

    def __init__(self, width: int, hidden: int, cells: int) -> None:
        super().__init__()
        self.cells, self.hidden = cells, hidden
        self.agents = nn.ModuleList(AgentVRNN(width, hidden, cells) for _ in range(AGENTS))
        if cells:
            self.macro = nn.GRU(AGENTS * cells, hidden, num_layers=2)
            self.choose = nn.ModuleList(
                nn.Sequential(nn.Linear(Y + hidden, width), nn.ReLU(), nn.Linear(width, cells))
                for _ in range(AGENTS)
            )

    def loss(self, y: Tensor, labels: Tensor) -> Tensor:
        """Reconstruction and KL of rows 1..49, intents given."""
        total = y.new_zeros(())
        h = [agent.forget(y.shape[1]) for agent in self.agents]
        for t in range(len(y) - 1):
            for k, agent in enumerate(self.agents):
                later = y[t + 1, :, k * X : (k + 1) * X]
                goal = self.one_hot(labels[t, :, k])
                seen = y[t] if not self.cells else goal[0]
                mean_q, std_q = agent.encoder(later, seen, h[k][-1])
                mean_p, std_p = agent.prior(seen, h[k][-1])
                z = draw(mean_q, std_q)
                mean, std = agent.decoder(y[t], *goal, z, h[k][-1])
                total = total + divergence(mean_q, std_q, mean_p, std_p) + nll(later, mean, std)
                _, h[k] = agent.gru(torch.cat([later, z], -1)[None], h[k])
        return total

    def label_loss(self, y: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy of the intents."""
        total, h = y.new_zeros(()), torch.zeros(2, y.shape[1], self.hidden)
        for t in range(len(y) - 1):
            for k in range(AGENTS):
                logits = self.choose[k](torch.cat([y[t], h[-1]], -1))
                total = total + F.cross_entropy(logits, labels[t, :, k], reduction="sum")
            everybody = torch.cat([self.one_hot(labels[t, :, k])[0] for k in range(AGENTS)], -1)
            _, h = self.macro(everybody[None], h)
        return total

    @torch.no_grad()
    def sample(self, y: Tensor, labels: Tensor) -> Tensor:
        """Rows after the burn-in are replaced by generated ones."""
        h = [agent.forget(y.shape[1]) for agent in self.agents]
        h_macro, now, rows = torch.zeros(2, y.shape[1], self.hidden), y[0], [y[0]]
        for t in range(len(y) - 1):
            goals: list[Tensor] = [now] * AGENTS
            if self.cells:
                for k in range(AGENTS):
                    logits = self.choose[k](torch.cat([now, h_macro[-1]], -1))
                    drawn = torch.distributions.Categorical(logits=logits).sample()
                    goals[k] = self.one_hot(labels[t, :, k] if t < BURN_IN else drawn)[0]
                _, h_macro = self.macro(torch.cat(goals, -1)[None], h_macro)
            later = []
            for k, agent in enumerate(self.agents):
                z = draw(*agent.prior(goals[k], h[k][-1]))
                goal = (goals[k],) if self.cells else ()
                x = draw(*agent.decoder(now, *goal, z, h[k][-1]))
                x = y[t + 1, :, k * X : (k + 1) * X] if t < BURN_IN else x
                _, h[k] = agent.gru(torch.cat([x, z], -1)[None], h[k])
                later.append(x)
            now = torch.cat(later, -1)
            rows.append(now)
        return torch.stack(rows)

    def one_hot(self, label: Tensor) -> tuple[Tensor, ...]:
        return (F.one_hot(label, self.cells).float(),) if self.cells else ()


def main() -> None:
    options = arguments(
        __doc__ or "",
        model=("independent", "intents"),
        mode=("train", "sample", "label"),
        units=0,
        calls=1,
    )
    intents = options.model == "intents"
    published = (200, 200) if intents else (200, 250)
    sizes = (options.units, options.units) if options.units else published
    team = Team(*sizes, CELLS if intents else 0)
    data = plays(8, ROWS, options.batch, Y)
    labels = torch.randint(CELLS, (8, ROWS, options.batch, AGENTS))
    step = training_step(
        team.label_loss if options.mode == "label" else team.loss, list(team.parameters())
    )

    def call(i: int) -> float:
        if options.mode == "sample":
            return sum(
                team.sample(data[(i + n) % 8], labels[(i + n) % 8]).sum().item()
                for n in range(options.calls)
            )
        return step(data[i % 8], labels[i % 8])

    report(
        call,
        options,
        model=options.model,
        mode=options.mode,
        parameters=sum(p.numel() for p in team.parameters()),
    )


if __name__ == "__main__":
    main()
