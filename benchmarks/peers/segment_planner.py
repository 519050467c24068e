"""PyTorch peer: one replan with a segment model of the published size, for two robots.

A joint decoder of three residual blocks of two gated convolutions (64 channels, kernel 3, dilations
1, 3, 9) and two 1 x 1 convolutions (128 channels) writes 20 rows of 46 numbers after 20 rows of 42.
A replan rolls ``--segments`` segments for 10 x 10 pairs of latents and takes ``--iterations`` steps
of Adam on the planner's own ones, whose worth is the least return against any of the others.
Weights are random and have no gradients. ``--compile segment`` compiles the decoder, ``--compile
whole`` the returns of all pairs.
"""

from __future__ import annotations

import torch
from common import arguments, report
from torch import Tensor, nn
from torch.nn import functional as F

SEEN, ACTED, PAST, ROWS, OWN, FREE = 42, 4, 20, 20, 6, 4
CHANNELS, LAST, KERNEL, DILATIONS = 64, 128, 3, (1, 3, 9)
LATENT = 2 * OWN + FREE
CANDIDATES, OTHERS, RATE = 10, 10, 0.1
REWARDED = 18
"""The observation whose square is the cost."""


class Gated(nn.Module):
    """A causal convolution whose halves are value and gate; a latent moves both."""

    def __init__(self, dilation: int) -> None:
        super().__init__()
        self.before = (KERNEL - 1) * dilation
        self.convolution = nn.Conv1d(CHANNELS, 2 * CHANNELS, KERNEL, dilation=dilation)
        self.latent = nn.Linear(LATENT, 2 * CHANNELS, bias=False)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        found = self.convolution(F.pad(x, (self.before, 0))) + self.latent(z)[..., None]
        value, gate = found.chunk(2, 1)
        return torch.tanh(value) * torch.sigmoid(gate)


class Decoder(nn.Module):
    """Rows ``[batch, 20, 46]`` after a past ``[batch, 20, 42]``, from latents."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv1d(SEEN + 1, CHANNELS, 1)
        self.blocks = nn.ModuleList(
            nn.ModuleList([Gated(dilation), Gated(dilation)]) for dilation in DILATIONS
        )
        self.wide, self.last = nn.Conv1d(CHANNELS, LAST, 1), nn.Conv1d(LAST, SEEN + ACTED, 1)

    def forward(self, past: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        rows = past.transpose(1, 2)
        count = rows.shape[0]
        before = torch.cat([rows, rows.new_zeros(count, 1, PAST)], 1)
        queries = torch.cat([rows.new_zeros(count, SEEN, ROWS), rows.new_ones(count, 1, ROWS)], 1)
        x = self.first(torch.cat([before, queries], 2))
        for one, two in self.blocks:
            x = x + two(one(x, z), z)
        written = self.last(torch.tanh(self.wide(x[..., -ROWS:]))).transpose(1, 2)
        done, moved = written[..., :ACTED], written[..., ACTED:]
        return done.clamp(-1.0, 1.0), past[:, -1:] + moved.cumsum(1)


def main() -> None:
    options = arguments(__doc__ or "", compile=("none", "segment", "whole"), segments=20,
                        iterations=30)  # fmt: skip
    model = Decoder().requires_grad_(False)
    decode = torch.compile(model) if options.compile == "segment" else model
    own_part = (torch.arange(LATENT) < OWN).expand(options.segments, LATENT)
    start = torch.ones(1, PAST, SEEN)

    def returns(own: Tensor, others: Tensor) -> Tensor:
        """Sums of rewards of every pair, ``[candidates, others]``."""
        pairs = torch.where(own_part, own[:, None], others[None])
        past, total = start.expand(CANDIDATES * OTHERS, -1, -1), 0.0
        for z in pairs.flatten(0, 1).unbind(1):
            _, past = decode(past, z)
            total = total - past[..., REWARDED].square().sum(1)
        return total.view(CANDIDATES, OTHERS)

    judged = torch.compile(returns) if options.compile == "whole" else returns

    def replan(number: int) -> float:
        draw = torch.Generator().manual_seed(number)
        shape = (options.segments, LATENT)
        own = torch.randn(CANDIDATES, *shape, generator=draw).requires_grad_()
        others = torch.randn(OTHERS, *shape, generator=draw)
        adam = torch.optim.Adam([own], lr=RATE)
        best, most = own.detach().clone(), torch.full((CANDIDATES,), -torch.inf)
        against = torch.zeros(CANDIDATES, dtype=torch.long)
        for step in range(options.iterations + 1):
            ends = step == options.iterations
            with torch.set_grad_enabled(not ends):
                worth, worst = judged(own, others).min(1)
            better = worth.detach() > most
            best = torch.where(better[:, None, None], own.detach(), best)
            against, most = torch.where(better, worst, against), worth.detach().maximum(most)
            if not ends:
                adam.zero_grad(set_to_none=True)
                (-worth.sum()).backward()
                adam.param_groups[0]["lr"] = RATE * (1.0 - step / options.iterations)
                adam.step()
        chosen = most.argmax()
        return torch.where(own_part, best[chosen], others[against[chosen]]).sum().item()

    report(
        replan,
        options,
        model="segment-planner",
        compile=options.compile,
        iterations=options.iterations,
        segments=options.segments,
        parameters=sum(p.numel() for p in model.parameters()),
    )


if __name__ == "__main__":
    main()
