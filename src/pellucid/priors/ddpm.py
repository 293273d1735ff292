r"""The network of DDPM, with the tensor names of its PyTorch checkpoints (CelebA-HQ, LSUN).

A UNet that predicts the noise of `x_vp` at training step t ([DDPM], appendix B): residual blocks to which the step's
embedding is added between two convolutions, attention with one head at one level and in the middle, convolutions that
halve and double the resolution. Names and shapes of the tensors determine it completely. DDRM, DDNM, SDEdit and BIRD
use it.

References:
    [DDPM] Ho, Jain, Abbeel, "Denoising Diffusion Probabilistic Models", 2020. https://arxiv.org/abs/2006.11239
    [DDIM] Song, Meng, Ermon, "Denoising Diffusion Implicit Models", 2021, whose code has this layout.
        https://arxiv.org/abs/2010.02502, https://github.com/ermongroup/ddim
    [DDRM] Kawar et al., "Denoising Diffusion Restoration Models", 2022. https://arxiv.org/abs/2201.11793
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..errors import PellucidError
from ..maths.noise import linear_ladder
from . import limits
from .blocks import Grow
from .family import Built, NetworkFamily

_GROUPS = 32


@dataclass(frozen=True)
class DDPMConfig:
    """Hyper-parameters of a `DDPMUNet`.

    Attributes:
        width: channels of the embedding's sines; the embedding itself has four times as many.
        widths: channels of each level, finest first, multiples of 32.
        blocks: residual blocks of each level on the way down; one more on the way up.
        attention: levels with attention after each block, 0 the finest; the middle always has it.
        channels: image channels.
    """

    width: int
    widths: tuple[int, ...]
    blocks: int
    attention: tuple[int, ...]
    channels: int = 3

    def __post_init__(self) -> None:
        if self.blocks < 1 or not self.widths or any(w < 1 or w % _GROUPS for w in (self.width, *self.widths)):
            raise PellucidError(f"a DDPM network has blocks and widths that divide by {_GROUPS}")

    @property
    def size(self) -> int | None:
        """Side of the images of the published network of this shape; None if there is none."""
        return 256 if self == DDPMConfig(128, (128, 128, 256, 256, 512, 512), 2, (4,)) else None


def matches(names: Sequence[str]) -> bool:
    """True if the names of tensors belong to this family."""
    return {"temb.dense.0.weight", "conv_in.weight", "down.0.block.0.conv1.weight", "conv_out.weight"} <= set(names)


def config_of(shapes: Mapping[str, Sequence[int]]) -> DDPMConfig:
    """Infers a network from its tensors.

    Args:
        shapes: shape of each tensor by its published name.

    Raises:
        PellucidError: the tensors form no network.
    """
    try:
        blocks = 1 + max(int(m[1]) for name in shapes if (m := re.match(r"down\.0\.block\.(\d+)\.", name)))
        levels = len({m[1] for name in shapes if (m := re.match(r"down\.(\d+)\.block\.0\.conv1\.weight", name))})
        widths = tuple(shapes[f"down.{level}.block.0.conv1.weight"][0] for level in range(levels))
        channels, out = shapes["conv_in.weight"][1], shapes["conv_out.weight"][0]
        attention = tuple(level for level in range(levels) if f"down.{level}.attn.0.q.weight" in shapes)
        width = shapes["temb.dense.0.weight"][1]
    except KeyError as error:
        raise PellucidError(f"is like DDPM's networks, but has no {error}") from None
    except IndexError:
        raise PellucidError("is like DDPM's networks, but a tensor has too few dimensions") from None
    if out != channels:
        raise PellucidError(f"is like DDPM's networks, but makes {out} channels of {channels}")
    return DDPMConfig(width, widths, blocks, attention, channels)


class DDPMUNet(nn.Module):
    """Predicts the noise of a variance-preserving image at a training step.

    Args:
        config: hyper-parameters.

    Attributes:
        config: the same.
        channels: image channels.
        multiple: divisor of height and width.
        checkpointed: whether gradients store only each block's input and compute the rest again.
    """

    def __init__(self, config: DDPMConfig) -> None:
        super().__init__()
        self.config = config
        self.channels = config.channels
        self.multiple = 2 ** (len(config.widths) - 1)
        self.checkpointed = False
        embedding, widths = 4 * config.width, config.widths
        self.temb = nn.Module()
        self.temb.dense = nn.ModuleList([nn.Linear(config.width, embedding), nn.Linear(embedding, embedding)])
        wide = config.width
        self.conv_in = nn.Conv2d(config.channels, wide, 3, padding=1)
        kept = [wide]
        self.down = nn.ModuleList()
        for index, width in enumerate(widths):
            level = _Level([wide, *[width] * (config.blocks - 1)], width, embedding, index in config.attention)
            wide = width
            kept += [wide] * config.blocks
            if index < len(widths) - 1:
                level.downsample = _Shrink(wide)
                kept.append(wide)
            self.down.append(level)
        self.mid = _Middle(wide, embedding)
        up: list[_Level] = []
        for index, width in reversed(list(enumerate(widths))):
            entering = [wide, *[width] * config.blocks]
            joined = [n + kept.pop() for n in entering]
            level = _Level(joined, width, embedding, index in config.attention)
            wide = width
            if index:
                level.upsample = Grow(wide)
            up.insert(0, level)
        self.up = nn.ModuleList(up)
        self.norm_out = _norm(wide)
        self.conv_out = nn.Conv2d(wide, config.channels, 3, padding=1)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Predicts the noise.

        Args:
            x: images in variance-preserving coordinates, (B, C, H, W); H and W divide by `multiple`.
            t: training steps, from 0, fractions between two steps allowed, (B,).

        Returns:
            (B, C, H, W).
        """
        first, second = self.temb.dense  # type: ignore[misc]
        embedding = F.silu(second(F.silu(first(_sines(t, self.config.width).to(x)))))
        h = self.conv_in(x.contiguous(memory_format=torch.channels_last))
        kept = [h]
        for level in cast("Iterable[_Level]", self.down):
            for index in range(self.config.blocks):
                h = self._run(level, h, embedding, index)
                kept.append(h)
            if level.downsample is not None:
                h = level.downsample(h)
                kept.append(h)
        h = self._run(self.mid, h, embedding)
        for level in reversed(list(cast("Iterable[_Level]", self.up))):
            for index in range(self.config.blocks + 1):
                h = self._run(level, torch.cat([h, kept.pop()], 1), embedding, index)
            if level.upsample is not None:
                h = level.upsample(h)
        predicted: Tensor = self.conv_out(F.silu(self.norm_out(h))).contiguous()
        return predicted

    def _run(self, part: nn.Module, h: Tensor, *rest: Tensor | int) -> Tensor:
        if self.checkpointed and torch.is_grad_enabled():
            kept: Tensor = checkpoint(part, h, *rest, use_reentrant=False)
            return kept
        result: Tensor = part(h, *rest)
        return result


