"""PyTorch peer: one training step of the joint VRNN (x 10, z 16, h 200, GRU 200x2, 50 rows).

The loop over time that one would write today: every module called once per row, the loss taken
once over the stacked outputs. ``--compile cell`` compiles one row, ``--compile whole`` the loss.
"""

from __future__ import annotations

import torch
from common import Gaussian, arguments, divergence, draw, plays, report, training_step
from common import negative_log_likelihood as nll
from torch import Tensor, nn

X, Z, WIDTH, HIDDEN, ROWS = 10, 16, 200, 200, 50


class VRNN(nn.Module):
    """Prior (y, h), encoder (x, y, h), decoder (y, z, h), recurrence (x, z)."""

    def __init__(self) -> None:
        super().__init__()
        self.prior = Gaussian(X + HIDDEN, WIDTH, Z)
        self.encoder = Gaussian(2 * X + HIDDEN, WIDTH, Z)
        self.decoder = Gaussian(X + Z + HIDDEN, WIDTH, X)
        self.lower = nn.GRUCell(X + Z, HIDDEN)
        self.upper = nn.GRUCell(HIDDEN, HIDDEN)

    def row(self, now: Tensor, later: Tensor, low: Tensor, h: Tensor) -> tuple[Tensor, ...]:
        """One row: both latent distributions, the predicted next row, the next hidden state."""
        mean_q, std_q = self.encoder(later, now, h)
        mean_p, std_p = self.prior(now, h)
        z = draw(mean_q, std_q)
        mean, std = self.decoder(now, z, h)
        low = self.lower(torch.cat([later, z], -1), low)
        return low, self.upper(low, h), mean_q, std_q, mean_p, std_p, mean, std


def main() -> None:
    options = arguments(__doc__ or "", compile=("none", "cell", "whole"))
    model = VRNN()
    row = torch.compile(model.row) if options.compile == "cell" else model.row

    def loss(y: Tensor) -> Tensor:
        low = h = y.new_zeros(y.shape[1], HIDDEN)
        outputs = []
        for now, later in zip(y[:-1].unbind(), y[1:].unbind()):
            low, h, *rest = row(now, later, low, h)
            outputs.append(rest)
        mean_q, std_q, mean_p, std_p, mean, std = (torch.stack(o) for o in zip(*outputs))
        return nll(y[1:], mean, std) + divergence(mean_q, std_q, mean_p, std_p)

    step = training_step(
        torch.compile(loss) if options.compile == "whole" else loss, list(model.parameters())
    )
    data = plays(8, ROWS, options.batch, X)
    report(
        lambda i: step(data[i % 8]),
        options,
        model="vrnn-joint",
        compile=options.compile,
        parameters=sum(p.numel() for p in model.parameters()),
    )


if __name__ == "__main__":
    main()
