r"""The network of guided-diffusion (ADM), with modules named like the published tensors.

A UNet that predicts the noise of `x_vp` at training step t. Its blocks add the step's embedding as a gain and a shift
after a group normalisation, and change the resolution. At the coarse levels they attend over all places ([ADM], section
3). Later models predict three more channels, a variance, which is not needed for a posterior mean
([iDDPM], section 3.1).

Names and shapes of the tensors determine the network except three properties, which `config_of` takes from a table of
published networks. These are the heads of the attention, the order of queries, keys and values in the rows of one
matrix, and the noise schedule. A network outside the table gets the usual values: heads of 64 channels, the legacy
order and the linear schedule; then `GuidedConfig.published` is None.

References:
    [ADM] Dhariwal and Nichol, "Diffusion Models Beat GANs on Image Synthesis", 2021. https://arxiv.org/abs/2105.05233
        The networks: https://github.com/openai/guided-diffusion
    [iDDPM] Nichol and Dhariwal, "Improved Denoising Diffusion Probabilistic Models", 2021.
        https://arxiv.org/abs/2102.09672
    [DPS] Chung et al., "Diffusion Posterior Sampling for General Noisy Inverse Problems", 2023, whose network of faces
        has this layout. https://arxiv.org/abs/2209.14687
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..errors import PellucidError
from ..maths.noise import cosine_ladder, linear_ladder
from . import limits
from .blocks import Grow
from .family import Built, NetworkFamily

_GROUPS = 32


@dataclass(frozen=True)
class PublishedNetwork:
    """Facts of a published network that its tensors do not tell.

    Attributes:
        size: side of its training's images, in pixels.
        heads: heads of every attention; None for heads of 64 channels.
        order: order of the rows of the attention's matrix; see `GuidedConfig`.
        schedule: of the noise.
    """

    size: int
    heads: int | None = None
    order: Literal["legacy", "new"] = "legacy"
    schedule: Literal["linear", "cosine"] = "linear"


# Width of the embedding, widths of the levels, blocks a level, levels with attention.
_Shape = tuple[int, tuple[int, ...], int, tuple[int, ...]]
_PUBLISHED: dict[_Shape, PublishedNetwork] = {
    (192, (192, 384, 576, 768), 3, (1, 2, 3)): PublishedNetwork(64, order="new", schedule="cosine"),
    (256, (256, 256, 512, 768, 1024), 2, (2, 3, 4)): PublishedNetwork(128, heads=4),
    (256, (256, 256, 512, 512, 1024, 1024), 2, (3, 4, 5)): PublishedNetwork(256),
    (128, (128, 128, 256, 256, 512, 512), 1, (4,)): PublishedNetwork(256),
    (256, (128, 256, 256, 512, 512, 1024, 1024), 2, (4, 5, 6)): PublishedNetwork(512),
}


@dataclass(frozen=True)
class GuidedConfig:
    """Hyper-parameters of a `GuidedUNet`.

    Attributes:
        width: channels of the embedding's sines; the embedding itself has four times as many.
        widths: channels of each level, finest first, multiples of 32.
        blocks: residual blocks of each level on the way down; one more on the way up.
        attention: levels with attention after each block, 0 the finest; the middle always has it.
        channels: image channels.
        learned_sigma: whether it predicts a variance, in channels after the noise.
        classes: number of classes of its training; 0 for an unconditional network.
        scale_shift: whether the embedding is a gain and a shift after the normalisation, else a term before it.
        conv_resample: whether a convolution changes the resolution, else a residual block.
        heads: heads of every attention; None for heads of `head_channels`.
        head_channels: channels of a head, if heads is None.
        order: order of the rows of the attention's matrix: "legacy" has queries, keys and values inside each head,
            "new" has heads inside each of the three.
    """

    width: int
    widths: tuple[int, ...]
    blocks: int
    attention: tuple[int, ...]
    channels: int = 3
    learned_sigma: bool = True
    classes: int = 0
    scale_shift: bool = True
    conv_resample: bool = False
    heads: int | None = None
    head_channels: int = 64
    order: Literal["legacy", "new"] = "legacy"

    def __post_init__(self) -> None:
        if self.blocks < 1 or not self.widths or any(w < 1 or w % _GROUPS for w in self.widths):
            raise PellucidError(f"a guided-diffusion network has blocks and widths that divide by {_GROUPS}")
        if min(self.head_channels, 1 if self.heads is None else self.heads) < 1 or self.order not in ("legacy", "new"):
            raise PellucidError("an attention has at least one head of one channel, its order is legacy or new")
        for wide in {self.widths[-1], *(self.widths[level] for level in self.attention)}:
            if wide % (self.heads or self.head_channels):
                what = f"{self.heads} heads" if self.heads else f"heads of {self.head_channels} channels"
                raise PellucidError(f"an attention over {wide} channels cannot have {what}")

    @property
    def published(self) -> PublishedNetwork | None:
        """The published network of this shape; None if there is none."""
        return _PUBLISHED.get((self.width, self.widths, self.blocks, self.attention))


def matches(names: Sequence[str]) -> bool:
    """True if the names of tensors belong to this family."""
    needed = {"time_embed.0.weight", "input_blocks.0.0.weight", "output_blocks.0.0.in_layers.2.weight"}
    # Latent diffusion grew out of this layout, and looks at texts in blocks of its own.
    return needed <= set(names) and not any("transformer_blocks." in name for name in names)


def config_of(shapes: Mapping[str, Sequence[int]]) -> GuidedConfig:
    """Infers a network from its tensors.

    Args:
        shapes: shape of each tensor by its published name.

    Raises:
        PellucidError: the tensors form no network, or one that enlarges a small image.
    """
    try:
        return _infer(shapes)
    except KeyError as error:
        raise PellucidError(f"is like guided-diffusion's networks, but has no {error}") from None
    except IndexError:
        raise PellucidError("is like guided-diffusion's networks, but a tensor has too few dimensions") from None


def _infer(shapes: Mapping[str, Sequence[int]]) -> GuidedConfig:
    channels, out = shapes["input_blocks.0.0.weight"][1], shapes["out.2.weight"][0]
    if channels == 6 and out in (3, 6):
        raise PellucidError("is a guided-diffusion network that enlarges: it needs a small image as a second input")
    if channels not in (1, 3):
        raise PellucidError(f"is like guided-diffusion's networks, but takes {channels} channels: no image has as many")
    if out not in (channels, 2 * channels):
        raise PellucidError(f"is like guided-diffusion's networks, but makes {out} channels of {channels}")
    number = 1 + max(int(m[1]) for name in shapes if (m := re.match(r"output_blocks\.(\d+)\.", name)))
    # A way up ends each level but the finest with what enlarges: a second residual block, or a convolution.
    grow = re.compile(r"output_blocks\.\d+\.[12]\.(?:in_layers\.2|conv)\.weight")
    levels = 1 + sum(grow.fullmatch(name) is not None for name in shapes)
    each, rest = divmod(number, levels)
    if rest:
        raise PellucidError(f"is like guided-diffusion's networks, but has {number} blocks up for {levels} levels")
    # On the way down a level has one block fewer, and then what shrinks; the stem comes first.
    first = [f"input_blocks.{1 + level * each}" for level in range(levels)]
    width = shapes["time_embed.0.weight"][1]
    widths = tuple(shapes[f"{place}.0.out_layers.3.weight"][0] for place in first)
    attention = tuple(level for level, place in enumerate(first) if f"{place}.1.qkv.weight" in shapes)
    known = _PUBLISHED.get((width, widths, each - 1, attention))
    return GuidedConfig(
        width,
        widths,
        each - 1,
        attention,
        channels=channels,
        learned_sigma=out == 2 * channels,
        classes=shapes["label_emb.weight"][0] if "label_emb.weight" in shapes else 0,
        scale_shift=shapes[f"{first[0]}.0.emb_layers.1.weight"][0] == 2 * widths[0],
        conv_resample=any(re.fullmatch(r"input_blocks\.\d+\.0\.op\.weight", name) for name in shapes),
        heads=known.heads if known else None,
        head_channels=math.gcd(64, widths[-1], *(widths[level] for level in attention)),
        order=known.order if known else "legacy",
    )


class GuidedUNet(nn.Module):
    """Predicts the noise of a variance-preserving image at a training step.

    Args:
        config: hyper-parameters.

    Attributes:
        config: the same.
        channels: image channels.
        multiple: divisor of height and width.
        classes: how many it was trained with; 0 for an unconditional network.
        label: the class of the images, from 0, for a class-conditional network. None uses the mean of the classes'
            embeddings.
        checkpointed: whether gradients store only each block's input and compute the rest again.
    """

    def __init__(self, config: GuidedConfig) -> None:
        super().__init__()
        self.config = config
        self.channels = config.channels
        self.classes = config.classes
        self.multiple = 2 ** (len(config.widths) - 1)
        self.label: int | None = None
        self.checkpointed = False
        embedding = 4 * config.width
        self.time_embed = nn.Sequential(nn.Linear(config.width, embedding), nn.SiLU(), nn.Linear(embedding, embedding))
        if config.classes:
            self.label_emb = nn.Embedding(config.classes, embedding)
        wide = config.widths[0]
        self.input_blocks = nn.ModuleList([_Stage([nn.Conv2d(config.channels, wide, 3, padding=1)])])
        kept = [wide]
        for level, width in enumerate(config.widths):
            for _ in range(config.blocks):
                self.input_blocks.append(self._stage(wide, width, level))
                wide = width
                kept.append(wide)
            if level < len(config.widths) - 1:
                shrink = _Shrink(wide) if config.conv_resample else self._block(wide, wide, "shrink")
                self.input_blocks.append(_Stage([shrink]))
                kept.append(wide)
        self.middle_block = _Stage([self._block(wide, wide), self._attention(wide), self._block(wide, wide)])
        self.output_blocks = nn.ModuleList()
        for level, width in reversed(list(enumerate(config.widths))):
            for _ in range(config.blocks + 1):
                self.output_blocks.append(self._stage(wide + kept.pop(), width, level))
                wide = width
            if level:
                last = self.output_blocks[-1]
                assert isinstance(last, _Stage)
                last.append(Grow(wide) if config.conv_resample else self._block(wide, wide, "grow"))
        out = config.channels * (2 if config.learned_sigma else 1)
        self.out = nn.Sequential(_norm(wide), nn.SiLU(), nn.Conv2d(wide, out, 3, padding=1))

    def _stage(self, wide: int, width: int, level: int) -> _Stage:
        attention = [self._attention(width)] if level in self.config.attention else []
        return _Stage([self._block(wide, width), *attention])

    def _block(self, wide: int, width: int, resample: Literal["shrink", "grow"] | None = None) -> _ResBlock:
        return _ResBlock(wide, width, 4 * self.config.width, self.config.scale_shift, resample)

    def _attention(self, width: int) -> _Attention:
        heads = self.config.heads or width // self.config.head_channels
        return _Attention(width, heads, self.config.order)

    def forward(self, x: Tensor, t: Tensor, labels: Tensor | None = None) -> Tensor:
        """Predicts the noise.

        Args:
            x: images in variance-preserving coordinates, (B, C, H, W); H and W divide by `multiple`.
            t: training steps, from 0, fractions between two steps allowed, (B,).
            labels: classes, whole numbers from 0, (B,); `label` for all if None.

        Returns:
            (B, C, H, W), or (B, 2 C, H, W) with the learned variance after the noise.
        """
        embedding = self.time_embed(_sines(t, self.config.width).to(x))
        if self.config.classes:
            embedding = embedding + self._class(labels)
        h = x.contiguous(memory_format=torch.channels_last)
        kept: list[Tensor] = []
        for stage in self.input_blocks:
            h = self._run(stage, h, embedding)
            kept.append(h)
        h = self._run(self.middle_block, h, embedding)
        for stage in self.output_blocks:
            h = self._run(stage, torch.cat([h, kept.pop()], 1), embedding)
        predicted: Tensor = self.out(h).contiguous()
        return predicted

    def _class(self, labels: Tensor | None) -> Tensor:
        weight = self.label_emb.weight
        if labels is not None:
            return weight[labels]
        return weight.mean(0) if self.label is None else weight[self.label]

    def _run(self, stage: nn.Module, h: Tensor, embedding: Tensor) -> Tensor:
        if self.checkpointed and torch.is_grad_enabled():
            kept: Tensor = checkpoint(stage, h, embedding, use_reentrant=False)
            return kept
        result: Tensor = stage(h, embedding)
        return result


class _Stage(nn.ModuleList):
    """Layers in sequence; the residual blocks among them also get the embedding."""

    def forward(self, h: Tensor, embedding: Tensor) -> Tensor:
        for layer in self:
            h = layer(h, embedding) if isinstance(layer, _ResBlock) else layer(h)
        return h


class _ResBlock(nn.Module):
    """Two normalised convolutions with the embedding between them, and a skip connection ([ADM], section 3)."""

    def __init__(
        self, wide: int, width: int, embedding: int, scale_shift: bool, resample: Literal["shrink", "grow"] | None
    ) -> None:
        super().__init__()
        self.scale_shift, self.resample = scale_shift, resample
        self.in_layers = nn.Sequential(_norm(wide), nn.SiLU(), nn.Conv2d(wide, width, 3, padding=1))
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(embedding, width * (2 if scale_shift else 1)))
        # The third is dropout in training, and there for the fourth one's name.
        self.out_layers = nn.Sequential(_norm(width), nn.SiLU(), nn.Identity(), nn.Conv2d(width, width, 3, padding=1))
        self.skip_connection = nn.Identity() if wide == width else nn.Conv2d(wide, width, 1)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        h = self._resampled(self.in_layers[:2](x))
        h = self.in_layers[2](h)
        term = self.emb_layers(embedding)[..., None, None]
        if self.scale_shift:
            gain, shift = term.chunk(2, -3)
            h = torch.addcmul(shift, self.out_layers[0](h), 1 + gain)
            h = self.out_layers[1:](h)
        else:
            h = self.out_layers(h + term)
        return self.skip_connection(self._resampled(x)) + h  # type: ignore[no-any-return]

    def _resampled(self, h: Tensor) -> Tensor:
        if self.resample == "shrink":
            return F.avg_pool2d(h, 2)
        return F.interpolate(h, scale_factor=2.0) if self.resample == "grow" else h


class _Shrink(nn.Module):
    """Halves the resolution by a convolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.op = nn.Conv2d(width, width, 3, stride=2, padding=1)

    def forward(self, h: Tensor) -> Tensor:
        shrunk: Tensor = self.op(h)
        return shrunk


