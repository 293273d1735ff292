"""The page in a browser, as people use it.

With PELLUCID_SCREENSHOTS=1 the embedded prior restores, and docs/app*.png are written anew.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import ZipFile

import numpy as np
import PIL.Image
import pytest
from torch import Tensor

from pellucid import images
from pellucid.degradations import gaussian_noise
from pellucid.maths.problem import to_unit

from .conftest import Served

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page, Route

CHROMIUM = shutil.which("chromium")
MISSING = [name for name in ("gradio", "playwright", "axe_playwright_python") if find_spec(name) is None]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs a browser: apt-get install chromium"),
    pytest.mark.skipif(bool(MISSING), reason=f'needs {", ".join(MISSING)}: pip install "pellucid[dev]"'),
]
ASSETS = Path(images.__file__).parents[1] / "assets"
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)
WANTED = bool(os.environ.get("PELLUCID_SCREENSHOTS"))
PATIENCE = 600_000 if WANTED else 180_000
"""Milliseconds that a busy machine is given; none of them are waited for on an idle one."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS.split())
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser that has read the page's scripts; each of its tabs is somebody else to the page."""
    # Without motion: colours on their way from one to another have no contrast to be measured.
    with browser.new_context(
        viewport={"width": 1440, "height": 900}, accept_downloads=True, reduced_motion="reduce"
    ) as context:
        yield context


@pytest.fixture
def visit(context: BrowserContext, local: Served) -> Iterator[Callable[[], Page]]:
    """Opens the page as one more person; at the end nothing went wrong in it, and nobody else was asked."""
    pages = []
    wrong: list[str] = []

    def opened() -> Page:
        page = context.new_page()
        pages.append(page)
        page.set_default_timeout(PATIENCE)
        page.on("request", lambda request: _ours(request.url, local.address, wrong))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
        page.goto(local.address)
        page.get_by_role("button", name="Restore", exact=True).wait_for()
        page.get_by_role("button", name=re.compile("Drop photographs here")).wait_for()
        return page

    yield opened
    for page in pages:
        page.close()
    assert wrong == []
    assert local.notes.read_text() == ""


def _ours(url: str, address: str, wrong: list[str]) -> None:
    if not url.startswith((address, "data:", "blob:")):
        wrong.append(url)


@pytest.fixture
def page(visit: Callable[[], Page]) -> Page:
    return visit()


def hand_over(page: Page, *files: Path) -> None:
    page.set_input_files("#pellucid-upload input[type=file]", files)
    page.get_by_role("button", name=f"Show {files[-1].name}").wait_for()


def show(page: Page, name: str) -> None:
    """Looks at another picture."""
    page.get_by_role("button", name=f"Show {name}").click()
    page.wait_for_function("(name) => document.querySelector('[aria-current=true]').title === name", arg=name)


def restore(page: Page) -> None:
    page.locator("#pellucid-run").click()


# Two frames after a panel's controls are there, gradio writes into them what they held at first.
DRAWN = "async () => { for (let frame = 0; frame < 4; frame++) await new Promise(requestAnimationFrame); }"


def advanced(page: Page, panel: str = "Method") -> None:
    """Opens a panel of the fold, and waits until it keeps what is typed: see `DRAWN`."""
    tab = page.get_by_role("tab", name=panel, exact=True)
    if not tab.is_visible():
        page.get_by_role("button", name="Advanced").click()
    tab.click()
    page.locator("#pellucid-advanced [role=tabpanel] input:visible").first.wait_for()
    page.evaluate(DRAWN)


def damage(page: Page, name: str) -> None:
    """Says what the damage is."""
    advanced(page, "Damage")
    page.get_by_label("The damage", exact=True).click()
    page.get_by_role("option", name=re.compile(rf"\({name}\)$")).click()


def stepwise(page: Page, steps: int = 3) -> None:
    """Chooses what goes on in a few steps; a picture named "held..." stays in its first until it is stopped."""
    advanced(page)
    page.get_by_label("Strength").fill("1000")
    page.get_by_label("Steps").fill(str(steps))


