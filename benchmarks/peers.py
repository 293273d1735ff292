"""Samplers of azula and deepinv on the same network, where these can be imported; see `benchmarks/peers.sh`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

Network = Callable[[Tensor, Tensor], Tensor]
Peers = Mapping[str, tuple[Callable[[], object], bool]]
"""By name, what restores once, and whether each call of the network is differentiated."""


def available(network: Network, y: Tensor, kept: Tensor, steps: int) -> Peers:
    """Those that there are here.

    Args:
        network: `network(x, sigma) -> x0` in variance-exploding coordinates.
        y: (1, C, H, W), in [-1, 1].
        kept: 1 where a pixel is known, of its shape.
        steps: to make.
    """
    found: dict[str, tuple[Callable[[], object], bool]] = {}
    for library in (_azula, _deepinv):
        try:
            found |= library(network, y, kept, steps)
        except ImportError as error:
            print(f"{library.__name__[1:]} is left out: {error}")
    return found


def of_azula(network: Network, schedule: Any) -> Any:
    """The network as azula calls its own, in its coordinates.

    Args:
        network: `network(x, sigma) -> x0` in variance-exploding coordinates.
        schedule: of azula, t to alpha and sigma.
    """
    from azula.denoise import Denoiser, DiracPosterior

    class Own(Denoiser):  # type: ignore[misc]  # untyped
        """The network in azula's coordinates."""

        def __init__(self) -> None:
            super().__init__()
            self.schedule = schedule

        def forward(self, x_t: Tensor, t: Tensor, **_: Any) -> Any:
            alpha, sigma = self.schedule(t)
            return DiracPosterior(mean=network(x_t / alpha, (sigma / alpha).expand(len(x_t))))

    return Own()


def of_deepinv(network: Network) -> Any:
    """The network as deepinv calls its own, of images in [-1, 1].

    Args:
        network: see `of_azula`.
    """
    import deepinv

    class Own(deepinv.models.Denoiser):  # type: ignore[misc]  # untyped
        """The network with one level for all."""

        def forward(self, x: Tensor, sigma: Any, **_: Any) -> Tensor:
            level = torch.as_tensor(sigma, dtype=x.dtype).flatten().expand(len(x))
            return network(x, level)

    return Own()


def _azula(network: Network, y: Tensor, kept: Tensor, steps: int) -> Peers:
    from azula.guidance import DPSSampler
    from azula.noise import VPSchedule
    from azula.sample import DDIMSampler

    own = of_azula(network, VPSchedule())
    ddim = DDIMSampler(own, eta=0.85, steps=steps, silent=True)
    dps = DPSSampler(own, y, lambda x: kept * x, steps=steps, silent=True)
    return {
        "azula: ddim": (lambda: ddim(ddim.init(tuple(y.shape))), False),
        "azula: dps": (lambda: dps(dps.init(tuple(y.shape))), True),
    }


def _deepinv(network: Network, y: Tensor, kept: Tensor, steps: int) -> Peers:
    import deepinv
    import numpy as np

    own = of_deepinv(network)
    size = tuple(y.shape[1:])
    physics = deepinv.physics.Inpainting(size, mask=kept[0], noise_model=deepinv.physics.GaussianNoise(0.1))
    ddrm = deepinv.sampling.DDRM(own, sigmas=np.linspace(1, 0.01, steps))
    dps = deepinv.sampling.DPS(own, num_steps=steps + 1)
    pir = deepinv.sampling.DiffPIR(own, deepinv.optim.data_fidelity.L2(), max_iter=steps)
    return {
        "deepinv: ddrm": (lambda: ddrm(y, physics), False),
        "deepinv: dps": (lambda: dps(y, physics), True),
        "deepinv: diffpir": (lambda: pir(y, physics), False),
    }
