"""Default `restore` of large photographs beside an older version: `python -m benchmarks.photograph FOLDER`.

Mosaics of a folder's photographs are saved as JPEGs of several sizes. Each is restored by this version and, with
`--against COMMIT`, by that one, in turn and in processes of their own: seconds, peak of memory, and PSNR to what was
saved. Beside them are a noisy photograph and what BM3D (its package) and OpenCV's non-local means make of it, each
where it is installed.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

SIZES = {1: (1152, 864), 3: (2048, 1536), 12: (4000, 3000), 24: (6000, 4000)}
QUALITY, NOISE = 75, 15
_HERE = Path(__file__).parent.parent
_SEEN = (".jpg", ".jpeg", ".png")


def mosaic(folder: Path, width: int, height: int) -> Image.Image:
    """Photographs side by side, each with its mirror images, so that no seam is in it but between photographs."""
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in _SEEN)
    if not files:
        raise SystemExit(f"{folder}: holds no photograph")
    whole, top, number = Image.new("RGB", (width, height)), 0, 0
    while top < height:
        left = tall = 0
        while left < width:
            with Image.open(files[number % len(files)]) as file:
                one = file.convert("RGB")
            number += 1
            for at, part in enumerate((one, ImageOps.mirror(one), ImageOps.flip(one), one.rotate(180))):
                whole.paste(part, (left + at % 2 * one.width, top + at // 2 * one.height))
            left, tall = left + 2 * one.width, max(tall, 2 * one.height)
        top += tall
    return whole


def psnr(one: Path | Image.Image, other: Image.Image) -> float:
    """Of two pictures of 8 bits, in dB."""
    with Image.open(one) if isinstance(one, Path) else contextlib.nullcontext(one) as opened:
        difference = np.asarray(opened.convert("RGB"), np.float32) - np.asarray(other, np.float32)
    return float(10 * np.log10(255**2 / np.square(difference).mean()))


def restored(source: Path, picture: Path, target: Path, cpu: bool) -> tuple[float, float]:
    """Seconds and peak of memory, in MiB, of a process that restores a picture with the code of `source`."""
    code = "import pellucid.cli, sys; sys.exit(pellucid.cli.program())"
    arguments = ["restore", str(picture), "-o", str(target), "--overwrite", "--executor", "this", "--device", "cpu"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(source / "src"), os.environ.get("PYTHONPATH", "")])}
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", code, *arguments], env=environment)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{source}: restore ended with {process.returncode}")
    took = used.ru_utime + used.ru_stime if cpu else time.perf_counter() - start
    return took, used.ru_maxrss / 1024


@contextlib.contextmanager
def checked_out(commit: str | None) -> Iterator[dict[str, Path]]:
    """The code of this version, and that of another one in a folder that is removed afterwards."""
    if commit is None:
        yield {"this version": _HERE}
        return
    with tempfile.TemporaryDirectory() as place:
        tree, git = Path(place) / "tree", ["git", "-C", str(_HERE), "worktree"]
        subprocess.run([*git, "add", "-q", "--detach", str(tree), commit], check=True)
        try:
            yield {"this version": _HERE, commit: tree}
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True)


def peers() -> dict[str, Callable[[Any], Any]]:
    """Denoisers of other packages, told the noise; those that are not installed are left out."""
    found: dict[str, Callable[[Any], Any]] = {}
    with contextlib.suppress(ImportError):
        bm3d = import_module("bm3d")
        found["BM3D, told the noise"] = lambda image: bm3d.bm3d_rgb(image / 255, NOISE / 255) * 255
    with contextlib.suppress(ImportError):
        cv2 = import_module("cv2")
        found["OpenCV's non-local means"] = lambda image: cv2.fastNlMeansDenoisingColored(
            image.astype(np.uint8), None, NOISE, NOISE
        )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="photographs")
    parser.add_argument("--against", metavar="COMMIT", help="an older version")
    parser.add_argument("--megapixels", type=int, choices=SIZES, action="append", help="all sizes if none is named")
    parser.add_argument("--noisy", type=int, choices=SIZES, default=1, help="megapixels of the noisy photograph")
    parser.add_argument("--side", type=int, help="square pictures of this side, to try the benchmark itself")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    given = parser.parse_args()
    sizes = [(given.side, given.side)] if given.side else [SIZES[n] for n in given.megapixels or SIZES]
    cpu = given.clock == "cpu"
    print(f"| picture | way | s ({given.clock}) | MiB | PSNR, dB | ratio |\n|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as place, checked_out(given.against) as versions:
        damaged, target = Path(place) / "damaged.png", Path(place) / "restored.png"
        for width, height in sizes:
            clean, picture = mosaic(given.folder, width, height), Path(place) / "damaged.jpg"
            clean.save(picture, quality=QUALITY)
            _compare(f"JPEG {QUALITY}, {width}x{height}", picture, target, clean, versions, cpu)
        clean = mosaic(given.folder, *([given.side] * 2 if given.side else SIZES[given.noisy]))
        noisy = np.asarray(clean, np.float32) + np.random.default_rng(0).normal(
            0, NOISE, (clean.height, clean.width, 3)
        )
        Image.fromarray(noisy.round().clip(0, 255).astype(np.uint8)).save(damaged)
        kind = f"noise of {NOISE}, {clean.width}x{clean.height}"
        _compare(kind, damaged, target, clean, versions, cpu)
        for name, denoise in peers().items():
            clock = time.process_time if cpu else time.perf_counter
            start = clock()
            made = denoise(np.asarray(Image.open(damaged), np.float32))
            took = clock() - start
            own = psnr(Image.fromarray(made.round().clip(0, 255).astype(np.uint8)), clean)
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"| {kind} | {name} | {took:.1f} | {memory:.0f} | {own:.2f} | |", flush=True)


def _compare(kind: str, picture: Path, target: Path, clean: Image.Image, versions: dict[str, Path], cpu: bool) -> None:
    first = 0.0
    print(f"| {kind} | as it came | | | {psnr(picture, clean):.2f} | |")
    for name, source in versions.items():
        took, memory = restored(source, picture, target, cpu)
        first = first or took
        print(f"| | {name} | {took:.1f} | {memory:.0f} | {psnr(target, clean):.2f} | {took / first:.2f} |", flush=True)


if __name__ == "__main__":
    main()
