"""How long a person waits on the web page, and on the command line: from the press to the result.

    python -m benchmarks.app src/pellucid/assets/cat.png --runs 3

The command line starts anew each time, as it does for people; the page's server has started, as it has for people. The
page's time is from the press of Restore to the moment that its link for downloading is there.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from playwright.sync_api import sync_playwright

PELLUCID = Path(sys.executable).with_name("pellucid")


def command(photo: Path, folder: Path) -> float:
    start = time.perf_counter()
    subprocess.run(
        [PELLUCID, "restore", photo, "-o", folder / "out.png", "--overwrite"],
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    return time.perf_counter() - start


def page(photo: Path, address: str, browser: str) -> float:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox", "--disable-gpu"])
        view = opened.new_page()
        view.set_default_timeout(300_000)
        view.goto(address)
        view.get_by_role("button", name="Restore", exact=True).wait_for()
        view.set_input_files("#pellucid-upload input[type=file]", photo)
        view.get_by_role("button", name=f"Show {photo.name}").wait_for()
        start = time.perf_counter()
        view.get_by_role("button", name="Restore", exact=True).click()
        view.locator("#pellucid-download a").wait_for()
        seconds = time.perf_counter() - start
        opened.close()
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photo", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--browser", default="/usr/bin/chromium")
    arguments = parser.parse_args()
    served: list[str | Path] = [PELLUCID, "app", "--port", "0", "--no-open"]
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(served, stderr=subprocess.PIPE, text=True) as server,
    ):
        assert server.stderr is not None
        address = next(word for word in server.stderr.readline().split() if word.startswith("http"))
        try:
            # One after the other, so that both meet the same machine.
            times = [
                (command(arguments.photo, Path(folder)), page(arguments.photo, address, arguments.browser))
                for _ in range(arguments.runs)
            ]
        finally:
            server.terminate()
    for by, seconds in zip(("command line", "page"), zip(*times, strict=True), strict=True):
        print(f"{by}: median {median(seconds):.1f} s of {', '.join(f'{one:.1f}' for one in seconds)}")


if __name__ == "__main__":
    main()