@contextmanager
def reloading(local: Served) -> Iterator[None]:
    """Lets the server wait for a page to come back, however long that takes."""
    note = local.notes.with_name("reloading")
    note.touch()
    try:
        yield
    finally:
        note.unlink()


def download(page: Page, words: str | re.Pattern[str]) -> Path:
    with page.expect_download() as begun:
        page.get_by_role("link", name=words).click()
    return begun.value.path()


def _png(path: Path) -> Path:
    return path.rename(path.with_suffix(".png"))


# A page that loaded itself anew has not been there for long.
INSTEAD = """() => JSON.stringify({
  status: document.querySelector("#pellucid-status").innerText,
  fields: [...document.querySelectorAll("#pellucid-advanced label")].map((one) => one.innerText + ": " +
    [...one.querySelectorAll("input, textarea")].map((field) => field.value)),
  seconds: performance.now() / 1000,
})"""


def complaint(page: Page, local: Served, begins: str) -> str:
    """The message that begins so, which is in the page's words and names no place on the machine."""
    from playwright.sync_api import TimeoutError as LateError

    alert = page.get_by_role("alert").filter(has_text=re.compile(rf"^\s*{re.escape(begins)}"))
    try:
        alert.wait_for()
    except LateError as error:
        raise AssertionError(f"no message {begins!r}, instead {page.evaluate(INSTEAD)}") from error
    said = alert.inner_text()
    assert not [word for word in (str(local.folder), "/tmp", "--", "pip install", "Python") if word in said]
    return said


