from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from pellucid.errors import PellucidError
from pellucid.metrics import Consistency


def halved(image: torch.Tensor) -> torch.Tensor:
    return F.avg_pool2d(image, 2)


def test_it_is_the_error_of_the_measurement_in_steps_of_8_bits() -> None:
    image = torch.rand(2, 3, 6, 4, generator=torch.Generator().manual_seed(0)) * 0.9
    assert Consistency(halved)(image, halved(image)).tolist() == [0, 0]
    off = halved(image) + torch.tensor([1.0, 2.0]).view(2, 1, 1, 1) / 255
    assert Consistency(halved)(image, off).tolist() == pytest.approx([1, 4], rel=1e-4)


def test_rounding_forgives_less_than_half_a_step() -> None:
    stored = torch.full((1, 1, 4, 4), 100 / 255)
    image = stored + 0.4 / 255
    assert Consistency(halved, rounded=True)(image, halved(stored)).item() == pytest.approx(0, abs=1e-6)
    assert Consistency(halved)(image, halved(stored)).item() == pytest.approx(0.16, rel=1e-3)


def test_another_shape_is_said() -> None:
    image = torch.zeros(1, 3, 4, 4)
    with pytest.raises(PellucidError, match=r"it is \(1, 3, 2, 2\), not \(1, 3, 4, 4\)"):
        Consistency(halved)(image, image)
