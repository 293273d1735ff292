"""Agreement of all of a picture with a blur: its edges and its sharpest parts.

The spectrum of a whole picture is a mean. Soft texture without edges, such as paper, clouds or wood, has the spectrum
of a blurred photograph, and so has a photograph of which only a part is in focus.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from .estimate import laplacian, middle
from .spectrum import luminance

_MOST = 1536
_PART, _STEP, _PARTS, _FAINT = 96, 32, 24, (1 / 127.5) ** 2
"""Side of a part, distance of two, number of the sharpest ones in both senses, and power that is hardly detail."""
_WINDOW = 32


def contrast(image: Tensor) -> float:
    """Largest standard deviation of the brightness in a window of 32 x 32 pixels, in the image's units.

    Args:
        image: one picture, (1, C, H, W), of 32 pixels or more each way.
    """
    bright = _smoothed(image)
    bright = bright - bright.mean()
    mean, square = (F.avg_pool2d(one, _WINDOW, _WINDOW // 2) for one in (bright, bright.square()))
    return (square - mean.square()).amax().clamp_min(0).sqrt().item()


def edginess(image: Tensor) -> float:
    """Kurtosis of the differences of neighbouring pixels, of the two directions the smaller one.

    Noise and random texture have 3, however smooth. Edges are rare and high, so that photographs have more.

    Args:
        image: one picture, (1, C, H, W), of 4 pixels or more each way; the middle of a large one is used.
    """
    steps = (_smoothed(middle(image, _MOST)).diff(dim=axis) for axis in (-1, -2))
    return min(_kurtosis(step - step.mean()) for step in steps)


def sharpest(image: Tensor) -> list[Tensor]:
    """Parts of 96 x 96 pixels with the most fine detail, and with the most of it beside coarse detail.

    Args:
        image: one picture, (1, C, H, W), of 96 pixels or more each way.
    """
    bright = luminance(image)
    fine, coarse = laplacian(bright).square(), bright.diff(dim=-1)[..., 1:-1, 1:].square()
    fine, coarse = (F.avg_pool2d(one, _PART - 2, _STEP)[0, 0] for one in (fine, coarse))
    columns = fine.shape[1]
    orders = [one.flatten().argsort(descending=True)[:_PARTS] for one in (fine, fine / (coarse + _FAINT))]
    places = dict.fromkeys(torch.cat(orders).tolist())
    corners = [(_STEP * (at // columns), _STEP * (at % columns)) for at in places]
    return [image[..., top : top + _PART, left : left + _PART] for top, left in corners]


def _smoothed(image: Tensor) -> Tensor:
    """Brightness without the finest noise."""
    return F.avg_pool2d(luminance(image), 3, 1)


def _kurtosis(values: Tensor) -> float:
    power = values.square().mean().item()
    return values.pow(4).mean().item() / power**2 if power else 0.0