def flaws(page: Page) -> str:
    """What axe finds once nothing on the page is still loading."""
    from axe_playwright_python.sync_playwright import Axe

    page.wait_for_function("![...document.querySelectorAll('p.loading')].some((one) => one.checkVisibility())")
    found = Axe().run(page).response["violations"]
    return json.dumps([(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in found], indent=1)


def small(folder: Path, *names: str, side: int = 64) -> list[Path]:
    """Pictures of which it is found out at once what is wrong with them."""
    for name in names:
        images.write(images.from_array(images.read(ASSETS / "cat.png").colour[:side, :side]), folder / name)
    return [folder / name for name in names]


def looked(page: Page) -> None:
    """Waits until it is said of all pictures what is wrong with them."""
    page.wait_for_function("![...document.querySelectorAll('.pv-row')].some((row) => row.dataset.state === 'looking')")


def states(page: Page, *wanted: str) -> None:
    """Waits until the pictures are in these states."""
    shown = "JSON.stringify([...document.querySelectorAll('.pv-row')].map((row) => row.dataset.state))"
    page.wait_for_function(f"(wanted) => {shown} === wanted", arg=json.dumps(wanted, separators=(",", ":")))


def stroke(page: Page, down: float = 0.5) -> None:
    """Paints a short line, so far down the picture."""
    page.locator(".pv-stage").scroll_into_view_if_needed()
    image = page.locator(".pv-before img").bounding_box()
    assert image is not None
    page.mouse.move(image["x"] + 0.4 * image["width"], image["y"] + down * image["height"])
    page.mouse.down()
    page.mouse.move(image["x"] + 0.6 * image["width"], image["y"] + down * image["height"])
    page.mouse.up()


FILLABLE = "!document.querySelector('.pv-fill').disabled"


def test_one_picture_from_the_keyboard_to_its_download(page: Page, local: Served, tmp_path: Path) -> None:
    (photo,) = small(tmp_path, "cat.png", side=96)
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name=re.compile("Drop photographs here")).focus()
        page.keyboard.press("Enter")
    chooser.value.set_files(photo)
    page.get_by_role("button", name="Show cat.png").wait_for()
    looked(page)
    reached = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        said = page.evaluate("document.activeElement.ariaLabel || document.activeElement.innerText || ''")
        reached.add(said.strip().partition("\n")[0])
    wanted = {"Restore", "Zoom in", "Show cat.png", "Remove cat.png", "Try this part", "Erase something"}
    assert wanted | {"Advanced, for all pictures"} <= reached
    assert [said for said in reached if said.startswith("Fill scratches")]
    page.get_by_role("button", name="Restore", exact=True).focus()
    page.keyboard.press("Enter")
    page.get_by_text("1 of 1 done").wait_for()
    restored = images.read(_png(download(page, "Download cat-restored.png")))
    assert restored.colour.shape == (96, 96, 3)
    # The slider, by keyboard and by hand; the original is there as long as its key or its button is held.
    slider = page.get_by_label(re.compile("^Before and after"))
    after = page.locator(".pv-after")
    assert "50%" in str(after.get_attribute("style"))
    slider.focus()
    page.keyboard.press("Home")
    assert " 0%" in str(after.get_attribute("style"))
    page.keyboard.down("o")
    assert " 100%" in str(after.get_attribute("style"))
    page.keyboard.up("o")
    assert " 0%" in str(after.get_attribute("style"))
    page.get_by_role("button", name="Hold for original").hover()
    page.mouse.down()
    assert " 100%" in str(after.get_attribute("style"))
    page.mouse.up()
    slider.fill("50")
    box = page.locator(".pv-stage").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 20)
    page.mouse.up()
    assert float(slider.input_value()) == pytest.approx(25, abs=2)
    width = page.locator(".pv-before img").bounding_box()
    page.locator(".pv-stage").focus()
    page.keyboard.press("+")
    zoomed = page.locator(".pv-before img").bounding_box()
    assert width is not None
    assert zoomed is not None
    assert zoomed["width"] == pytest.approx(1.25 * width["width"], rel=0.01)
    page.get_by_role("button", name="1:1").click()
    assert page.get_by_label("Zoom", exact=True).inner_text() == "100 %"
    page.get_by_role("button", name="Undo", exact=True).click()
    page.get_by_text("1 picture ready").wait_for()
    page.get_by_role("link", name=re.compile("Download")).wait_for(state="detached")
    # A part, and methods beside each other.
    page.get_by_role("button", name="Try this part").click()
    page.get_by_text("This is what would come of this part").wait_for()
    assert page.get_by_role("link", name=re.compile("Download")).count() == 0
    advanced(page, "Research")
    for name in ("auto", "denoise"):
        page.get_by_label("Compare").click()
        page.get_by_role("option", name=name, exact=True).click()
    page.keyboard.press("Escape")
    restore(page)
    page.get_by_role("link", name="Download denoise").wait_for()
    assert page.locator(".pv-cell").count() == 3
    advanced(page)
    page.get_by_label("Steps").fill("many")
    restore(page)
    complaint(page, local, "steps must")