class _Level(nn.Module):
    """The residual blocks of one resolution on one way, each with its attention, if any."""

    def __init__(self, entering: Sequence[int], width: int, embedding: int, attention: bool) -> None:
        super().__init__()
        self.block = nn.ModuleList(_ResBlock(wide, width, embedding) for wide in entering)
        self.attn = nn.ModuleList(_Attention(width) for _ in entering if attention)
        self.downsample: _Shrink | None = None
        self.upsample: Grow | None = None

    def forward(self, h: Tensor, embedding: Tensor, index: int) -> Tensor:
        h = self.block[index](h, embedding)
        return self.attn[index](h) if len(self.attn) else h


class _Middle(nn.Module):
    """The coarsest blocks."""

    def __init__(self, width: int, embedding: int) -> None:
        super().__init__()
        self.block_1 = _ResBlock(width, width, embedding)
        self.attn_1 = _Attention(width)
        self.block_2 = _ResBlock(width, width, embedding)

    def forward(self, h: Tensor, embedding: Tensor) -> Tensor:
        result: Tensor = self.block_2(self.attn_1(self.block_1(h, embedding)), embedding)
        return result


class _ResBlock(nn.Module):
    """Two normalised convolutions with the embedding added between them, and a skip connection."""

    def __init__(self, wide: int, width: int, embedding: int) -> None:
        super().__init__()
        self.norm1 = _norm(wide)
        self.conv1 = nn.Conv2d(wide, width, 3, padding=1)
        self.temb_proj = nn.Linear(embedding, width)
        self.norm2 = _norm(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.nin_shortcut = nn.Identity() if wide == width else nn.Conv2d(wide, width, 1)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x))) + self.temb_proj(embedding)[:, :, None, None]
        h = self.conv2(F.silu(self.norm2(h)))
        return self.nin_shortcut(x) + h  # type: ignore[no-any-return]


class _Attention(nn.Module):
    """Attention between all places, with one head."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = _norm(width)
        self.q = nn.Conv2d(width, width, 1)
        self.k = nn.Conv2d(width, width, 1)
        self.v = nn.Conv2d(width, width, 1)
        self.proj_out = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(x)
        # Contiguous, or the kernel that never holds all pairs of places cannot be used.
        q, k, v = (part(h).flatten(2).transpose(1, 2).contiguous().unsqueeze(1) for part in (self.q, self.k, self.v))
        seen = F.scaled_dot_product_attention(q, k, v).squeeze(1).transpose(1, 2)
        return x + self.proj_out(seen.unflatten(2, x.shape[2:]))  # type: ignore[no-any-return]


class _Shrink(nn.Module):
    """Halves the resolution by a convolution, padded only at the right and the bottom."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, stride=2)

    def forward(self, h: Tensor) -> Tensor:
        shrunk: Tensor = self.conv(F.pad(h, (0, 1, 0, 1)))
        return shrunk


def _norm(width: int) -> nn.GroupNorm:
    return nn.GroupNorm(_GROUPS, width, eps=1e-6)


def _sines(t: Tensor, width: int) -> Tensor:
    """Sines, then cosines, of a training step at frequencies from 1 to 1/10000, (B,) -> (B, width)."""
    half = width // 2
    frequencies = torch.exp(-math.log(10000) / (half - 1) * torch.arange(half, dtype=torch.float32, device=t.device))
    angles = t.float()[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], 1)


def infer(shapes: Mapping[str, Sequence[int]], known: Mapping[str, Any]) -> Built:
    """The network of a file's tensors; see `NetworkFamily`. What is known beside them is not asked for."""
    with limits.described_by(len(shapes)):
        network = DDPMUNet(config_of(shapes))
    return Built(network, linear_ladder(), "a DDPM network")


FAMILY = NetworkFamily(
    "DDPM",
    DDPMUNet,
    "DDPMUNet",
    to_json=lambda network: {"_class_name": "DDPMUNet", **asdict(network.config)},
    build=lambda config: DDPMUNet(DDPMConfig(**config)),
    matches=matches,
    infer=infer,
    describe=lambda network: {"size": network.config.size},
)
