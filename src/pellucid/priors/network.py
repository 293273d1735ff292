r"""The package's denoising network: plain convolutions, any image size, no import but torch.

`DenoisingUNet` estimates x0 from `x = x0 + sigma n` in the library's coordinates. Four choices make it cheap:

- Few channels at full resolution, and more at each coarser level. With `patch` above 1 it works on
  `pixel_unshuffle(x, patch)`, so that its finest level has fewer pixels.
- No normalisation and no attention: convolutions, ReLU and one addition for each block, as in DRUNet ([DPIR], section
  4.1).
  Without statistics over the image, each output depends only on its surroundings, and tiles agree.
- Preconditioning as in [EDM], table 1 and section 5: with sigma_d the spread of the data,

  .. math:: D(x, \sigma) = \frac{\sigma_d^2}{s^2} x + \frac{\sigma \sigma_d}{s} F\left(\frac{x}{s}, \sigma\right),
            \quad s^2 = \sigma^2 + \sigma_d^2

  so that F has inputs and outputs of unit variance at every noise level, from 0.01 to 157.
- The noise level enters twice: as a constant map beside the image, and in each block as a gain and a shift per channel
  ([FiLM]). Convolutions have no bias: every offset comes from the noise level.

References:
    [DPIR] Zhang et al., "Plug-and-Play Image Restoration with Deep Denoiser Prior", 2021.
        https://arxiv.org/abs/2008.13751
    [EDM] Karras et al., "Elucidating the Design Space of Diffusion-Based Generative Models", 2022.
        https://arxiv.org/abs/2206.00364
    [FiLM] Perez et al., "FiLM: Visual Reasoning with a General Conditioning Layer", 2018.
        https://arxiv.org/abs/1709.07871
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..errors import PellucidError
from ..maths.noise import linear_ladder
from .family import NetworkFamily

if TYPE_CHECKING:
    from .adapters import VENetwork

_CLASS_NAME = "DenoisingUNet"
_FREQUENCIES = 16


@dataclass(frozen=True)
class UNetConfig:
    """Hyper-parameters of a `DenoisingUNet`, the content of its `config.json`.

    Attributes:
        channels: image channels.
        patch: side of the squares of pixels that become channels at the input.
        widths: channels of each level, finest first; each level has half the resolution of the one before.
        blocks: residual blocks of each level on the way down, and again (except the coarsest) on the way up.
        embedding: width of the noise level's embedding.
        sigma_data: spread of the images in [-1, 1] units, sigma_d above.

    Raises:
        PellucidError: a number is out of range, or widths and blocks differ in length.
    """

    channels: int = 3
    patch: int = 1
    widths: tuple[int, ...] = (16, 40, 64, 144, 256)
    blocks: tuple[int, ...] = (1, 2, 2, 2, 1)
    embedding: int = 64
    sigma_data: float = 0.5

    def __post_init__(self) -> None:
        # JSON knows no tuples.
        object.__setattr__(self, "widths", tuple(self.widths))
        object.__setattr__(self, "blocks", tuple(self.blocks))
        counts = (self.channels, self.patch, self.embedding, *self.widths, *self.blocks)
        if not self.widths or len(self.widths) != len(self.blocks):
            raise PellucidError("a network needs as many widths as blocks, one of each for every level")
        if not all(isinstance(n, int) and n > 0 for n in counts):
            raise PellucidError("a network's channels, patch, widths, blocks and embedding are whole and above 0")
        if not isinstance(self.sigma_data, int | float) or not 1e-3 <= self.sigma_data <= 1e3:
            raise PellucidError(f"a network's sigma_data is a number from 0.001 to 1000, not {self.sigma_data!r:.40}")

    def to_json(self) -> dict[str, Any]:
        """The content of `config.json`; `build_network` is its inverse."""
        return {"_class_name": _CLASS_NAME, **asdict(self)}


def build_network(config: dict[str, Any]) -> DenoisingUNet:
    """Makes the network that a `config.json` describes, with fresh weights.

    Args:
        config: the file's content: `_class_name` and the fields of `UNetConfig`.

    Returns:
        The network, on the CPU, in float32; `channels` and `multiple` describe its images.

    Raises:
        PellucidError: another class, an unknown field or a value out of range.
    """
    given = dict(config)
    name = given.pop("_class_name", None)
    if name != _CLASS_NAME:
        raise PellucidError(f"unknown network {name!r}: there are {_CLASS_NAME}, UNet2DModel, GuidedUNet and DDPMUNet")
    unknown = given.keys() - {f.name for f in fields(UNetConfig)}
    if unknown:
        raise PellucidError(f"{name} has no {min(unknown)!r}")
    return DenoisingUNet(UNetConfig(**given))


class DenoisingUNet(nn.Module):
    """Estimates the clean image from a noisy one and its noise level; the module's page explains the design.

    A fresh network is the best linear guess, `x sigma_d^2 / (sigma^2 + sigma_d^2)`: its last layer starts at zero.

    Args:
        config: hyper-parameters.

    Attributes:
        config: the same.
        channels: image channels.
        multiple: divisor of height and width.
        checkpointed: whether gradients store only each block's input and compute the rest again.
    """

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        self.checkpointed = False
        self.channels = config.channels
        self.multiple = config.patch * 2 ** (len(config.widths) - 1)
        inner = config.channels * config.patch**2
        widths, blocks = config.widths, config.blocks
        self.embed = nn.Sequential(
            nn.Linear(2 * _FREQUENCIES + 1, config.embedding),
            nn.SiLU(),
            nn.Linear(config.embedding, config.embedding),
            nn.SiLU(),
        )
        self.head = nn.Conv2d(inner + 1, widths[0], 3, padding=1, bias=False)
        self.down = nn.ModuleList(_Level(w, n, config.embedding) for w, n in zip(widths, blocks, strict=True))
        self.up = nn.ModuleList(_Level(w, n, config.embedding) for w, n in zip(widths[:-1], blocks[:-1], strict=True))
        steps = list(pairwise(widths))
        self.shrink = nn.ModuleList(nn.Conv2d(fine, coarse, 2, stride=2, bias=False) for fine, coarse in steps)
        self.grow = nn.ModuleList(nn.ConvTranspose2d(coarse, fine, 2, stride=2, bias=False) for fine, coarse in steps)
        self.tail = nn.Conv2d(widths[0], inner, 3, padding=1, bias=False)
        nn.init.zeros_(self.tail.weight)

    def forward(self, x: Tensor, sigma: Tensor) -> Tensor:
        """Estimates E[x0 | x].

        Args:
            x: `x0 + sigma n`, (B, C, H, W), images in [-1, 1]; H and W divide by `multiple`.
            sigma: noise levels, 0 or more, (B,).

        Returns:
            x0, (B, C, H, W), not clamped.
        """
        level = sigma.view(-1, 1, 1, 1)
        spread = self.config.sigma_data
        total = torch.sqrt(level**2 + spread**2)
        embedding = self.embed(_features(sigma))
        h = F.pixel_unshuffle(x / total, self.config.patch)
        noise_map = (level / total).expand(-1, 1, *h.shape[2:])
        h = torch.cat([h, noise_map], 1).contiguous(memory_format=torch.channels_last)
        residual = F.pixel_shuffle(self.trunk(h, embedding), self.config.patch)
        return x * (spread / total) ** 2 + residual * (level * spread / total)

    def trunk(self, h: Tensor, embedding: Tensor) -> Tensor:
        """Computes F without the noise level's embedding and the rearrangement of pixels, the costly part.

        Args:
            h: (B, C patch^2 + 1, H / patch, W / patch).
            embedding: embedding of the noise levels, (B, config.embedding).

        Returns:
            (B, C patch^2, H / patch, W / patch).
        """
        h = self.head(h)
        kept: list[Tensor] = []
        for blocks, shrink in zip(self.down, self.shrink, strict=False):
            h = blocks(h, embedding, self.checkpointed)
            kept.append(h)
            h = shrink(h)
        h = self.down[-1](h, embedding, self.checkpointed)
        for blocks, grow in zip(reversed(self.up), reversed(self.grow), strict=True):
            h = blocks(grow(h) + kept.pop(), embedding, self.checkpointed)
        return self.tail(h)  # type: ignore[no-any-return]


class _Level(nn.Module):
    """The residual blocks of one resolution."""

    def __init__(self, width: int, blocks: int, embedding: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(width, embedding) for _ in range(blocks))

    def forward(self, h: Tensor, embedding: Tensor, checkpointed: bool = False) -> Tensor:
        for block in self.blocks:
            if checkpointed and torch.is_grad_enabled():
                h = checkpoint(block, h, embedding, use_reentrant=False)
            else:
                h = block(h, embedding)
        return h


class Block(nn.Module):
    """`h + conv(relu(gain * conv(h) + shift))`, gain and shift from the noise level."""

    def __init__(self, width: int, embedding: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.film = nn.Linear(embedding, 2 * width)
        self.second = nn.Conv2d(width, width, 3, padding=1, bias=False)
        nn.init.kaiming_normal_(self.first.weight)
        # Small, not zero: without normalisation the trunk's variance must not grow with depth, and gradients must flow.
        nn.init.normal_(self.second.weight, std=0.1 * math.sqrt(2 / (9 * width)))
        nn.init.zeros_(self.film.weight)
        nn.init.zeros_(self.film.bias)

    def forward(self, h: Tensor, embedding: Tensor) -> Tensor:
        """Computes the block's output of its input, (B, C, H, W), and the noise level's embedding, (B, E)."""
        gain, shift = self.film(embedding).chunk(2, 1)
        if len(h) == 1:
            # The weights take the gain: a fifteenth less of the network's time in bfloat16.
            inside = F.conv2d(h, self.first.weight * (1 + gain).view(-1, 1, 1, 1), shift[0], padding=1)
        else:
            inside, gain, shift = self.first(h), gain[:, :, None, None], shift[:, :, None, None]
            # In place where no gradient needs what was there: less memory, and less of the network's time.
            inside = torch.addcmul(shift, inside, 1 + gain, out=None if torch.is_grad_enabled() else inside)
        return self.second(inside.relu_()).add_(h)  # type: ignore[no-any-return]


def _features(sigma: Tensor) -> Tensor:
    """Smooth features of the noise level for learning, (B,) -> (B, 2 * _FREQUENCIES + 1)."""
    # ln sigma / 4, EDM's c_noise, lies in [-1.2, 1.3]; the floor keeps a level of 0 finite.
    u = sigma.clamp_min(1e-4).log().unsqueeze(1) / 4
    octaves = torch.linspace(-1, 3, _FREQUENCIES, device=u.device, dtype=u.dtype)
    angles = u * 2**octaves
    return torch.cat([u, angles.sin(), angles.cos()], 1)


def load(root: Path, device: str | torch.device = "cpu", label: int | None = None) -> VENetwork:
    """Loads a folder with a `config.json` and weights as a prior.

    Raises:
        PellucidError: it describes another network, or lacks weights.
    """
    from . import folder, limits
    from .adapters import VENetwork

    config, weights = folder.read_json(root / "config.json"), folder.read_weights(root)
    try:
        with limits.described_by(len(weights)):
            network = build_network(config)
        limits.check_images(network.channels, network.channels, network.multiple)
        folder.choose(network, label)
    except PellucidError as error:
        raise PellucidError(f"{root / 'config.json'}: {error}") from None
    folder.fill(network, weights, root)
    return VENetwork(
        folder.ready(network, device), linear_ladder(), channels=network.channels, multiple=network.multiple
    )


FAMILY = NetworkFamily(
    "pellucid", DenoisingUNet, _CLASS_NAME, to_json=lambda network: network.config.to_json(), load=load
)
