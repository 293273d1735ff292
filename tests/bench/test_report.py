from __future__ import annotations

import base64
import html
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from pellucid.bench import report
from pellucid.bench.run_table import Run, run

Job = Callable[..., Run]


class Page(HTMLParser):
    """What a page refers to, its pictures and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.references: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.tags: list[str] = []
        self.said = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        own = dict(attrs)
        self.references += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "poster", "data")]
        if tag == "img":
            self.images.append(own)

    def handle_data(self, data: str) -> None:
        self.said += data


@pytest.fixture
def page(tiny_job: Job, tmp_path: Path) -> str:
    job = tiny_job(tmp_path)
    path = tmp_path / "report.html"
    report.write([report.Result(job, "a <prior>", list(run(job)))], path)
    return path.read_text()


def test_it_loads_nothing(page: str) -> None:
    found = Page(page)
    assert found.references
    assert all(one.startswith(("data:", "#")) for one in found.references)
    plain = re.sub(r"data:image/png;base64,[^\"]*", "", page)  # whose letters may spell anything
    assert not re.search(r"https?:|//[a-z]|@import|url\(|fetch\(|XMLHttpRequest|import\(", plain)
    assert "link" in found.tags  # an empty icon, or browsers ask for one
    assert page.count("<script") == 1


def test_names_are_text_and_no_markup(page: str) -> None:
    found = Page(page)
    assert "A <b>table</b> & more" in found.said
    assert "a <prior>" in found.said
    assert "i" not in found.tags  # an image is called a<i>.png
    assert "a<i>.png, Ours" in [image["alt"] for image in found.images]


def test_pictures_are_inside_with_what_they_are(page: str) -> None:
    images = Page(page).images
    # Damaged, one method, truth; damaged, two methods, truth; of two photographs each. DreamClean's latents in both.
    assert len(images) == 16
    assert sum((image["alt"] or "").startswith("latents of") for image in images) == 2
    for image in images:
        kind, data = (image["src"] or "").split(",")
        assert kind == "data:image/png;base64"
        assert base64.b64decode(data).startswith(b"\x89PNG")
        assert image["alt"]


def test_the_table_and_its_order_are_told(page: str) -> None:
    said = Page(page).said
    assert "[30]" in said  # the paper's figure, and no difference to other images
    assert re.search(r"half, PSNR: DDRM better than damaged: (holds|does not hold|not decided)", said)
    assert "--weights fbcnn=FILE" in said
    assert "lpips needs" in said
    assert "the paper's procedure, not its figures" in said
    # Of both tasks, the way to the result, and how probable DreamClean's latents became.
    assert page.count("<svg") == 6
    assert "log-probability" in said


def test_on_the_papers_own_images_the_difference_is_told(tiny_job: Job, tmp_path: Path) -> None:
    job = tiny_job(tmp_path)
    job = tiny_job(tmp_path, source=job.table.data[0])
    result = report.Result(job, "natural", list(run(job)))
    (line,) = (line for line in result.lines if (line.task, line.method) == ("noise", "Ours"))
    path = tmp_path / "report.html"
    report.write([result], path)
    assert f"[30, {line.cells['psnr'].mean - 30:+.2f}]" in Page(path.read_text()).said


def test_what_is_no_papers_is_not_called_so(page: str, tiny_job: Job, tmp_path: Path) -> None:
    assert "the papers' tables" in Page(page).said
    assert "The paper's order" in Page(page).said
    job = tiny_job(tmp_path)
    job = replace(job, table=replace(job.table, published=()))
    path = tmp_path / "own.html"
    report.write([report.Result(job, "natural", list(run(job)))], path)
    assert "paper's order" not in Page(path.read_text()).said
    assert "papers' tables" not in Page(path.read_text()).said
    assert "Protocol of the paper" not in Page(path.read_text()).said


def asked_for(page: str, folder: Path) -> list[str]:
    """What a browser loads beside the page itself."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("needs Chromium")
    listing = (
        "onload = () => { document.title = 'ASKED ' + JSON.stringify(performance.getEntries().map((e) => e.name)); }"
    )
    path = folder / "watched.html"
    path.write_text(page.replace("</body>", f"<script>{listing}</script></body>"))
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    flags += ["--disable-component-update", "--disable-sync", "--disable-quic", f"--user-data-dir={folder / 'profile'}"]
    command = [browser, *flags, "--virtual-time-budget=5000", "--dump-dom", str(path)]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    found = re.search(r"<title>ASKED (.*?)</title>", dom)
    assert found
    return [name for name in json.loads(html.unescape(found[1])) if name.startswith(("http:", "https:", "ws:"))]


def test_an_image_that_was_not_harmed_has_no_height_to_draw(tiny_job: Job, tmp_path: Path) -> None:
    job = tiny_job(tmp_path)
    whole = replace(job.table.tasks[0], damage={"name": "noise", "sigma": 0.0})
    job = tiny_job(tmp_path, table=replace(job.table, tasks=(whole,)), chosen=("Ours",))
    report.write([report.Result(job, "natural", list(run(job)))], tmp_path / "report.html")
    assert "<svg" in (tmp_path / "report.html").read_text()


@pytest.mark.slow
def test_a_browser_asks_nobody(page: str, tmp_path: Path) -> None:
    assert asked_for(page, tmp_path) == []
    # Such a picture would have been seen.
    outside = "http://localhost:1/a.png"
    free = re.sub(r"<meta http-equiv=.*?>", "", page)
    assert free != page
    assert asked_for(free.replace("</main>", f'<img src="{outside}"></main>'), tmp_path) == [outside]
