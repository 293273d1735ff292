"""How long a person waits on the web page: for a restoration, beside the command line, and for a diagnosis.

    python -m benchmarks.app src/pellucid/assets/cat.png --runs 3

The command line starts anew each time, as it does for people; the page's server has started, as it has for people. The
page's time is from the press of Restore, as soon as the picture is there, to the moment that its link for downloading
is. The large picture is the same photograph with 12 megapixels and grain, as a JPEG file; its time is from the moment
that it is chosen. Beside the seconds that pass stand those that processors worked on pellucid, which other programs
change less.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

PELLUCID = Path(sys.executable).with_name("pellucid")
LARGE = 4000, 3000


class Took(NamedTuple):
    """Seconds that passed, and those that processors worked."""

    passed: float
    worked: float


def command(photo: Path, folder: Path) -> Took:
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [PELLUCID, "restore", photo, "-o", folder / "out.png", "--overwrite"],
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Took(time.perf_counter() - start, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def _worked(server: int) -> float:
    """Seconds of a process and of its children."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if server in (int(stat.parent.name), int(fields[1])):
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _opened(browser: Browser, address: str) -> Page:
    view = browser.new_page()
    view.set_default_timeout(300_000)
    view.goto(address)
    view.get_by_role("button", name="Restore", exact=True).wait_for()
    return view


def restoration(photo: Path, address: str, browser: Browser, server: int) -> Took:
    view = _opened(browser, address)
    view.set_input_files("#pellucid-upload input[type=file]", photo)
    view.get_by_role("button", name=f"Show {photo.name}").wait_for()
    start, before = time.perf_counter(), _worked(server)
    view.get_by_role("button", name="Restore", exact=True).click()
    view.locator("#pellucid-download a").wait_for()
    took = Took(time.perf_counter() - start, _worked(server) - before)
    view.close()
    return took


def diagnosis(photo: Path, address: str, browser: Browser, server: int) -> Took:
    view = _opened(browser, address)
    start, before = time.perf_counter(), _worked(server)
    view.set_input_files("#pellucid-upload input[type=file]", photo)
    view.locator(".pv-row[data-state=ready]").wait_for()
    took = Took(time.perf_counter() - start, _worked(server) - before)
    print(f"found: {view.locator('.pv-words').inner_text()}")
    view.close()
    return took


def large(photo: Path, folder: Path) -> Path:
    with Image.open(photo) as image:
        pixels = np.asarray(image.convert("RGB").resize(LARGE, Image.Resampling.BICUBIC), np.float32)
    grain = np.random.default_rng(0).normal(0, 8, pixels.shape)
    path = folder / "large.jpg"
    Image.fromarray((pixels + grain).clip(0, 255).astype(np.uint8)).save(path, quality=92)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--browser", default="/usr/bin/chromium")
    arguments = parser.parse_args()
    served: list[str | Path] = [PELLUCID, "app", "--port", "0", "--no-open"]
    rows: dict[str, list[Took]] = {"command line": [], "page": [], "diagnosis of 12 megapixels": []}
    with (
        tempfile.TemporaryDirectory() as name,
        subprocess.Popen(served, stderr=subprocess.PIPE, text=True) as server,
        sync_playwright() as playwright,
    ):
        assert server.stderr is not None
        folder, photo = Path(name), arguments.photo
        address = next(word for word in server.stderr.readline().split() if word.startswith("http"))
        browser = playwright.chromium.launch(executable_path=arguments.browser, args=["--no-sandbox", "--disable-gpu"])
        try:
            # One after the other, so that all meet the same machine.
            for _ in range(arguments.runs):
                rows["command line"].append(command(photo, folder))
                rows["page"].append(restoration(photo, address, browser, server.pid))
                rows["diagnosis of 12 megapixels"].append(diagnosis(large(photo, folder), address, browser, server.pid))
        finally:
            browser.close()
            server.terminate()
    middle = {name: Took(*map(median, zip(*took, strict=True))) for name, took in rows.items()}
    for name, took in middle.items():
        print(f"{name}: {took.passed:.1f} s, of work {took.worked:.1f} s")
    ratio = Took(*(page / line for page, line in zip(middle["page"], middle["command line"], strict=True)))
    print(f"page / command line: {ratio.passed:.2f}, of work {ratio.worked:.2f}")


if __name__ == "__main__":
    main()
