from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from pellucid import images
from pellucid.images.pil import srgb


def test_the_profile_of_srgb_holds_no_date() -> None:
    assert srgb()[24:36] == bytes(12)
    profile = ImageCms.ImageCmsProfile(io.BytesIO(srgb()))
    assert "sRGB" in ImageCms.getProfileDescription(profile)
    image = Image.fromarray(np.arange(192, dtype=np.uint8).reshape(8, 8, 3))
    turned = ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"))
    assert turned is not None
    assert np.abs(np.asarray(turned).astype(int) - np.asarray(image)).max() <= 1


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_cmyk_becomes_rgb_and_that_is_said(tmp_path: Path, suffix: str) -> None:
    inks = Image.merge("CMYK", [Image.new("L", (8, 8), ink) for ink in (255, 0, 255, 0)])
    inks.save(tmp_path / f"in{suffix}")
    picture = images.read(tmp_path / f"in{suffix}")
    # Cyan and yellow make green.
    assert picture.colour.shape == (8, 8, 3)
    np.testing.assert_allclose(picture.colour.mean((0, 1)), [0, 255, 0], atol=3)
    assert picture.note == "CMYK was converted to sRGB by a plain formula, as it has no profile"
    assert picture.metadata["icc_profile"] == srgb()
    restored = picture.with_tensor(picture.tensor())
    images.write(restored, tmp_path / "out.png")
    with Image.open(tmp_path / "out.png") as image:
        assert (image.mode, image.info["icc_profile"]) == ("RGB", srgb())
