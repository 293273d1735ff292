"""Enlarged pictures are not blurred ones: their high frequencies repeat low ones."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from pellucid.diagnosis.enlarged import repeats
from pellucid.maths.problem import to_model
from pellucid.operators.blur import gaussian


def texture(side: int) -> Tensor:
    """Random dots, (side, side) in [0, 1]."""
    generator = torch.Generator().manual_seed(0)
    return (torch.rand(side, side, generator=generator) > 0.9).float() * 0.8 + 0.1


def pixels(values: Tensor) -> Image.Image:
    return Image.fromarray((values * 255).round().byte().numpy())


def tensor(picture: Image.Image) -> Tensor:
    values = torch.from_numpy(np.asarray(picture.convert("RGB")).copy()).permute(2, 0, 1)[None]
    return to_model(values.float() / 255)


def saved(picture: Image.Image, quality: int | None) -> Tensor:
    if quality is None:
        return tensor(picture)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return tensor(Image.open(file))


@pytest.mark.parametrize("quality", [None, 90])
def test_an_enlarged_picture_repeats_and_a_blurred_one_does_not(quality: int | None) -> None:
    small = pixels(texture(96))
    for way in (Image.Resampling.BICUBIC, Image.Resampling.LANCZOS):
        for factor in (2.0, 2.5, 3.0):
            side = round(96 * factor)
            assert repeats(saved(small.resize((side, side), way), quality)), (way, factor)
    kernel = gaussian(1.2).float()
    soft = torch.nn.functional.conv2d(texture(240)[None, None], kernel[None, None], padding="same")[0, 0]
    assert not repeats(saved(pixels(soft), quality))
