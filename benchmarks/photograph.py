"""Default `restore` of large photographs beside an older version: `python -m benchmarks.photograph FOLDER`.

Mosaics of a folder's photographs are saved as JPEGs of several sizes. Each is restored by this version and by an older
one (`--against COMMIT`), in turn and in processes of their own: seconds of wall and of processor time, peak of memory,
and PSNR to what was saved. Beside them are a noisy photograph and what BM3D (its package) and OpenCV's non-local means
make of it, each where it is installed.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SIZES = {1: (1152, 864), 3: (2048, 1536), 12: (4000, 3000), 24: (6000, 4000)}
QUALITY, NOISE = 75, 15
LAST = "7faf75c"
"""Commit to compare with."""

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


@dataclass(frozen=True)
class Spent:
    """Wall and processor seconds of a process, and its peak of memory in MiB."""

    wall: float
    cpu: float
    memory: float

    def __str__(self) -> str:
        return f"{self.wall:.1f} | {self.cpu:.1f} | {self.memory:.0f}"


def restored(source: Path, picture: Path, target: Path) -> tuple[Spent, str]:
    """What a process spends that restores a picture with the code of `source`, and its line of output."""
    arguments = ["restore", str(picture), "-o", str(target), "--overwrite", "--executor", "this", "--device", "cpu"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(source), os.environ.get("PYTHONPATH", "")])}
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "pellucid", *arguments],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    said = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{source}: restore ended with {process.returncode}: {said}")
    spent = Spent(time.perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
    return spent, said.strip().splitlines()[-1].partition("  ")[2]


def with_its_own_methods(tree: Path) -> Path:
    """The `src` of a checkout, with its own entry points beside it, which hide those of the installed version."""
    project = tomllib.loads((tree / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    place = tree / "src" / "pellucid-0.dist-info"
    place.mkdir()
    lines = [
        line
        for group, names in project.get("entry-points", {}).items()
        for line in (f"[{group}]", *(f"{name} = {value}" for name, value in names.items()))
    ]
    (place / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
    (place / "METADATA").write_text("Metadata-Version: 2.1\nName: pellucid\nVersion: 0\n", encoding="utf-8")
    return tree / "src"


@contextlib.contextmanager
def checked_out(commit: str) -> Iterator[dict[str, Path]]:
    """The code of this version, and that of another one, if any, in a folder that is removed afterwards."""
    if not commit:
        yield {"this version": _HERE / "src"}
        return
    with tempfile.TemporaryDirectory() as place:
        packed = Path(place) / "tree.tar"
        command = ["git", "-C", str(_HERE), "archive", "-o", str(packed), commit, "src", "pyproject.toml"]
        subprocess.run(command, check=True)
        with tarfile.open(packed) as tar:
            tar.extractall(place, filter="data")
        yield {commit: with_its_own_methods(Path(place)), "this version": _HERE / "src"}


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
    parser.add_argument("--against", metavar="COMMIT", default=LAST, help=f"an older version, {LAST}; '' for none")
    parser.add_argument("--megapixels", type=int, choices=SIZES, action="append", help="all sizes if none is named")
    parser.add_argument("--noisy", type=int, choices=SIZES, default=1, help="megapixels of the noisy photograph")
    parser.add_argument("--side", type=int, help="square pictures of this side, to try the benchmark itself")
    given = parser.parse_args()
    sizes = [(given.side, given.side)] if given.side else [SIZES[n] for n in given.megapixels or SIZES]
    print("| picture | way | wall s | processor s | MiB | PSNR, dB | as fast | said |", flush=True)
    print("|---|---|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as place, checked_out(given.against) as versions:
        damaged, target = Path(place) / "damaged.png", Path(place) / "restored.png"
        for width, height in sizes:
            clean, picture = mosaic(given.folder, width, height), Path(place) / "damaged.jpg"
            clean.save(picture, quality=QUALITY)
            _compare(f"JPEG {QUALITY}, {width}x{height}", picture, target, clean, versions)
        clean = mosaic(given.folder, *([given.side] * 2 if given.side else SIZES[given.noisy]))
        noisy = np.asarray(clean, np.float32) + np.random.default_rng(0).normal(
            0, NOISE, (clean.height, clean.width, 3)
        )
        Image.fromarray(noisy.round().clip(0, 255).astype(np.uint8)).save(damaged)
        kind = f"noise of {NOISE}, {clean.width}x{clean.height}"
        _compare(kind, damaged, target, clean, versions)
        for name, denoise in peers().items():
            image = np.asarray(Image.open(damaged), np.float32)
            # Its share of the peak is unknown: it runs in this process, which has its pictures in memory, too.
            start = time.perf_counter(), time.process_time()
            made = denoise(image)
            took = f"{time.perf_counter() - start[0]:.1f} | {time.process_time() - start[1]:.1f}"
            own = psnr(Image.fromarray(made.round().clip(0, 255).astype(np.uint8)), clean)
            print(f"| | {name} | {took} | - | {own:.2f} | | |", flush=True)


def _compare(kind: str, picture: Path, target: Path, clean: Image.Image, versions: dict[str, Path]) -> None:
    """Prints a line for each version; "as fast" is the ratio of processor time, the first one's over its own."""
    print(f"| {kind} | as it came | | | | {psnr(picture, clean):.2f} | | |")
    first = 0.0
    for name, source in versions.items():
        spent, said = restored(source, picture, target)
        first = first or spent.cpu
        print(f"| | {name} | {spent} | {psnr(target, clean):.2f} | {first / spent.cpu:.2f} | {said} |", flush=True)


if __name__ == "__main__":
    main()
