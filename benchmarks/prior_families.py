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
from pellucid.priors.network import Block, DenoisingUNet, UNetConfig
from pellucid.train.data import Crops, Photographs, find, split
from pellucid.train.optimiser import Muon
from pellucid.train.recipe import PRESETS, loss_weight, noise_levels

RECIPE = PRESETS["cpu"]
PATCHES = UNetConfig(patch=2, widths=(40, 64, 160, 256), blocks=(2, 2, 2, 2))
"""The network that shipped before the present one."""


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


class Gated(nn.Module):
    """[NAFNet]'s block without its statistics of the whole image: 1x1, depthwise 3x3, gate, 1x1; 1x1, gate, 1x1.

    References:
        [NAFNet] Chen et al., "Simple Baselines for Image Restoration", 2022. https://arxiv.org/abs/2204.04676
    """

    def __init__(self, width: int, embedding: int) -> None:
        super().__init__()
        self.film = nn.Linear(embedding, 4 * width)
        self.spread = nn.Conv2d(width, 2 * width, 1, bias=False)
        self.near = nn.Conv2d(2 * width, 2 * width, 3, padding=1, groups=2 * width, bias=False)
        self.join = nn.Conv2d(width, width, 1, bias=False)
        self.widen = nn.Conv2d(width, 2 * width, 1, bias=False)
        self.close = nn.Conv2d(width, width, 1, bias=False)
        self.share = nn.Parameter(torch.full((2, width, 1, 1), 0.1))
        nn.init.zeros_(self.film.weight)
        nn.init.zeros_(self.film.bias)

    def forward(self, h: Tensor, embedding: Tensor) -> Tensor:
        """The features of the next block."""
        gains = self.film(embedding)[:, :, None, None].chunk(4, 1)
        a, b = self.near(self.spread(_normal(h) * (1 + gains[0]) + gains[1])).chunk(2, 1)
        h = h + self.share[0] * self.join(a * b)
        a, b = self.widen(_normal(h) * (1 + gains[2]) + gains[3]).chunk(2, 1)
        return h + self.share[1] * self.close(a * b)  # type: ignore[no-any-return]


def _normal(h: Tensor) -> Tensor:
    """Each pixel's channels with mean 0 and variance 1, which depends on no other pixel."""
    return F.layer_norm(h.permute(0, 2, 3, 1), (h.shape[1],)).permute(0, 3, 1, 2)


class Twice(nn.Module):
    """The package's block with a gain and a shift after each of its convolutions, not only after the first."""

    def __init__(self, width: int, embedding: int) -> None:
        super().__init__()
        self.block = Block(width, embedding)
        self.film = nn.Linear(embedding, 2 * width)
        nn.init.zeros_(self.film.weight)
        nn.init.zeros_(self.film.bias)

    def forward(self, h: Tensor, embedding: Tensor) -> Tensor:
        """The features of the next block."""
        gain, shift = self.film(embedding)[:, :, None, None].chunk(2, 1)
        return torch.addcmul(h + shift, self.block(h, embedding) - h, 1 + gain)


def shape(config: UNetConfig, block: Callable[[int, int], nn.Module] | None = None) -> nn.Module:
    """The package's network with other numbers, or with another block."""
    network = DenoisingUNet(config)
    if block is not None:
        for level, width in zip((*network.down, *network.up), (*config.widths, *config.widths[:-1]), strict=True):
            level.blocks = nn.ModuleList(block(width, config.embedding) for _ in level.blocks)
    return network


FAMILIES: dict[str, Callable[[], nn.Module]] = {
    "patches": lambda: shape(PATCHES),
    "narrow, deep": lambda: shape(UNetConfig(patch=2, widths=(32, 48, 112, 176), blocks=(3, 4, 4, 4))),
    "film twice": lambda: shape(PATCHES, Twice),
    "pixels": lambda: shape(UNetConfig(patch=1, widths=(20, 36, 64, 144, 256), blocks=(1, 2, 2, 2, 1))),
    "pixels, deep, film twice": lambda: shape(
        UNetConfig(patch=1, widths=(20, 32, 56, 112, 176), blocks=(1, 2, 3, 3, 3)), Twice
    ),
    "gated": lambda: shape(UNetConfig(patch=2, widths=(48, 80, 160, 288), blocks=(4, 4, 4, 4)), Gated),
    "unet2d": UNet2D,
    "drunet": lambda: Variant(PATCHES, film=False, output="residual"),
    "drunet+film": lambda: Variant(PATCHES, film=True, output="residual"),
    "drunet+homogeneous": lambda: Variant(PATCHES, film=False, output="homogeneous"),
    "drunet+homogeneous+film": lambda: Variant(PATCHES, film=True, output="homogeneous"),
    "drunet+edm": lambda: Variant(PATCHES, film=False, output="edm"),
    "drunet+edm+film": lambda: Variant(PATCHES, film=True, output="edm"),
}


def batches(photographs: Photographs) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Clean crops, their noise levels and noise, the same for every family."""
    crops, batch = Crops(photographs, RECIPE.size, RECIPE.seed), RECIPE.batch
    rng = torch.Generator().manual_seed(0)
    for first in range(0, 10**9, batch):
        numbers = range(first, first + batch)
        x0 = torch.from_numpy(crops.batch(numbers)).permute(0, 3, 1, 2).float() / 127.5 - 1
        yield x0, torch.from_numpy(noise_levels(RECIPE, numbers)), torch.randn(x0.shape, generator=rng)


def train(
    network: nn.Module, optimiser: torch.optim.Optimizer, lr: float, photographs: Photographs, s: float, half: bool
) -> int:
    """Trains for `s` seconds of processor time, in bfloat16 or float32; gives the number of updates."""
    start, updates = time.process_time(), 0
    for x0, sigma, noise in batches(photographs):
        done = (time.process_time() - start) / s
        if done >= 1:
            break
        for group in optimiser.param_groups:
            group["lr"] = lr * min(1, done / 0.03 + 0.01, (1 - done) / 0.4)
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
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
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
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
            half = arguments.precision == "bfloat16"
            updates = train(network, optimiser, lr, photographs, arguments.seconds, half)
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
