"""Other tools for the same tasks, if installed: bm3d, opencv-python, scikit-image, PyWavelets.

Each is a function from 8-bit colours (H, W, 3) to the same. It is called as in the first example of its documentation.
It estimates the noise level itself unless its name says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from ..diagnosis.estimate import noise_level

Pixels = npt.NDArray[np.uint8]
Peer = Callable[[Pixels], Pixels]


class PeerError(Exception):
    """A peer gives no result for an image."""


def of(kind: str | None, sigma: float | None, by: int = 1) -> dict[str, Peer]:
    """Returns the installed peers for a row by name.

    Args:
        kind: "noise", "blur", "jpeg" or "enlarge"; None for none.
        sigma: noise level in [0, 1] units for peers that need it; None if there is no single number.
        by: factor of an enlargement.
    """
    found: dict[str, Peer] = {}
    if kind == "noise":
        if find_spec("bm3d"):
            if sigma is not None:
                found["BM3D, told"] = lambda pixels: _bm3d(pixels, sigma)
            found["BM3D"] = lambda pixels: _bm3d(pixels, _level(pixels))
        if find_spec("cv2"):
            found["OpenCV non-local means"] = _opencv
        if find_spec("skimage") and find_spec("pywt"):
            found["wavelets"] = _wavelets
        if find_spec("skimage"):
            found["total variation"] = _total_variation
    elif kind == "jpeg" and find_spec("skimage"):
        found["total variation"] = _total_variation
    elif kind == "blur":
        found["unsharp mask"] = _unsharp
    elif kind == "enlarge":
        found["Lanczos"] = lambda pixels: _lanczos(pixels, by)
    return found


def _level(pixels: Pixels) -> float:
    import torch

    return noise_level(torch.from_numpy(pixels.astype(np.float32) / 255).permute(2, 0, 1)[None])


def _floats(pixels: Pixels) -> npt.NDArray[np.float64]:
    return pixels.astype(np.float64) / 255


def _bytes(image: npt.NDArray[Any]) -> Pixels:
    return np.clip(np.round(image * 255), 0, 255).astype(np.uint8)


def _bm3d(pixels: Pixels, sigma: float) -> Pixels:
    if sigma <= 0:
        return pixels
    image = _floats(pixels)
    grey = bool((pixels == pixels[..., :1]).all())
    try:
        # Of equal channels its colour transform makes nothing that is a number.
        if grey:
            return _bytes(np.repeat(import_module("bm3d").bm3d(image[..., 0], sigma)[..., None], 3, -1))
        return _bytes(import_module("bm3d").bm3d_rgb(image, sigma))
    except (ValueError, RuntimeError) as error:
        raise PeerError from error


def _opencv(pixels: Pixels) -> Pixels:
    level = max(1.0, 255 * _level(pixels))
    restored: Pixels = import_module("cv2").fastNlMeansDenoisingColored(pixels, None, level, level)
    return restored


def _wavelets(pixels: Pixels) -> Pixels:
    return _bytes(
        import_module("skimage.restoration").denoise_wavelet(_floats(pixels), channel_axis=-1, rescale_sigma=True)
    )


def _total_variation(pixels: Pixels) -> Pixels:
    return _bytes(import_module("skimage.restoration").denoise_tv_chambolle(_floats(pixels), channel_axis=-1))


def _unsharp(pixels: Pixels) -> Pixels:
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.UnsharpMask()))


def _lanczos(pixels: Pixels, by: int) -> Pixels:
    height, width = pixels.shape[:2]
    return np.asarray(Image.fromarray(pixels).resize((by * width, by * height), Image.Resampling.LANCZOS))
