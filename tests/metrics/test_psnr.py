from __future__ import annotations

import pytest
import torch

from pellucid.metrics import psnr


def test_psnr_of_known_errors() -> None:
    clean = torch.zeros(3, 1, 4, 4)
    image = torch.stack([torch.full((1, 4, 4), level) for level in (0.1, 1.0, 0.0)])
    assert psnr(image, clean).tolist() == pytest.approx([20, 0, float("inf")])


def test_psnr_clamps_as_a_file_would() -> None:
    assert psnr(torch.full((1, 1, 2, 2), -3.0), torch.zeros(1, 1, 2, 2)).item() == float("inf")
