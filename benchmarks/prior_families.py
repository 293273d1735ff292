"""Networks for the embedded prior at equal cost: `python -m benchmarks.prior_families DATA [--seconds S] [--family F]`.

Trains each family from scratch for the same processor time on the same crops and noise levels, with the same optimiser
and a learning rate that falls to zero at the end, and prints the denoising PSNR on images kept apart. Processor time is
that of all threads together, so other work on the machine costs nobody anything.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from pellucid.bench.prior import LEVELS, averages, denoising, middle
from pellucid.images import from_array
from pellucid.maths.noise import linear_ladder
from pellucid.maths.problem import to_model
from pellucid.priors import VENetwork, VPNetwork
from pellucid.priors.network import DenoisingUNet, UNetConfig
from pellucid.train.data import Crops, Photographs, find, split
from pellucid.train.optimiser import Muon
from pellucid.train.recipe import PRESETS, loss_weight, noise_levels

RECIPE = PRESETS["cpu"]


class UNet2D(nn.Module):
    """(a) diffusers' UNet2DModel on pixels unshuffled by 2: group normalisation, time embedding, v-prediction."""

    multiple = 16

    def __init__(self) -> None:
        super().__init__()
        import diffusers

        unet: Any = diffusers.UNet2DModel
        self.unet = unet(
            in_channels=12,
            out_channels=12,
            block_out_channels=(64, 128, 192, 256),
            down_block_types=("DownBlock2D",) * 4,
            up_block_types=("UpBlock2D",) * 4,
            layers_per_block=1,
            norm_num_groups=16,
            add_attention=False,
        )
        ladder = linear_ladder()
        self._times = VPNetwork(lambda x, t: x, ladder)

    def forward(self, x: Tensor, sigma: Tensor) -> Tensor:
        """x0, from v."""
        t = torch.tensor([self._times.time_of(level) for level in sigma.tolist()])
        level = sigma.view(-1, 1, 1, 1)
        scale = (1 + level**2).rsqrt()
        v: Tensor = F.pixel_shuffle(self.unet(F.pixel_unshuffle(x * scale, 2), t).sample, 2)
        return scale * scale * x - level * scale * v


class Variant(nn.Module):
    """The package's network with parts of it switched off.

    Args:
        config: its hyper-parameters.
        film: whether the noise level moves gains and shifts; without, it is only a map, and the network is bias-free.
        output: "edm" is EDM's, F of unit variance; "residual" DRUNet's, x + F scaled as the input; "homogeneous" EDM's
            share of x and F scaled as the input up to sigma of about 1.
    """

    multiple = 16

    def __init__(self, config: UNetConfig, *, film: bool, output: str) -> None:
        super().__init__()
        self._unet, self._output, self._spread = DenoisingUNet(config), output, config.sigma_data
        for name, weight in self._unet.named_parameters():
            weight.requires_grad_(film or not (".film." in name or name.startswith("embed.")))

    def forward(self, x: Tensor, sigma: Tensor) -> Tensor:
        """x0."""
        estimate: Tensor = self._unet(x, sigma)
        if self._output == "edm":
            return estimate
        level = sigma.view(-1, 1, 1, 1)
        total = (level**2 + self._spread**2).sqrt()
        inner = (estimate - x * (self._spread / total) ** 2) * total / (level * self._spread)
        if self._output == "residual":
            return x + total * inner
        return x * (self._spread / total) ** 2 + inner * total / (1 + total**2).sqrt()


FAMILIES: dict[str, Callable[[], nn.Module]] = {
    "unet2d": UNet2D,
    "drunet": lambda: Variant(RECIPE.network, film=False, output="residual"),
    "drunet+film": lambda: Variant(RECIPE.network, film=True, output="residual"),
    "drunet+homogeneous": lambda: Variant(RECIPE.network, film=False, output="homogeneous"),
    "drunet+homogeneous+film": lambda: Variant(RECIPE.network, film=True, output="homogeneous"),
    "drunet+edm": lambda: Variant(RECIPE.network, film=False, output="edm"),
    "drunet+edm+film": lambda: Variant(RECIPE.network, film=True, output="edm"),
}


def batches(photographs: Photographs) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Clean crops, their noise levels and noise, the same for every family."""
    crops, batch = Crops(photographs, RECIPE.size, RECIPE.seed), RECIPE.batch
    rng = torch.Generator().manual_seed(0)
    for first in range(0, 10**9, batch):
        numbers = range(first, first + batch)
        x0 = torch.from_numpy(crops.batch(numbers)).permute(0, 3, 1, 2).float() / 127.5 - 1
        yield x0, torch.from_numpy(noise_levels(RECIPE, numbers)), torch.randn(x0.shape, generator=rng)


def train(network: nn.Module, optimiser: torch.optim.Optimizer, lr: float, photographs: Photographs, s: float) -> int:
    """Trains for `s` seconds of processor time; gives the number of updates."""
    start, updates = time.process_time(), 0
    for x0, sigma, noise in batches(photographs):
        done = (time.process_time() - start) / s
        if done >= 1:
            break
        for group in optimiser.param_groups:
            group["lr"] = lr * min(1, done / 0.03 + 0.01, (1 - done) / 0.4)
        estimate = network(x0 + sigma.view(-1, 1, 1, 1) * noise, sigma)
        loss = (loss_weight(sigma) * (estimate - x0).square().mean((1, 2, 3))).mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), RECIPE.clip)
        optimiser.step()
        updates += 1
    return updates


def middles(photographs: Photographs) -> dict[str, Tensor]:
    """The middle 256x256 of each image."""
    return {str(i): to_model(middle(from_array(pixels).tensor(), 256)) for i, pixels in enumerate(photographs)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--family", choices=FAMILIES, action="append")
    parser.add_argument("--optimiser", choices=("muon", "adamw"), action="append")
    arguments = parser.parse_args()

    # The last two are sigma = 3.9 and 39, where sampling from nothing but noise begins.
    levels = (*LEVELS, 500, 5000)
    training, held = split(find(arguments.data), 24)
    photographs, validation = Photographs(training), middles(Photographs(held, smallest=256))
    print(f"{len(photographs)} images to train on, {len(validation)} to measure; {arguments.seconds:.0f} CPU seconds")
    print("| family | optimiser | GFLOP | parameters | updates | " + " | ".join(f"{n}/255" for n in levels) + " |")
    print("|---|---|---|---|---|" + "---|" * len(levels))
    for family in arguments.family or FAMILIES:
        for name in arguments.optimiser or ("muon",):
            torch.manual_seed(0)
            # Module.to takes memory_format, only its annotations do not say so.
            network: Any = FAMILIES[family]().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            lr = 1.5e-3 if name == "muon" else 1e-3
            learning = [p for p in network.parameters() if p.requires_grad]
            optimiser: torch.optim.Optimizer = (
                Muon(network, lr) if name == "muon" else torch.optim.AdamW(learning, lr, (0.9, 0.99), weight_decay=0.0)
            )
            updates = train(network, optimiser, lr, photographs, arguments.seconds)
            with torch.no_grad(), FlopCounterMode(display=False) as counter:
                network(torch.zeros(1, 3, 256, 256), torch.ones(1))
            psnr = averages(denoising(VENetwork(network, linear_ladder(), multiple=16), validation, levels))
            cells = [
                family,
                name,
                f"{counter.get_total_flops() / 1e9:.1f}",
                f"{sum(p.numel() for p in learning) / 1e6:.1f} M",
                str(updates),
                *(f"{value:.2f}" for value in psnr.values()),
            ]
            print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
