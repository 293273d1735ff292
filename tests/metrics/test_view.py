from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from pellucid.errors import PellucidError
from pellucid.metrics.view import view


def draw(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


def test_grey_of_rounded_images_is_pillows() -> None:
    x = draw(1, 3, 40, 30)
    pixels = (x[0].permute(1, 2, 0).double() * 255).round().byte().numpy()
    grey = np.asarray(Image.fromarray(pixels).convert("L"), dtype=np.float64)
    # Pillow computes in whole numbers, so that some halves fall on the other side.
    assert np.abs(255 * view(x, "grey", rounded=True)[0, 0].numpy() - grey).max() <= 1 + 1e-9
    assert np.abs(255 * view(x, "grey", rounded=True)[0, 0].numpy() - grey).mean() < 0.02


def test_luma_of_video_goes_from_16_to_235() -> None:
    black_and_white = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1)
    for channels in (1, 3):
        luma = view(black_and_white.expand(-1, channels, -1, -1), "y")
        assert (255 * luma).flatten().tolist() == pytest.approx([16, 235])


def test_it_changes_nothing_that_is_not_asked_for() -> None:
    x = draw(2, 4, 5, 7)
    before = x.clone()
    assert torch.equal(view(x), x.double())
    assert torch.equal(view(x, crop=2), x[..., 2:3, 2:5].double())
    assert torch.equal(view(3 * x - 1), (3 * x - 1).double().clamp(0, 1))
    assert torch.equal(x, before)


def test_what_cannot_be_shown_is_said() -> None:
    with pytest.raises(PellucidError, match="nothing inside a border of 2"):
        view(draw(1, 3, 4, 9), crop=2)
    with pytest.raises(PellucidError, match="not of 4 channels"):
        view(draw(1, 4, 9, 9), "y")
