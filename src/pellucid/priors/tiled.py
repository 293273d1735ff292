"""Images of any size through a network that evaluates one tile at a time."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import UsageError
from .latent import latent_of
from .network import DenoisingUNet
from .prior import Evaluation, Padded, Prior, Tiles, Wrapper, module_of, round_up

TILE = 512
"""Default side of a tile for a prior of pixels."""

OVERLAP = 64
"""Default least overlap of neighbouring tiles in pixels."""

OWN_TILE = 1056
"""The same for the package's networks: 12 megapixels are 1.12 times theirs, not 1.33.

A border 64 pixels away changes their estimate of noise by at most 0.2 of 255, and that of a photograph by 0.1.
"""


class Tiled(Wrapper):
    """Estimates x0 tile by tile and blends the estimates within every evaluation.

    Restoring each tile separately gives seams, because every tile invents its own details. Here all tiles show the same
    noisy image at every step, and their estimates are averaged before the next step. So the image stays consistent (the
    blending in x0 of MultiDiffusion, Bar-Tal et al., 2023, https://arxiv.org/abs/2302.08113). The method draws noise
    for the whole image and does not know of tiles.

    Args:
        prior: the prior for the tiles.
        tile: the longest side of a tile in pixels, rounded up to the prior's multiple. A smaller image is not cut; for
            a larger one, tiles of pixels are as small as their number permits.
        overlap: least overlap of neighbours in pixels, rounded up to the prior's multiple, below `tile`.
        batch: number of tiles through the prior at once; it affects speed and memory, not the result.

    Raises:
        UsageError: tile, overlap or batch is out of range.

    Example:
        >>> prior = priors.Tiled(priors.load_prior("natural"), tile=32, overlap=8)
        >>> prior(torch.zeros(1, 3, 32, 48), 0.1).shape
        torch.Size([1, 3, 32, 48])
    """

    def __init__(self, prior: Prior, tile: int = TILE, overlap: int = OVERLAP, batch: int = 1) -> None:
        super().__init__(prior)
        for name, value, least in (("side", tile, 1), ("overlap", overlap, 0), ("number at once", batch, 1)):
            if value < least:
                raise UsageError(f"the {name} of tiles is {least} or more, not {value}")
        self.tile = round_up(tile, prior.multiple)
        self.overlap = round_up(overlap, prior.multiple)
        self.batch = batch
        # Networks of latents know only tiles as large as the images that they were trained on.
        self._whole = latent_of(prior) is not None
        if self.overlap >= self.tile:
            made = "" if tile == self.tile else f", which become {self.tile} (the prior takes multiples of that),"
            raise UsageError(f"tiles of {tile} pixels{made} cannot overlap by {self.overlap}: take a larger tile")

    def tiles(self, height: int, width: int) -> Tiles:
        """Tiles of the innermost network for one evaluation of one image of this size."""
        cut = len(self._spans(height)) * len(self._spans(width))
        number, *size = super().tiles(min(height, self._side(height)), min(width, self._side(width)))
        return Tiles(cut * number, *size)

    def evaluate(self, inner: Evaluation, x: Tensor, sigma: float | Tensor) -> Tensor:
        """See `Wrapper`."""
        if max(x.shape[-2:]) <= self.tile:
            return inner(x, sigma)
        rows, columns = (self._spans(n) for n in x.shape[-2:])
        places = [(image, row, column) for image in range(len(x)) for row in rows for column in columns]
        blended: Tensor | None = None
        for first in range(0, len(places), self.batch):
            part = places[first : first + self.batch]
            crops = torch.stack([x[image, :, row.pixels, column.pixels] for image, row, column in part])
            levels = sigma
            if isinstance(sigma, Tensor) and sigma.ndim:
                levels = sigma[[image for image, _, _ in part]]
            estimates = inner(crops, levels)
            if blended is None:
                blended = x.new_zeros(len(x), estimates.shape[1], *x.shape[2:])
            for (image, row, column), x0 in zip(part, estimates, strict=True):
                weight = row.weight.to(x0)[:, None] * column.weight.to(x0)
                blended[image, :, row.pixels, column.pixels] += x0 * weight
        assert blended is not None  # there is a tile
        return blended

    def _spans(self, size: int) -> list[Span]:
        # Tiles start at multiples of the network's own grid.
        return spans(size, self._side(size), self.overlap, self.prior.multiple)

    def _side(self, size: int) -> int:
        """Side of the tiles along an axis, with no more overlap than necessary, so that time grows with the image."""
        if size <= self.tile or self._whole:
            return self.tile
        moves = -(-(size - self.tile) // (self.tile - self.overlap))
        return round_up(-(-(size + moves * self.overlap) // (moves + 1)), self.prior.multiple)


def spans(size: int, tile: int, overlap: int, unit: int = 1) -> list[Span]:
    """Covers one axis by tiles whose weights sum to 1 at every pixel.

    Args:
        size: length of the axis in pixels.
        tile: side of a tile, a multiple of unit.
        overlap: least overlap of neighbours in pixels, likewise, below `tile`.
        unit: unit of the tiles' starts.
    """
    if size <= tile:
        return [Span(slice(0, size), torch.ones(size))]
    room, stride = (size - tile) // unit, (tile - overlap) // unit
    moves = -(-room // stride)
    starts = [i * room // moves * unit for i in range(moves + 1)]
    # Each tile fades in over what it shares with the one before, as sin^2, and out likewise: smooth at both ends.
    weights = torch.zeros(len(starts), size, dtype=torch.float64)
    for weight, start in zip(weights, starts, strict=True):
        weight[start : start + tile] = 1
    for before, after, start in zip(weights, weights[1:], starts[1:], strict=False):
        shared = starts[starts.index(start) - 1] + tile - start
        ramp = torch.sin((torch.arange(shared, dtype=torch.float64) + 0.5) / shared * torch.pi / 2) ** 2
        after[start : start + shared] *= ramp
        before[start : start + shared] *= 1 - ramp
    weights /= weights.sum(0)
    return [
        Span(slice(start, start + tile), weight[start : start + tile].float())
        for start, weight in zip(starts, weights, strict=True)
    ]


@dataclass(frozen=True)
class Span:
    """A tile's place on one axis.

    Attributes:
        pixels: its place.
        weight: its weight at each pixel, (tile,).
    """

    pixels: slice
    weight: Tensor


def fit(prior: Prior, tile: int | None = None, batch: int = 1) -> Padded:
    """Makes a prior take images of any size from 1x1 up, in tiles above `tile` pixels.

    Args:
        prior: the prior; a prior of latents gets tiles of the latents for so many pixels.
        tile: side of a tile in pixels of the image; None for `usual_tile`.
        batch: number of tiles through the prior at once.

    Example:
        >>> prior = priors.fit(priors.load_prior("natural"), tile=64)
        >>> prior(torch.zeros(1, 3, 33, 70), 0.1).shape
        torch.Size([1, 3, 33, 70])
    """
    tile = usual_tile(prior) if tile is None else tile
    latent = latent_of(prior)
    if latent is not None and tile >= 1:
        tile = round_up(tile, latent.unit) // latent.vae.factor
    return Padded(Tiled(prior, tile, min(OVERLAP, tile // 4), batch))


def usual_tile(prior: Prior) -> int:
    """Default side of a tile in pixels: `OWN_TILE` or `TILE`, or more if a prior of latents is made for it."""
    latent = latent_of(prior)
    if latent is not None:
        return max(TILE, latent.size)
    return OWN_TILE if _own(prior) else TILE


def _own(prior: Prior) -> bool:
    """True for a prior of pixels with one of the package's networks, which knows only its surroundings."""
    return isinstance(module_of(prior), DenoisingUNet) and latent_of(prior) is None
