"""Published update loops as one would write them down, for images with missing pixels: nothing around them.

In variance-exploding coordinates, where `x_vp = sqrt(abar) x`; `kept` is 1 where a pixel is known.

References:
    Kawar et al., "Denoising Diffusion Restoration Models", NeurIPS 2022, eq. 7 and 8. https://arxiv.org/abs/2201.11793
    Wang et al., DDNM, ICLR 2023, algorithm 1. https://arxiv.org/abs/2212.00490
    Chihaoui et al., BIRD, NeurIPS 2024, algorithm 1. https://arxiv.org/abs/2405.19572
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

Network = Callable[[Tensor, Tensor], Tensor]


@torch.no_grad()
def ddrm(
    network: Network, y: Tensor, kept: Tensor, sigma_y: float, ladder: Sequence[float], eta: float = 0.85
) -> Tensor:
    """DDRM with eta_b = 1; all singular values are 1 or 0."""
    rng = torch.Generator().manual_seed(0)
    known, top = kept > 0, ladder[0]
    noise = torch.randn(y.shape, generator=rng)
    x = torch.where(known, y + math.sqrt(max(top**2 - sigma_y**2, 0)) * noise, top * noise)
    for sigma, after in pairwise([*ladder, 0.0]):
        x0 = network(x, torch.full((len(x),), sigma))
        noise = torch.randn(y.shape, generator=rng)
        unknown = x0 + math.sqrt(1 - eta**2) * after * (x - x0) / sigma + eta * after * noise
        if after < sigma_y:
            seen = x0 + math.sqrt(1 - eta**2) * after * (y - x0) / sigma_y + eta * after * noise
        else:
            seen = y + math.sqrt(after**2 - sigma_y**2) * noise
        x = torch.where(known, seen, unknown)
    return x


@torch.no_grad()
def ddnm(network: Network, y: Tensor, kept: Tensor, ladder: Sequence[float], eta: float = 0.85) -> Tensor:
    """DDNM without noise."""
    rng = torch.Generator().manual_seed(0)
    x = ladder[0] * torch.randn(y.shape, generator=rng)
    for sigma, after in pairwise([*ladder, 0.0]):
        x0 = network(x, torch.full((len(x),), sigma))
        noise = math.sqrt(1 - eta**2) * (x - x0) / sigma + eta * torch.randn(y.shape, generator=rng)
        x = x0 + kept * (y - x0) + after * noise
    return x


def bird(network: Network, y: Tensor, kept: Tensor, ladder: Sequence[float], iterations: int) -> Tensor:
    """BIRD; the noise that is predicted counts as independent of the latent."""
    rng = torch.Generator().manual_seed(0)
    z = torch.randn(y.shape, generator=rng).requires_grad_()
    adam = torch.optim.Adam([z], lr=0.003)
    x = z
    for _ in range(iterations):
        with torch.enable_grad():
            x = ladder[0] * z
            for sigma, after in pairwise([*ladder, 0.0]):
                with torch.no_grad():
                    noise = (x - network(x, torch.full((len(x),), sigma))) / sigma
                x = x + (after - sigma) * noise
            loss = (kept * x - y).square().mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        with torch.no_grad():
            z *= math.sqrt(z.numel()) / z.norm()
    return x.detach()
