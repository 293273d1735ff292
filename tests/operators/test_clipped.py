"""Values that a decoder clipped, estimated from reduced colours."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from pellucid.images import from_pil
from pellucid.maths.problem import to_model
from pellucid.operators import Quantised, clipped
from pellucid.operators.clipped import beyond, unclipped
from pellucid.operators.jpeg import COLOURS

SIDE = 48


def vivid(shrunk: tuple[int, int], mode: str) -> Tensor:
    """A picture (3, H, W) whose colours are made of samples, and of which some values lie beyond the range."""
    rng = torch.Generator().manual_seed(0)
    samples = torch.rand(1, 2, SIDE // shrunk[0], SIDE // shrunk[1], generator=rng, dtype=torch.float64)
    colours = F.interpolate(0.5 * samples - 0.1, scale_factor=shrunk, mode=mode)[0]
    brightness = 0.7 * torch.rand(1, SIDE, SIDE, generator=rng, dtype=torch.float64)
    planes = torch.cat([brightness, colours])
    image: Tensor = torch.tensordot(torch.linalg.inv(torch.tensor(COLOURS, dtype=torch.float64)), planes, 1)
    return image


@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
@pytest.mark.parametrize("shrunk", [(2, 2), (1, 2)])
def test_a_picture_of_reduced_colours_is_what_it_was_before_the_clip(shrunk: tuple[int, int], mode: str) -> None:
    truth = vivid(shrunk, mode)
    image = truth.clamp(-1, 1)
    lost = image != truth
    assert 0.02 < lost.double().mean() < 0.2
    result = unclipped(image, shrunk, smooth=mode == "bilinear")
    assert torch.equal(result[~beyond(image)], image[~beyond(image)])
    assert (result.abs() >= image.abs()).all()
    # Where all channels are clipped nothing tells the brightness.
    assert (result - truth)[lost].abs().median() < 0.25 * (image - truth)[lost].abs().median()


def test_strips_of_a_tall_picture_are_those_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    image = vivid((2, 2), "bilinear").clamp(-1, 1)
    whole = unclipped(image, (2, 2), smooth=True)
    monkeypatch.setattr(clipped, "_STRIP", 16)
    torch.testing.assert_close(unclipped(image, (2, 2), smooth=True), whole, atol=1e-3, rtol=0)


def test_the_numbers_of_a_vivid_file_are_those_of_its_own_planes() -> None:
    """Pillow also gives the planes of brightness and colours, which nothing clips."""
    row, column = np.mgrid[:96, :96] / 96
    colour = np.stack([column, 0.9 - 0.8 * row, 0.2 + 0.7 * row * column], 2)
    detail = 0.2 * np.sign(np.sin(60 * row) * np.sin(47 * column))[..., None]
    file = io.BytesIO()
    Image.fromarray((255 * (colour + detail).clip(0, 1)).astype(np.uint8)).save(file, "JPEG", quality=80)
    picture, planes = from_pil(Image.open(file)), Image.open(file)
    planes.draft("YCbCr", None)
    assert planes.mode == "YCbCr"
    assert picture.jpeg is not None
    apart = (
        torch.tensor(np.array(planes), dtype=torch.float64).permute(2, 0, 1)
        - torch.tensor([127.5, 128, 128])[:, None, None].double()
    )
    whole = torch.tensordot(torch.linalg.inv(torch.tensor(COLOURS, dtype=torch.float64)), apart / 127.5, 1)
    y = to_model(picture.tensor())
    operator = Quantised(picture.jpeg, tuple(y.shape[1:]))
    # Without a value at the edge of the range nothing is estimated.
    shift = operator.coefficients(torch.zeros_like(y)) - operator.A(torch.zeros_like(y))
    told = (operator.A(whole[None].float()) - shift).round() + shift
    brightness = slice(0, 256)
    naive = (operator.A(y) - shift).round() + shift
    wrong, before = (
        ((numbers - told)[..., brightness].abs() > 0.5).float().mean() for numbers in (operator.coefficients(y), naive)
    )
    assert before > 0.03
    assert wrong < before / 3
