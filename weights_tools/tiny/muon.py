"""Muon (K. Jordan, 2024): momentum whose matrices are made orthogonal before each step.

torch.optim.Muon does the same in bf16, which processors without bf16 emulate slowly; here it is float32, and
matrices of one shape go through the iteration together.
"""

import torch

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the quintic Newton-Schulz iteration


def orthogonal(matrices, steps=5):
    """[n, rows, columns], rows <= columns: nearly the nearest matrices with singular values of one."""
    a, b, c = COEFFICIENTS
    x = matrices / matrices.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for _ in range(steps):
        square = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(square, square, square, beta=b, alpha=c), x, beta=a)
    return x


class Muon(torch.optim.Optimizer):
    """Steps are as long as AdamW's: 0.2 * sqrt(the longer side) times the orthogonal matrix."""

    def __init__(self, matrices, lr, momentum=0.95, weight_decay=0.0):
        super().__init__(matrices, dict(lr=lr, momentum=momentum, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            shapes = {}
            for weight in group["params"]:
                if weight.grad is not None:
                    shapes.setdefault(tuple(weight.shape), []).append(weight)
            for weights in shapes.values():
                self.step_together(weights, group)

    def step_together(self, weights, group):
        ahead = []
        for weight in weights:
            moment = self.state[weight].setdefault("moment", torch.zeros_like(weight))
            moment.lerp_(weight.grad, 1 - group["momentum"])
            ahead.append(weight.grad.lerp(moment, group["momentum"]))
        stacked = torch.stack(ahead)
        tall = stacked.shape[1] > stacked.shape[2]
        updates = orthogonal(stacked.mT if tall else stacked)
        length = group["lr"] * 0.2 * max(stacked.shape[1:]) ** 0.5
        for weight, update in zip(weights, updates.mT if tall else updates):
            weight.mul_(1 - group["lr"] * group["weight_decay"]).sub_(update, alpha=length)