class _Attention(nn.Module):
    """Attention between all places, with several heads."""

    def __init__(self, width: int, heads: int, order: Literal["legacy", "new"]) -> None:
        super().__init__()
        self.heads, self.order = heads, order
        self.norm = _norm(width)
        self.qkv = nn.Conv1d(width, 3 * width, 1)
        self.proj_out = nn.Conv1d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        batch, width, height, _ = x.shape
        rows = self.qkv(self.norm(x).flatten(2))
        if self.order == "legacy":
            q, k, v = rows.view(batch, self.heads, 3, width // self.heads, -1).unbind(2)
        else:
            q, k, v = rows.view(batch, 3, self.heads, width // self.heads, -1).unbind(1)
        # Contiguous, or the kernel that never holds all pairs of places cannot be used.
        seen = F.scaled_dot_product_attention(*(part.transpose(2, 3).contiguous() for part in (q, k, v)))
        change = self.proj_out(seen.transpose(2, 3).reshape(batch, width, -1))
        return x + change.unflatten(2, (height, -1))  # type: ignore[no-any-return]


def _norm(width: int) -> nn.GroupNorm:
    return nn.GroupNorm(_GROUPS, width)


def _sines(t: Tensor, width: int) -> Tensor:
    """Cosines, then sines, of a training step at falling frequencies from 1, (B,) -> (B, width)."""
    half = width // 2
    frequencies = torch.exp(-math.log(10000) / half * torch.arange(half, dtype=torch.float32, device=t.device))
    angles = t.float()[:, None] * frequencies
    return torch.cat([angles.cos(), angles.sin()], 1)


def infer(shapes: Mapping[str, Sequence[int]], known: Mapping[str, Any]) -> Built:
    """The network of a file's tensors; see `NetworkFamily`."""
    config, assumed = config_of(shapes), ""
    published = config.published
    if published is None and not known:
        assumed = (
            f"its tensors do not say how it attends; heads of {config.head_channels} channels, the {config.order} "
            "order and a linear schedule are assumed"
        )
    config = replace(config, **known)
    with limits.described_by(len(shapes)):
        network = GuidedUNet(config)
    cosine = published is not None and published.schedule == "cosine"
    found = "a guided-diffusion network"
    if config.classes:
        found += f" of {config.classes} classes (without a label, the mean of their embeddings stands for one)"
    return Built(network, cosine_ladder() if cosine else linear_ladder(), found, assumed)


def _describe(network: GuidedUNet) -> dict[str, Any]:
    config, published = network.config, network.config.published
    heads = str(config.heads) if config.heads else f"of {config.head_channels} channels"
    return {
        "size": published.size if published else None,
        "learned_sigma": config.learned_sigma,
        "classes": config.classes,
        "heads": f"{heads}, {config.order} order" + ("" if published else " (assumed)"),
    }


FAMILY = NetworkFamily(
    "guided-diffusion",
    GuidedUNet,
    "GuidedUNet",
    to_json=lambda network: {"_class_name": "GuidedUNet", **asdict(network.config)},
    build=lambda config: GuidedUNet(GuidedConfig(**config)),
    matches=matches,
    infer=infer,
    describe=_describe,
)
