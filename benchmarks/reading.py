"""What the reading of an image file takes in memory, for each format: `python -m benchmarks.reading [--megapixels 12]`.

Each file is read in a process of its own; printed are bytes a pixel by which its memory's peak rises above that of a
file of 32x32.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from pellucid import images

KINDS = {
    "PNG": ("png", np.uint8),
    "PNG, 16 bits": ("png", np.uint16),
    "JPEG": ("jpg", np.uint8),
    "WebP": ("webp", np.uint8),
    "AVIF": ("avif", np.uint8),
    "HEIF": ("heic", np.uint8),
    "BMP": ("bmp", np.uint8),
    "TIFF": ("tif", np.uint8),
    "TIFF, 16 bits": ("tif", np.uint16),
    "TIFF, 32-bit floats": ("tif", np.float32),
    "JPEG 2000": ("jp2", np.uint8),
    "PPM": ("ppm", np.uint8),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--megapixels", type=float, default=12)
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.read is not None:
        images.read(arguments.read)
        # Unlike getrusage, this begins anew with the program.
        status = Path("/proc/self/status").read_text()
        print(1024 * int(status.partition("VmHWM:")[2].split()[0]))
        return
    side = round((arguments.megapixels * 1e6) ** 0.5)
    for name, (suffix, kind) in KINDS.items():
        small, large = (_peak(length, suffix, kind) for length in (32, side))
        print(f"{name:22}{(large - small) / side**2:5.1f} bytes a pixel")


def _peak(side: int, suffix: str, kind: type) -> int:
    ramp = np.add.outer(np.arange(side), np.arange(side))[..., None] * np.ones(3) / (2 * side)
    pixels: images.Pixels = (ramp if kind is np.float32 else ramp * np.iinfo(kind).max).astype(kind)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"image.{suffix}"
        if suffix in ("jp2", "ppm"):
            images.to_pil(images.from_array(pixels)).save(path)
        else:
            images.write(images.from_array(pixels), path)
        command = [sys.executable, "-m", "benchmarks.reading", "--read", str(path)]
        return int(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


if __name__ == "__main__":
    main()
