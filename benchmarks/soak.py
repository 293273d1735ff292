"""A folder of images of every kind, some of them broken, restored by jobs that are killed again and again.

    python -m benchmarks.soak                  # processes on this machine; --executor this for a single one
    python -m benchmarks.soak --executor ray   # two Ray nodes on this machine, one of them taken away in the middle

It makes 500 small images (kinds of colour, depth and format), 40 broken files and 20 duplicates among them, restores
them once undisturbed, and once by jobs that get SIGKILL at random moments, ten times, each gone on with by --resume.
Then it checks that every good image is there exactly once with the bytes of the undisturbed run, that every broken one
is named and has no output, and that nothing else has changed on the disk. It prints what it checked and ends with 1 if
something does not hold.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pellucid.priors.network import DenoisingUNet, UNetConfig
from pellucid.train.export import Origin, write_prior
from pellucid.train.recipe import preset

KINDS = (
    ("L", ".png"),
    ("LA", ".png"),
    ("RGB", ".png"),
    ("RGBA", ".png"),
    ("P", ".png"),
    ("I;16", ".png"),
    ("L", ".jpg"),
    ("RGB", ".jpg"),
    ("RGB", ".webp"),
    ("RGBA", ".webp"),
    ("RGB", ".bmp"),
    ("L", ".tif"),
    ("RGB", ".tif"),
    ("I;16", ".tif"),
)
BROKEN = (b"", b"no image", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"II*\0\xff\xff\xff\xff", b"RIFF\0\0\0\0WEBP")


@dataclass(frozen=True)
class Corpus:
    """What there is to restore.

    Attributes:
        folder: of the images, in folders of their own.
        good: names of those that can be restored, relative to it.
        broken: names of the others.
        prior: folder of a prior that takes milliseconds.
    """

    folder: Path
    good: frozenset[str]
    broken: frozenset[str]
    prior: Path


def corpus(root: Path, number: int, broken: int, duplicates: int) -> Corpus:
    """Makes it; the same for the same numbers."""
    rng = random.Random(0)
    folder = root / "in"
    names: list[str] = []
    for index in range(number - broken - duplicates):
        mode, suffix = KINDS[index % len(KINDS)]
        path = folder / f"{index % 7}" / f"{index:04}-{mode.replace(';', '')}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(index).integers(0, 255, (rng.randint(1, 24), rng.randint(1, 24), 4), np.uint8)
        if mode == "I;16":
            image = Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)
        else:
            image = Image.fromarray(pixels, "RGBA").convert(mode)
        image.save(path)
        names.append(path.relative_to(folder).as_posix())
    for index, name in enumerate(rng.sample(names, duplicates)):
        copy = folder / "copies" / f"{index:04}{Path(name).suffix}"
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes((folder / name).read_bytes())
        names.append(copy.relative_to(folder).as_posix())
    bad = []
    for index in range(broken):
        path = folder / f"{index % 7}" / f"broken-{index:04}{KINDS[index % len(KINDS)][1]}"
        path.write_bytes(BROKEN[index % len(BROKEN)])
        bad.append(path.relative_to(folder).as_posix())
    network = DenoisingUNet(UNetConfig(patch=2, widths=(8, 16), blocks=(1, 1), embedding=8))
    write_prior(root / "prior", network, preset("tiny"), 0, 0, {}, Origin("soak"), None)
    return Corpus(folder, frozenset(names), frozenset(bad), root / "prior")


def command(made: Corpus, out: Path, more: Sequence[str] = ()) -> list[str]:
    return [
        *(sys.executable, "-c", "from pellucid.cli import main\nif __name__ == '__main__': main()", "restore"),
        *(str(made.folder), "-o", str(out), "-p", str(made.prior), "--method", "denoise", *more),
    ]


def job(made: Corpus, out: Path, more: Sequence[str], kill_after: float | None = None) -> tuple[int, str]:
    """Runs the job to its end, or kills it and nobody else; what it says on stderr goes with its exit code."""
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(command(made, out, more), stdout=subprocess.DEVNULL, stderr=said)
        if kill_after is not None:
            lines = len(manifest(out))
            # The moment is counted from the first image on: before, there is nothing to disturb.
            while process.poll() is None and len(manifest(out)) <= lines:
                time.sleep(0.02)
            time.sleep(kill_after)
            process.send_signal(signal.SIGKILL)
        code = process.wait()
        said.seek(0)
        return code, said.read()


def manifest(out: Path) -> list[dict[str, Any]]:
    """The whole lines of a job's manifest."""
    path = out / ".pellucid.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def files(folder: Path) -> dict[str, str]:
    """SHA-256 of all files below a folder."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def outputs(out: Path) -> dict[str, str]:
    return {name: digest for name, digest in files(out).items() if name != ".pellucid.jsonl"}


@contextmanager
def place(executor: str, remove: bool, out: Path, images: int) -> Iterator[list[str]]:
    """The options for an executor; for Ray a cluster of two nodes, one of which goes in the middle."""
    if executor != "ray":
        yield ["--executor", executor, *(["--workers", "2"] if executor == "processes" else [])]
        return
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    other = cluster.add_node(num_cpus=1)
    removed = threading.Event()

    def watch() -> None:
        while not removed.is_set() and len(manifest(out)) < 2 * images // 3:
            time.sleep(0.1)
        if not removed.is_set():
            cluster.remove_node(other)
            removed.set()

    if remove:
        threading.Thread(target=watch, daemon=True).start()
    try:
        yield ["--executor", "ray", "--address", cluster.address]
        if remove:
            print(f"a node was removed in the middle: {'yes' if removed.is_set() else 'NO'}")
    finally:
        removed.set()
        cluster.shutdown()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--broken", type=int, default=40)
    parser.add_argument("--duplicates", type=int, default=20)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--longest", type=float, default=4.0, help="seconds of work before a kill, at most")
    parser.add_argument("--executor", default="processes", choices=("this", "processes", "ray"))
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(soak(Path(folder), arguments))


def soak(root: Path, arguments: argparse.Namespace) -> int:
    made = corpus(root, arguments.images, arguments.broken, arguments.duplicates)
    before = files(root)
    whole, out = root / "whole", root / "out"
    code, _ = job(made, whole, ["--executor", "this"])
    expected, complete = outputs(whole), code == 1

    moments = random.Random(arguments.seed)
    killed = 0
    with place(arguments.executor, True, out, arguments.images) as options:
        for _ in range(arguments.kills):
            code, _ = job(made, out, [*options, "--resume"], moments.uniform(0, arguments.longest))
            killed += code == -signal.SIGKILL
        code, said = job(made, out, [*options, "--resume"])

    found = outputs(out)
    lines = manifest(out)
    done = [line["output"] for line in lines if line["state"] == "done"]
    failed = {line["input"] for line in lines if line["state"] == "failed"}
    after = {name: digest for name, digest in files(root).items() if not name.startswith(("whole/", "out/"))}
    checks = {
        f"the undisturbed run restored {len(made.good)} images": complete and len(expected) == len(made.good),
        f"{arguments.kills} runs were killed ({killed} before their end)": killed > 0 or not arguments.kills,
        "the last run ended by itself and says that some failed": code == 1,
        f"every good image is there, once, and nothing else ({len(found)} files)": len(found) == len(made.good)
        and {str(Path(name).with_suffix("")) for name in found} == {str(Path(n).with_suffix("")) for n in made.good},
        "all have the bytes of the undisturbed run": found == expected,
        "every good image is written down as done": set(done) >= set(expected),
        f"all {len(made.broken)} broken files are written down as failed, and no other": failed == made.broken,
        "the last run names all of them": all(name in said for name in made.broken),
        "inputs and all other files are as they were": after == before,
    }
    for check, holds in checks.items():
        print(f"{'ok ' if holds else 'NOT'} {check}")
    print(f"{len(done) - len(set(done))} of {len(set(done))} images were done more than once, to the same bytes")
    if not all(checks.values()):
        print(said)
        return 1
    return 0


if __name__ == "__main__":
    main()
