r"""Muon, momentum with orthogonalised updates, for convolution kernels; Adam for everything else.

An update of a kernel is a matrix (out, in * kh * kw). It is replaced by a matrix with the same singular vectors and all
singular values close to one. So directions with small gradients are learnt as fast as those with large ones.
`docs/prior.md` states the gain.

References:
    [Muon] Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024.
        https://kellerjordan.github.io/posts/muon/
    [Moonlight] Liu et al., "Muon is Scalable for LLM Training", 2025. https://arxiv.org/abs/2502.16982
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn


class Muon(torch.optim.Optimizer):
    """Muon for kernels and matrices inside a network, Adam for the rest of it, behind one learning rate.

    Args:
        network: network whose parameters are divided by name and shape: Muon gets all convolutions except those at the
            pixels.
        lr: learning rate. Muon's updates are scaled to the root mean square of Adam's, 0.2 lr ([Moonlight], eq. 4).
        film: share of it for gains and shifts.
        momentum: Muon's, with Nesterov's look ahead.
        betas: Adam's.
        eps: Adam's.
    """

    def __init__(
        self,
        network: nn.Module,
        lr: float = 1e-3,
        film: float = 1.0,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.99),
        eps: float = 1e-8,
    ) -> None:
        inner: list[Tensor] = []
        outer: list[Tensor] = []
        films: list[Tensor] = []
        for name, parameter in network.named_parameters():
            # The first and the last layer map pixels, whose directions are not alike: natural images are mostly smooth.
            muon = parameter.ndim == 4 and not name.startswith(("head.", "tail."))
            (inner if muon else films if is_film(name) else outer).append(parameter)
        groups: list[dict[str, Any]] = [
            {"params": outer, "muon": False},
            {"params": inner, "muon": True},
            {"params": films, "muon": False, "lr": film * lr, "share": film},
        ]
        super().__init__(
            [group for group in groups if group["params"]],
            {"lr": lr, "share": 1.0, "momentum": momentum, "betas": betas, "eps": eps},
        )

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Takes one step along the present gradients; `closure` is not supported."""
        for group in self.param_groups:
            update = self._muon if group["muon"] else self._adam
            for parameter in group["params"]:
                if parameter.grad is not None:
                    update(parameter, parameter.grad, group, self.state[parameter])

    @staticmethod
    def _muon(parameter: Tensor, gradient: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        if not state:
            state["average"] = torch.zeros_like(parameter)
        state["average"].lerp_(gradient, 1 - group["momentum"])
        ahead = gradient.lerp(state["average"], group["momentum"])
        matrix = ahead.flatten(1)
        direction = orthogonalise(matrix).view_as(ahead)
        parameter.add_(direction, alpha=-group["lr"] * 0.2 * math.sqrt(max(matrix.shape)))

    @staticmethod
    def _adam(parameter: Tensor, gradient: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        if not state:
            state["step"] = 0
            state["average"] = torch.zeros_like(parameter)
            state["square"] = torch.zeros_like(parameter)
        state["step"] += 1
        first, second = group["betas"]
        state["average"].lerp_(gradient, 1 - first)
        state["square"].mul_(second).addcmul_(gradient, gradient, value=1 - second)
        scale = math.sqrt(1 - second ** state["step"])
        denominator = (state["square"].sqrt() / scale).add_(group["eps"])
        parameter.addcdiv_(state["average"], denominator, value=-group["lr"] / (1 - first ** state["step"]))


def is_film(name: str) -> bool:
    """True if a parameter of this name sets the gains and shifts of a network's blocks."""
    return ".film." in name


def orthogonalise(matrix: Tensor, steps: int = 5) -> Tensor:
    r"""Moves all singular values of a matrix to between about 0.7 and 1.2 and keeps its singular vectors.

    [Muon]'s iteration is :math:`X \leftarrow (a I + b X X^T + c (X X^T)^2) X`. All its factors are polynomials of
    :math:`G = X X^T`, so they are multiplied there and applied once: for a (256, 2304) kernel a third of the work.

    Args:
        matrix: (m, n), any float type; computed in float32.
        steps: iterations.

    Returns:
        (m, n) in the matrix's type.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    x: Tensor = matrix.float()
    x = x.T if len(x) > x.shape[1] else x
    x = x / (x.norm() + 1e-7)
    gram = x @ x.T
    identity = torch.eye(len(x), device=x.device)
    product = identity
    for _ in range(steps):
        factor = a * identity + b * gram + c * (gram @ gram)
        product = factor @ product
        gram = factor @ (factor @ gram)
    x = product @ x
    return (x.T if len(matrix) > matrix.shape[1] else x).to(matrix.dtype)