def test_many_pictures_come_by_all_ways_and_become_a_zip(page: Page, local: Served, tmp_path: Path) -> None:
    (tmp_path / "evil<b>.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(99))
    cat, coffee = small(tmp_path, "cat.png", 'my "coffee".png')
    hand_over(page, cat, tmp_path / "evil<b>.png", coffee)
    complaint(page, local, "evil<b>.png: ")
    assert page.get_by_role("alert").locator("li").count() == 1
    for event, kind, key, name in (
        ("paste", "ClipboardEvent", "clipboardData", "pasted.png"),
        ("drop", "DragEvent", "dataTransfer", "dropped.png"),
    ):
        page.evaluate(
            """([data, event, kind, key, name]) => {
              const all = new DataTransfer();
              all.items.add(new File([new Uint8Array(data)], name, { type: "image/png" }));
              document.body.dispatchEvent(new window[kind](event, { [key]: all, bubbles: true, cancelable: true }));
            }""",
            [list(cat.read_bytes()), event, kind, key, name],
        )
        page.get_by_role("button", name=f"Show {name}").wait_for()
    page.get_by_role("button", name="Restore all 4").click()
    page.get_by_text("4 of 4 done").wait_for()
    with ZipFile(download(page, "Download all 4 as a zip")) as archive:
        assert archive.namelist()[:2] == ["cat-restored.png", 'my "coffee"-restored.png']
    page.get_by_role("button", name="Remove cat.png").click()
    page.get_by_role("button", name="Show cat.png").wait_for(state="detached")


def test_two_people_wait_and_a_job_survives_a_reload(visit: Callable[[], Page], local: Served, tmp_path: Path) -> None:
    first, second = visit(), visit()
    held, photo = small(tmp_path, "held.png", "cat.png")
    hand_over(first, held)
    hand_over(second, photo)
    stepwise(first)
    restore(first)
    first.get_by_text("So far").first.wait_for()
    # How many evaluations of this many steps there are at most is known, and no more.
    first.get_by_text(re.compile(r"held\.png · \d+% · up to .* left")).wait_for()
    with reloading(local):
        first.reload()
        first.get_by_role("button", name="Show held.png").wait_for()
        states(first, "running")
        restore(second)
        second.get_by_text("In the queue: 1 job comes before yours.").wait_for()
    # A page that is closed stops its job.
    first.close()
    second.get_by_text("1 of 1 done").wait_for()


def test_two_pictures_have_two_masks(page: Page, local: Served, tmp_path: Path) -> None:
    cat, coffee = small(tmp_path, "cat.png", "coffee.png")
    fill = page.get_by_role("button", name="Fill in")
    # A mask goes with its picture: one of another size has none.
    hand_over(page, *small(tmp_path, "gone.png", side=40))
    page.get_by_role("button", name="Erase something").click()
    page.get_by_text("Paint over what is to go, then press Fill in.").wait_for()
    stroke(page)
    page.wait_for_function(FILLABLE)
    page.get_by_role("button", name="Remove gone.png").click()
    page.get_by_role("button", name="Show gone.png").wait_for(state="detached")
    hand_over(page, cat, coffee)
    looked(page)
    show(page, "cat.png")
    page.get_by_role("button", name="Paint", exact=True).wait_for(state="hidden")
    # What was found out leads to a result in one press, for the picture that is looked at alone.
    page.get_by_role("button", name=re.compile("^Clean")).click()
    page.get_by_text("1 of 1 done").wait_for()
    page.get_by_role("row", name=re.compile("coffee.png.*ready")).wait_for()
    # With a result shown, something can be erased.
    page.get_by_role("button", name="Erase something").click()
    page.get_by_role("button", name="Paint", exact=True).wait_for()
    assert fill.is_disabled()
    stroke(page)
    page.wait_for_function(FILLABLE)
    page.get_by_role("button", name="Undo stroke").click()
    page.wait_for_function(FILLABLE.replace("!", ""))
    stroke(page, 0.25)
    page.wait_for_function(FILLABLE)
    # The other picture has neither the mask nor the brush.
    show(page, "coffee.png")
    page.get_by_role("button", name="Paint", exact=True).wait_for(state="hidden")
    damage(page, "inpaint")
    page.get_by_role("button", name="Paint", exact=True).wait_for()
    assert fill.is_disabled()
    stroke(page, 0.75)
    page.wait_for_function(FILLABLE)
    # Where the painting ended, one dot more by keyboard.
    page.locator(".pv-stage").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press(" ")
    advanced(page)
    page.get_by_label("Steps").fill("20")
    advanced(page, "Damage")
    page.get_by_label("Known pixels stay as they are, to the bit").check()
    page.get_by_role("button", name="As a command or in Python").click()
    page.get_by_label("Command").get_by_text(re.compile("--task inpaint --mask mask.png .*--exact")).wait_for()
    page.get_by_role("button", name="Copy Command").click()
    page.get_by_role("button", name="Copied Command").wait_for()
    lower = images.read(_png(download(page, "Download the mask"))).colour[..., 0] > 0
    assert lower[48, 32]
    assert not lower[:38].any()
    restore(page)
    page.get_by_text("2 of 2 done").wait_for()
    with ZipFile(download(page, "Download all 2 as a zip")) as archive:
        archive.extractall(tmp_path)
    before = images.read(cat).colour
    changed = {name: (images.read(tmp_path / f"{name}-restored.png").colour != before).any(2) for name in
               ("cat", "coffee")}  # fmt: skip
    assert changed["coffee"].any()
    assert not changed["coffee"][~lower].any()
    assert changed["cat"].any()
    assert not changed["cat"][28:].any()


def test_scratches_are_looked_at_before_they_are_filled(page: Page, tmp_path: Path) -> None:
    colour = images.read(ASSETS / "cat.png").colour[:128, :128] // 2
    colour[10:118, 64:66] = 255
    images.write(images.from_array(colour), tmp_path / "print.png")
    hand_over(page, tmp_path / "print.png")
    page.get_by_role("button", name=re.compile("^Fill scratches")).click()
    page.get_by_text("Marked is what may be a scratch.").wait_for()
    marked = """() => {
      const canvas = document.querySelector(".pv-mask canvas");
      const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
      return data.filter((value, i) => i % 4 === 3 && value > 127).length;
    }"""
    page.wait_for_function(f"({marked})() > 100")
    proposed = page.evaluate(marked)
    # Corrected by the brush, by the eraser, and back.
    page.get_by_role("button", name="Wipe away").click()
    stroke(page)
    wiped = page.evaluate(marked)
    assert wiped < proposed
    page.get_by_role("button", name="Undo stroke").click()
    assert page.evaluate(marked) == proposed
    page.get_by_role("button", name="Paint", exact=True).click()
    stroke(page, 0.8)
    assert page.evaluate(marked) > proposed
    # All of it is what is filled.
    page.wait_for_function("!document.querySelector('.pv-fill').disabled")
    page.get_by_role("button", name="Fill in").click()
    page.get_by_text("1 of 1 done").wait_for()
    restored = images.read(_png(download(page, "Download print-restored.png"))).colour
    changed = (restored != colour).any(2)
    assert changed[20:110, 64].mean() > 0.9
    assert changed[100:105, 52:60].mean() > 0.9
    # Nothing else is touched.
    assert not changed[:, :45].any()


def test_what_does_not_work_is_said_and_the_rest_goes_on(page: Page, local: Served, tmp_path: Path) -> None:
    (tmp_path / "huge.jpg").write_bytes(bytes(1_200_000))
    files = [tmp_path / "huge.jpg", *small(tmp_path, "cat.png")]
    if find_spec("pillow_heif"):
        images.write(images.from_array(np.full((16, 16, 3), 120, np.uint8)), tmp_path / "phone.heic")
        files.append(tmp_path / "phone.heic")
    hand_over(page, *files)
    told = "huge.jpg: has 1.2 MB, more than the 1 allowed here"
    assert complaint(page, local, told) == told
    alert = page.get_by_role("alert")
    looked(page)
    states(page, *["ready"] * (len(files) - 1))  # without the one that is too large
    if len(files) > 2:
        show(page, "phone.heic")
        page.get_by_role("button", name=re.compile("^Clean")).click()
        states(page, "ready", "left")
        page.get_by_role("link", name="Download phone-restored.heic").wait_for()
        page.get_by_role("button", name="Remove phone.heic").click()
        page.get_by_role("button", name="Show phone.heic").wait_for(state="detached")
    # Pressed at once: the message is that of the press, and none of what was done before.
    damage(page, "hdr")
    restore(page)
    told = complaint(page, local, "One picture is made of several exposures")
    assert "huge.jpg" not in told
    assert "Details" not in page.locator("#pellucid-status").inner_text()
    damage(page, "denoise")
    alert.wait_for(state="detached")


def test_a_batch_of_seven_is_stopped(page: Page, tmp_path: Path) -> None:
    names = ["0.png", "1.png", "held.png", "3.png", "4.png", "5.png", "6.png"]
    hand_over(page, *small(tmp_path, *names, side=16))
    stepwise(page)
    restore(page)
    states(page, "done", "done", "running", *["waiting"] * 4)
    page.get_by_text("So far").first.wait_for()
    assert flaws(page) == "[]"
    page.get_by_role("button", name="Stop").click()
    page.get_by_text("Stopped. What was finished is kept: 2 of 7.").wait_for()
    states(page, *["done"] * 2, *["stopped"] * 5)
    page.get_by_text("6.png: is not in it, it was not done").wait_for()
    assert flaws(page) == "[]"


def test_labels_and_contrast(page: Page, local: Served, tmp_path: Path) -> None:
    assert flaws(page) == "[]"
    (tmp_path / "text.png").write_text("no picture")
    (photo,) = small(tmp_path, "cat.png")
    page.set_input_files("#pellucid-upload input[type=file]", [photo, tmp_path / "text.png"])
    complaint(page, local, "text.png: ")
    looked(page)
    assert flaws(page) == "[]"
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    page.reload()
    page.get_by_role("button", name="Show cat.png").wait_for()
    restore(page)
    page.get_by_text("1 of 1 done").wait_for()
    assert flaws(page) == "[]"
    page.get_by_role("button", name="Undo", exact=True).click()
    damage(page, "inpaint")
    page.get_by_role("button", name="Paint", exact=True).wait_for()
    advanced(page)
    page.get_by_label("Steps").fill("many")
    restore(page)
    complaint(page, local, "steps must")
    page.get_by_label("Steps").fill("")
    page.get_by_role("button", name="As a command or in Python").click()
    page.get_by_label("Command").locator("pre").wait_for()
    assert flaws(page) == "[]"
    # In the light again: the fold is open, and so is each of its panels.
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    page.reload()
    page.get_by_role("button", name="Show cat.png").wait_for()
    advanced(page, "Research")
    assert flaws(page) == "[]"


def test_on_a_phone_everything_is_in_reach_of_a_thumb(browser: Browser, local: Served, tmp_path: Path) -> None:
    with browser.new_context(
        viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, reduced_motion="reduce"
    ) as context:
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(local.address)
        page.get_by_role("button", name=re.compile("Choose photographs from the camera roll")).wait_for()
        assert flaws(page) == "[]"
        (photo,) = small(tmp_path, "cat.png", side=256 if WANTED else 64)
        if WANTED:
            noisy = gaussian_noise(images.read(photo).tensor(), 15 / 255, 0).clamp(0, 1)
            images.write(images.from_tensor(noisy), photo)
        hand_over(page, photo)
        looked(page)
        box = page.get_by_role("button", name="Restore", exact=True).bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= 844
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.get_by_role("button", name="Erase something").click()
        page.get_by_role("button", name="Paint", exact=True).wait_for()
        letters = "[...document.querySelectorAll('#pellucid-side input')].map((one) => getComputedStyle(one).fontSize)"
        assert set(page.evaluate(letters)) == {"16px"}
        low = page.evaluate(
            """() => [...document.querySelectorAll("button, input[type=range], a, summary, label.pellucid-add")]
              .filter((node) => node.checkVisibility() && node.getBoundingClientRect().height
                && node.getBoundingClientRect().height < 44)
              .map((node) => node.outerHTML.slice(0, 120) + node.getBoundingClientRect().height)"""
        )
        assert "\n".join(low) == ""
        assert flaws(page) == "[]"
        page.get_by_role("button", name="Erase something").click()
        page.get_by_role("button", name="Paint", exact=True).wait_for(state="hidden")
        # What is wrong comes into view, above the buttons at the lower edge.
        advanced(page)
        page.get_by_label("Steps").fill("many")
        page.evaluate("scrollTo(0, 0)")
        restore(page)
        complaint(page, local, "steps must")
        page.wait_for_function(
            """() => {
              const alert = document.querySelector("[role=alert]").getBoundingClientRect();
              return alert.top >= 0 && alert.bottom <= document.querySelector("#pellucid-actions").offsetTop;
            }"""
        )
        page.reload()
        page.get_by_role("button", name="Show cat.png").wait_for()
        page.evaluate("scrollTo(0, 0)")
        picture(page, "app-phone.png", (844, 390))


def test_pictures_of_the_page_for_its_docs(page: Page, bundled: dict[str, Tensor], tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("cat.png", "eye.jpg", "coffee.png")]
    clean = {name: to_unit(image)[..., 64:192, 64:192] for name, image in bundled.items()}
    if WANTED:
        clean["coffee"] = to_unit(bundled["coffee"])
    images.write(images.from_tensor(gaussian_noise(clean["cat"], 12 / 255, 0).clamp(0, 1)), files[0])
    images.to_pil(images.from_tensor(clean["cat"].flip(-1))).save(files[1], quality=20)
    images.write(images.from_tensor(gaussian_noise(clean["coffee"], 25 / 255, 1).clamp(0, 1)), files[2])
    hand_over(page, *files)
    show(page, "coffee.png")
    looked(page)
    page.evaluate("scrollTo(0, 0)")
    picture(page, "app.png", (900, 1440))
    restore(page)
    page.get_by_text("3 of 3 done").wait_for()
    page.get_by_role("heading", name="pellucid").hover()
    picture(page, "app-batch.png", (None, 1440))


def picture(page: Page, name: str, size: tuple[int | None, int]) -> None:
    """Takes a picture of the page, of all of it if it may have any height; for its docs if that is wanted."""
    height, width = size
    path = Path(__file__).parents[2] / "docs" / name if WANTED else None
    taken = PIL.Image.open(io.BytesIO(page.screenshot(path=path, full_page=height is None)))
    assert taken.size == (width, height or taken.height)


@contextmanager
def unanswered(page: Page) -> Iterator[None]:
    """Lets no call of the page be answered as long as the block lasts."""
    held: list[Route] = []
    waits = True
    page.route("**/run/**", lambda route: held.append(route) if waits else route.continue_())
    yield
    waits = False
    for route in held:
        route.continue_()


# What comes of an answer takes its time after its head; it is noted how often another call begins meanwhile.
LATE = """() => {
  const send = window.fetch;
  window.overtaken = window.coming = 0;
  window.fetch = async (address, options) => {
    if (!String(address).includes("/run/")) return send(address, options);
    if (window.coming) window.overtaken++;
    const answer = await send(address, options), content = await answer.arrayBuffer();
    window.coming++;
    const body = new ReadableStream({ start: (stream) => setTimeout(() => {
      window.coming--;
      stream.enqueue(new Uint8Array(content));
      stream.close();
    }) });
    return new Response(body, answer);
  };
}"""


def test_whoever_is_faster_than_the_server_is_served(browser: Browser, local: Served, tmp_path: Path) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        # The first call is the page's own, which brings it its token.
        with unanswered(page):
            page.goto(local.address)
            page.get_by_role("button", name=re.compile("Drop photographs here")).wait_for()
            page.set_input_files("#pellucid-upload input[type=file]", small(tmp_path, "cat.png"))
            page.get_by_text("Adding 1 of 1").wait_for(state="detached")
        page.get_by_role("button", name="Show cat.png").wait_for()


def test_whoever_does_not_wait_for_answers_loses_nothing(page: Page, local: Served, tmp_path: Path) -> None:
    page.add_init_script(f"({LATE})()")
    page.reload()
    files = small(tmp_path, "0.png", "1.png", "2.png", "3.png")
    hand_over(page, *files)
    looked(page)
    show(page, "3.png")
    with unanswered(page):
        page.get_by_role("button", name="Remove 0.png").click()
        page.get_by_role("button", name="Remove 1.png").click()
        page.get_by_role("button", name="Remove 2.png").click()
    states(page, "ready")
    # The last stroke is filled in, too, and none of them overtakes another.
    page.get_by_role("button", name="Erase something").click()
    page.get_by_role("button", name="Paint", exact=True).wait_for()
    stroke(page, 0.2)
    page.wait_for_function(FILLABLE)
    with unanswered(page):
        stroke(page, 0.5)
        stroke(page, 0.8)
        page.get_by_role("button", name="Fill in").click()
    page.get_by_text("1 of 1 done").wait_for()
    restored = images.read(_png(download(page, "Download 3-restored.png"))).colour
    changed = (restored != images.read(files[3]).colour).any((1, 2))
    assert changed[[12, 32, 51]].all()
    assert not changed[[22, 42, 60]].any()
    # A press counts after the choice before it, which takes away the messages of what was done earlier.
    with unanswered(page):
        damage(page, "hdr")
        restore(page)
    told = complaint(page, local, "One picture is made of several exposures")
    # What is typed now is answered last.
    page.get_by_role("button", name="As a command or in Python").click()
    advanced(page, "Damage")
    page.get_by_label("Noise").fill("many")
    page.get_by_label("Command").get_by_text(re.compile("noise")).wait_for()
    assert page.get_by_role("alert").inner_text() == told
    assert page.evaluate("window.overtaken") == 0


def test_what_is_pressed_and_chosen_before_an_answer_counts(page: Page, tmp_path: Path) -> None:
    hand_over(page, *small(tmp_path, "cat.png"))
    looked(page)
    stepwise(page)
    page.get_by_label("Steps").fill("none")
    with unanswered(page):
        restore(page)
        page.get_by_label("Steps").fill("3")
        restore(page)
    page.get_by_text("1 of 1 done").wait_for()
    # A method that is chosen while the page learns of another damage stays chosen.
    page.get_by_label("Strength").fill("")
    page.get_by_role("button", name="As a command or in Python").click()
    with unanswered(page):
        damage(page, "lowlight")
        choose(page, "gdp")
    page.get_by_label("Command").get_by_text(re.compile("--method gdp .*--task lowlight")).wait_for()


def choose(page: Page, method: str) -> None:
    """Chooses a method."""
    advanced(page)
    page.get_by_label("Method", exact=True).click()
    page.get_by_role("option", name=method, exact=True).click()


# Each frame comes late: ten others pass before it.
LATE_FRAMES = """() => {
  const ask = window.requestAnimationFrame;
  const later = (call, frames) => ask(frames ? () => later(call, frames - 1) : call);
  window.requestAnimationFrame = (call) => later(call, 10);
}"""


def test_what_is_typed_into_a_panel_that_is_drawn_late_stays(page: Page, local: Served, tmp_path: Path) -> None:
    page.add_init_script(f"({LATE_FRAMES})()")
    page.reload()
    hand_over(page, *small(tmp_path, "cat.png"))
    advanced(page, "Damage")
    # As long as a call is not answered, gradio takes no note of what else is typed.
    with unanswered(page):
        page.get_by_label("Noise").fill("0.1")
        advanced(page)
        page.get_by_label("Steps").fill("many")
        page.evaluate(DRAWN)
        assert page.get_by_label("Steps").input_value() == "many"
    restore(page)
    complaint(page, local, "steps must")


def test_a_page_whose_connection_broke_comes_back_with_its_pictures(
    browser: Browser, local: Served, tmp_path: Path
) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(local.address)
        page.get_by_role("button", name=re.compile("Drop photographs here")).wait_for()
        hand_over(page, *small(tmp_path, "cat.png"))
        with page.expect_event("domcontentloaded"):
            page.route("**/run/**", lambda route: route.abort(), times=1)
            restore(page)
        page.get_by_role("button", name="Show cat.png").wait_for()
        restore(page)
        page.get_by_text("1 of 1 done").wait_for()
