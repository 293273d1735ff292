r"""A small generative adversarial network: a generator of images, and its training's discriminator.

The generator is DCGAN's ([DCGAN]): a linear layer to 4x4 pixels, then transposed convolutions that double the side. In
place of batch statistics each layer is normalised over its own image and gets its gain and shift from the latent
([AdaIN], as in [StyleGAN]). So an image does not depend on the others of its batch, in training as in use:

.. math:: h \leftarrow (1 + g(z)) \frac{h - \mathrm{mean}(h)}{\mathrm{std}(h)} + s(z)

The discriminator is a stack of strided convolutions. The features of its layers are the space in which DGP compares
images. Only its verdict, not these features, depends on the differences within a batch.

References:
    [DCGAN] Radford et al., "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial
        Networks", 2016. https://arxiv.org/abs/1511.06434
    [AdaIN] Huang and Belongie, "Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization", 2017.
        https://arxiv.org/abs/1703.06868
    [StyleGAN] Karras et al., "A Style-Based Generator Architecture for Generative Adversarial Networks", 2019.
        https://arxiv.org/abs/1812.04948
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import PellucidError, unknown_name
from .folder import fill, read_json, read_weights

_CLASS_NAME = "GAN"
_NAMES = ("gan64",)


@dataclass(frozen=True)
class GANConfig:
    """Hyper-parameters of a `GAN`, the content of its `config.json`.

    Attributes:
        channels: image channels.
        latent: length of a latent.
        widths: the generator's channels at 4x4, 8x8, ... pixels; images have twice the side of the last.
        features: the discriminator's channels at half the side, a quarter, ...

    Raises:
        PellucidError: a number is out of range, or the discriminator does not end at 4x4 pixels.
    """

    channels: int = 3
    latent: int = 96
    widths: tuple[int, ...] = (192, 128, 96, 48)
    features: tuple[int, ...] = (48, 96, 160, 192)

    def __post_init__(self) -> None:
        # JSON knows no tuples.
        object.__setattr__(self, "widths", tuple(self.widths))
        object.__setattr__(self, "features", tuple(self.features))
        if not self.widths or len(self.widths) != len(self.features):
            raise PellucidError("a GAN needs as many widths as features, one of each for every resolution")
        if not all(isinstance(n, int) and n > 0 for n in (self.channels, self.latent, *self.widths, *self.features)):
            raise PellucidError("a GAN's channels, latent, widths and features are above 0")

    @property
    def size(self) -> int:
        """Side of the images in pixels."""
        return 4 << len(self.widths)

    def to_json(self) -> dict[str, Any]:
        """The content of `config.json`."""
        return {"_class_name": _CLASS_NAME, **asdict(self)}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> GANConfig:
        """Makes a configuration from `to_json`'s result.

        Raises:
            PellucidError: another class, an unknown field or a value out of range.
        """
        given = dict(content)
        if given.pop("_class_name", None) != _CLASS_NAME:
            raise PellucidError(f"describes no {_CLASS_NAME}")
        unknown = given.keys() - {f.name for f in fields(cls)}
        if unknown:
            raise PellucidError(f"a {_CLASS_NAME} has no {min(unknown)!r}")
        return cls(**given)


class GAN(nn.Module):
    """A generator and its discriminator.

    Args:
        config: hyper-parameters.

    Attributes:
        config: the same.
        generator: (B, latent) to images (B, C, size, size) in [-1, 1].
        discriminator: images to verdicts, (B,), above 0 for photographs.
    """

    def __init__(self, config: GANConfig) -> None:
        super().__init__()
        self.config = config
        self.generator = Generator(config)
        self.discriminator = Discriminator(config)


class Generator(nn.Module):
    """Makes images from latents; see the module's page.

    Args:
        config: hyper-parameters.

    Attributes:
        channels: image channels.
        latent: length of a latent.
        size: side of an image in pixels.
        blocks: from the coarsest to the pixels; DGP tunes them one after the other.
    """

    def __init__(self, config: GANConfig) -> None:
        super().__init__()
        self.channels, self.latent, self.size = config.channels, config.latent, config.size
        self.blocks = nn.ModuleList(
            [
                _Seed(config.latent, config.widths[0]),
                *(_Grow(config.latent, coarse, fine) for coarse, fine in pairwise(config.widths)),
                _Paint(config.widths[-1], config.channels),
            ]
        )

    def forward(self, z: Tensor) -> Tensor:
        """Makes images.

        Args:
            z: latents, N(0, I) in training, (B, latent).

        Returns:
            (B, C, size, size) in [-1, 1].
        """
        h = z
        for block in self.blocks:
            h = block(h, z)
        return h


class Discriminator(nn.Module):
    """Distinguishes photographs from generated images.

    Args:
        config: hyper-parameters.
    """

    def __init__(self, config: GANConfig) -> None:
        super().__init__()
        widths = config.features
        # Two by two pixels become channels: the finest level would cost more than all others.
        self.head = nn.Conv2d(4 * config.channels, widths[0], 3, padding=1)
        self.down = nn.ModuleList(nn.Conv2d(a, b, 4, stride=2, padding=1) for a, b in pairwise(widths))
        self.verdict = nn.Linear(16 * widths[-1] + 1, 1)

    def features(self, x: Tensor) -> list[Tensor]:
        """Returns features of images at each layer, finest first.

        Args:
            x: (B, C, size, size) in [-1, 1].
        """
        h = F.leaky_relu(self.head(F.pixel_unshuffle(x, 2)), 0.2)
        kept = [h]
        for layer in self.down:
            h = F.leaky_relu(layer(h), 0.2)
            kept.append(h)
        return kept

    def forward(self, x: Tensor) -> Tensor:
        """Returns verdicts, (B,), on images (B, C, size, size)."""
        last = self.features(x)[-1].flatten(1)
        # How much a batch varies: a generator that always makes the same image gives itself away.
        spread = last.std(0, correction=0).mean().expand(len(last), 1)
        verdict: Tensor = self.verdict(torch.cat([last, spread], 1))
        return verdict.squeeze(1)


class _Normalised(nn.Module):
    """Normalises each image's channels, applies gain and shift from the latent, then a leaky ReLU."""

    def __init__(self, latent: int, width: int) -> None:
        super().__init__()
        self.style = nn.Linear(latent, 2 * width)

    def forward(self, h: Tensor, z: Tensor) -> Tensor:
        gain, shift = self.style(z)[:, :, None, None].chunk(2, 1)
        variance, mean = torch.var_mean(h, (2, 3), correction=0, keepdim=True)
        return F.leaky_relu((h - mean) * (variance + 1e-5).rsqrt() * (1 + gain) + shift, 0.2)


