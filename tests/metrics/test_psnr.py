from __future__ import annotations

import pytest
import torch

from pellucid.metrics import Psnr, psnr


def test_psnr_of_known_errors() -> None:
    clean = torch.zeros(3, 1, 4, 4)
    image = torch.stack([torch.full((1, 4, 4), level) for level in (0.1, 1.0, 0.0)])
    assert psnr(image, clean).tolist() == pytest.approx([20, 0, float("inf")])


def test_psnr_clamps_as_a_file_would() -> None:
    assert psnr(torch.full((1, 1, 2, 2), -3.0), torch.zeros(1, 1, 2, 2)).item() == float("inf")


def test_protocols_of_known_errors() -> None:
    clean = torch.full((1, 3, 9, 9), 100 / 255)
    image = clean.clone()
    image[..., 1:-1, 1:-1] += 0.4 / 255
    # Rounded, the error is gone; inside a border, it is everywhere; luma of video is 219/255 of it.
    assert Psnr(rounded=True)(image, clean).item() == float("inf")
    inside = Psnr(crop=1)(image, clean).item()
    assert inside == pytest.approx(-20 * torch.tensor(0.4 / 255).log10().item(), rel=1e-5)
    assert Psnr(crop=1, space="grey")(image, clean).item() == pytest.approx(inside)
    less = Psnr(crop=1, space="y")(image, clean).item() - inside
    assert less == pytest.approx(-20 * torch.tensor(219 / 255).log10().item(), rel=1e-4)
