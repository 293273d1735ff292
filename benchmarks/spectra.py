"""Learns how photographs' spectra are distributed: `python -m benchmarks.spectra TRAIN.tar photographs.npz`."""

from __future__ import annotations

import io
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from pellucid.diagnosis.spectrum import Photographs

SIDE = 128


def middles(archive: Path) -> Iterator[Tensor]:
    """The middle 128 x 128 pixels of each photograph of an archive, (1, 3, 128, 128) in [-1, 1]."""
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isfile() and member.name.endswith((".jpg", ".png")):
                file = tar.extractfile(member)
                assert file is not None
                pixels = np.asarray(Image.open(io.BytesIO(file.read())).convert("RGB"))
                top, left = ((size - SIDE) // 2 for size in pixels.shape[:2])
                if min(top, left) >= 0:
                    middle = torch.from_numpy(pixels[top : top + SIDE, left : left + SIDE].copy())
                    yield middle.permute(2, 0, 1)[None].float() / 127.5 - 1


if __name__ == "__main__":
    arrays: dict[str, Any] = dict(Photographs.learn(middles(Path(sys.argv[1]))).arrays())
    np.savez_compressed(sys.argv[2], **arrays)