class _Seed(nn.Module):
    """Maps the latent to 4x4 pixels."""

    def __init__(self, latent: int, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(latent, 16 * width, bias=False)
        self.normalise = _Normalised(latent, width)

    def forward(self, h: Tensor, z: Tensor) -> Tensor:
        normalised: Tensor = self.normalise(self.linear(h).view(len(h), -1, 4, 4), z)
        return normalised


class _Grow(nn.Module):
    """Doubles the side."""

    def __init__(self, latent: int, width: int, narrower: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(width, narrower, 4, stride=2, padding=1, bias=False)
        self.normalise = _Normalised(latent, narrower)

    def forward(self, h: Tensor, z: Tensor) -> Tensor:
        normalised: Tensor = self.normalise(self.up(h), z)
        return normalised


class _Paint(nn.Module):
    """Doubles the side and makes colours."""

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(width, channels, 4, stride=2, padding=1)

    def forward(self, h: Tensor, z: Tensor) -> Tensor:
        return torch.tanh(self.up(h))


def load_gan(source: str | Path, device: str | torch.device = "cpu") -> GAN:
    """Loads a GAN of `pellucid train --gan` with frozen weights.

    Args:
        source: "gan64" from the package, or a folder.
        device: device of the networks.

    Raises:
        UsageError: the folder does not exist.
        PellucidError: the folder holds no whole GAN.
    """
    folder = Path(str(files("pellucid.priors") / str(source))) if source in _NAMES else Path(source)
    if not folder.is_dir():
        raise unknown_name("generator", str(source), _NAMES)
    try:
        gan = GAN(GANConfig.from_json(read_json(folder / "config.json")))
    except PellucidError as error:
        known = str(folder) in str(error)
        raise error if known else PellucidError(f"{folder / 'config.json'}: {error}") from None
    except (TypeError, ValueError) as error:
        raise PellucidError(f"{folder}: its config.json does not describe a GAN ({error!r})") from None
    fill(gan, read_weights(folder), folder)
    return gan.eval().requires_grad_(False).to(device)
