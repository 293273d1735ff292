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
from pellucid.problem import to_unit

from .conftest import Served

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

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
PATIENCE = 600_000 if os.environ.get("PELLUCID_SCREENSHOTS") else 180_000
"""Milliseconds that a busy machine is given; none of them are waited for on an idle one."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS.split())
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Browser, local: Served) -> Iterator[Callable[[], Page]]:
    """Opens the page as one more person; at the end nothing went wrong in it, and nobody else was asked."""
    contexts = []
    wrong: list[str] = []

    def opened() -> Page:
        # Without motion: colours on their way from one to another have no contrast to be measured.
        context = browser.new_context(
            viewport={"width": 1280, "height": 860}, accept_downloads=True, reduced_motion="reduce"
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("request", lambda request: _ours(request.url, local.address, wrong))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
        page.goto(local.address)
        page.get_by_role("button", name="Restore", exact=True).wait_for()
        page.get_by_role("button", name=re.compile("Drop photographs here")).wait_for()
        return page

    yield opened
    for context in contexts:
        context.close()
    assert wrong == []
    assert local.notes.read_text() == ""


def _ours(url: str, address: str, wrong: list[str]) -> None:
    if not url.startswith((address, "data:", "blob:")):
        wrong.append(url)


@pytest.fixture
def page(visit: Callable[[], Page]) -> Page:
    return visit()


def hand_over(page: Page, *names: str) -> None:
    page.set_input_files("#pellucid-upload input[type=file]", [ASSETS / name for name in names])
    page.get_by_role("button", name=f"Show {names[-1]}").wait_for()


def restore(page: Page) -> None:
    page.get_by_role("button", name="Restore", exact=True).click()


def advanced(page: Page, panel: str = "Method") -> None:
    """Opens a panel of the fold."""
    if not page.get_by_role("tab", name=panel, exact=True).is_visible():
        page.get_by_role("button", name="Advanced").click()
    page.get_by_role("tab", name=panel, exact=True).click()


def damage(page: Page, name: str) -> None:
    """Says what the damage is."""
    advanced(page, "Damage")
    page.get_by_label("The damage", exact=True).click()
    page.get_by_role("option", name=re.compile(f"^{name}")).click()


def slow(page: Page) -> None:
    """Chooses what would take long, to have time to do something meanwhile."""
    advanced(page)
    page.get_by_label("Strength").fill("1000")
    page.get_by_label("Steps").fill("1000")


def download(page: Page, words: str | re.Pattern[str]) -> Path:
    with page.expect_download() as begun:
        page.get_by_role("link", name=words).click()
    return begun.value.path()


def test_a_picture_is_restored_compared_zoomed_kept_and_taken_back(page: Page) -> None:
    hand_over(page, "coffee.png")
    restore(page)
    page.get_by_text("1 of 1 done").wait_for()
    restored = images.read(_png(download(page, "Download coffee-restored.png")))
    assert restored.colour.shape == (256, 256, 3)
    # The slider, by keyboard and by hand.
    slider = page.get_by_label(re.compile("^Before and after"))
    after = page.locator(".pv-after")
    assert "50%" in str(after.get_attribute("style"))
    slider.focus()
    page.keyboard.press("Home")
    assert " 0%" in str(after.get_attribute("style"))
    slider.fill("50")
    box = page.locator(".pv-stage").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 20)
    page.mouse.up()
    assert float(slider.input_value()) == pytest.approx(25, abs=2)
    # Zoom, by keyboard.
    width = page.locator(".pv-before img").bounding_box()
    page.locator(".pv-stage").focus()
    page.keyboard.press("+")
    zoomed = page.locator(".pv-before img").bounding_box()
    assert width is not None
    assert zoomed is not None
    assert zoomed["width"] == pytest.approx(1.25 * width["width"], rel=0.01)
    page.get_by_role("button", name="1:1").click()
    assert page.get_by_label("Zoom", exact=True).inner_text() == "100 %"
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("1 picture ready").wait_for()
    assert page.get_by_role("link", name=re.compile("Download")).count() == 0


def _png(path: Path) -> Path:
    return path.rename(path.with_suffix(".png"))


def test_many_pictures_a_bad_one_among_them_become_a_zip(page: Page, tmp_path: Path) -> None:
    (tmp_path / "evil<b>.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(99))
    files = [ASSETS / "cat.png", tmp_path / "evil<b>.png", ASSETS / "coffee.png"]
    page.set_input_files("#pellucid-upload input[type=file]", files)
    page.get_by_role("alert").wait_for()
    assert page.get_by_role("alert").locator("li").count() == 1
    assert page.get_by_role("alert").inner_text().startswith("evil<b>.png: ")
    restore(page)
    page.get_by_text("2 of 2 done").wait_for()
    with ZipFile(download(page, "Download all 2 as a zip")) as archive:
        assert archive.namelist() == ["cat-restored.png", "coffee-restored.png"]
    page.get_by_role("button", name="Remove cat.png").click()
    page.get_by_role("button", name="Show cat.png").wait_for(state="detached")


def test_pictures_are_pasted_and_dropped(page: Page) -> None:
    data = list((ASSETS / "cat.png").read_bytes())
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
            [data, event, kind, key, name],
        )
        page.get_by_role("button", name=f"Show {name}").wait_for()


def test_a_job_is_watched_survives_a_reload_and_is_stopped(page: Page) -> None:
    hand_over(page, "cat.png")
    slow(page)
    restore(page)
    page.get_by_role("progressbar").first.wait_for()
    page.get_by_text("So far").first.wait_for()
    page.get_by_text(re.compile(r"cat\.png · \d+% · up to .* left")).wait_for()
    page.reload()
    page.get_by_role("button", name="Show cat.png").wait_for()
    page.get_by_role("progressbar").first.wait_for()
    page.get_by_role("button", name="Stop").click()
    page.get_by_text("Stopped.").wait_for()
    page.get_by_role("button", name="Restore", exact=True).wait_for()


def test_two_people_wait_for_each_other_and_a_closed_page_stops_its_job(visit: Callable[[], Page]) -> None:
    first, second = visit(), visit()
    for one in (first, second):
        hand_over(one, "cat.png")
    slow(first)
    restore(first)
    first.get_by_role("progressbar").first.wait_for()
    restore(second)
    second.get_by_text("In the queue: 1 job comes before yours.").wait_for()
    first.close()
    second.get_by_text("1 of 1 done").wait_for()


def test_a_mask_is_painted_and_what_is_known_stays(page: Page) -> None:
    hand_over(page, "coffee.png")
    damage(page, "inpaint")
    page.get_by_role("button", name="Paint", exact=True).wait_for()
    advanced(page)
    page.get_by_label("Steps").fill("20")
    page.evaluate("scrollTo(0, 0)")
    image = page.locator(".pv-before img").bounding_box()
    assert image is not None
    page.mouse.move(image["x"] + 0.3 * image["width"], image["y"] + 0.5 * image["height"])
    page.mouse.down()
    page.mouse.move(image["x"] + 0.6 * image["width"], image["y"] + 0.5 * image["height"], steps=5)
    page.mouse.up()
    # Where the painting ended, one dot more by keyboard.
    page.locator(".pv-stage").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press(" ")
    advanced(page, "Damage")
    page.get_by_label("Known pixels stay as they are, to the bit").check()
    page.get_by_role("button", name="As a command or in Python").click()
    page.get_by_role("link", name="Download the mask").wait_for()
    page.get_by_label("Command").get_by_text(re.compile("--task inpaint --mask mask.png .*--exact")).wait_for()
    page.get_by_role("button", name="Copy Command").click()
    page.get_by_role("button", name="Copied Command").wait_for()
    mask = images.read(_png(download(page, "Download the mask"))).colour[..., 0]
    assert (mask[128, 90], mask[10, 10]) == (255, 0)
    restore(page)
    page.get_by_text("1 of 1 done").wait_for()
    before, after = (images.read(path).colour for path in (ASSETS / "coffee.png",
                     _png(download(page, "Download coffee-restored.png"))))  # fmt: skip
    assert np.array_equal(before[mask == 0], after[mask == 0])
    assert not np.array_equal(before[mask == 255], after[mask == 255])


def test_a_part_is_tried_and_methods_are_compared(page: Page) -> None:
    hand_over(page, "cat.png")
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


def test_wrong_choices_are_one_clear_message(page: Page) -> None:
    hand_over(page, "cat.png")
    advanced(page)
    page.get_by_label("Steps").fill("many")
    restore(page)
    page.get_by_role("alert").wait_for()
    assert "steps must" in page.get_by_role("alert").inner_text()


def test_the_keyboard_is_enough(page: Page) -> None:
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name=re.compile("Drop photographs here")).focus()
        page.keyboard.press("Enter")
    chooser.value.set_files(ASSETS / "cat.png")
    page.get_by_role("button", name="Show cat.png").wait_for()
    reached = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        said = page.evaluate("document.activeElement.ariaLabel || document.activeElement.innerText || ''")
        reached.add(said.strip().partition("\n")[0])
    assert {"Restore", "Advanced", "Zoom in", "Show cat.png", "Remove cat.png", "Try this part"} <= reached
    page.get_by_role("button", name="Restore", exact=True).focus()
    page.keyboard.press("Enter")
    page.get_by_text("1 of 1 done").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_labels_and_contrast(page: Page, scheme: str, tmp_path: Path) -> None:
    # Colours on their way to another are nobody's: without motion there are none.
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce")
    page.reload()
    page.get_by_role("button", name=re.compile("Drop photographs here")).wait_for()
    assert flaws(page) == "[]"
    (tmp_path / "text.png").write_text("no picture")
    page.set_input_files("#pellucid-upload input[type=file]", [ASSETS / "cat.png", tmp_path / "text.png"])
    page.get_by_role("alert").wait_for()
    restore(page)
    page.get_by_text("1 of 1 done").wait_for()
    assert flaws(page) == "[]"
    page.get_by_role("button", name="Undo").click()
    damage(page, "inpaint")
    page.get_by_role("button", name="Paint", exact=True).wait_for()
    advanced(page)
    page.get_by_label("Steps").fill("many")
    restore(page)
    page.get_by_role("alert").wait_for()
    page.get_by_label("Steps").fill("")
    page.get_by_role("button", name="As a command or in Python").click()
    page.get_by_label("Command").locator("pre").wait_for()
    assert flaws(page) == "[]"


def flaws(page: Page) -> str:
    """What axe finds."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return json.dumps([(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in found], indent=1)


def small(folder: Path, *names: str) -> list[Path]:
    """Pictures of which it is found out at once what is wrong with them."""
    for name in names:
        images.write(images.from_array(images.read(ASSETS / "cat.png").colour[:64, :64]), folder / name)
    return [folder / name for name in names]


def looked(page: Page) -> None:
    """Waits until it is said of all pictures what is wrong with them."""
    page.wait_for_function("![...document.querySelectorAll('.pv-row')].some((row) => row.dataset.state === 'looking')")


def stroke(page: Page) -> None:
    image = page.locator(".pv-before img").bounding_box()
    assert image is not None
    page.mouse.move(image["x"] + 0.4 * image["width"], image["y"] + 0.5 * image["height"])
    page.mouse.down()
    page.mouse.move(image["x"] + 0.5 * image["width"], image["y"] + 0.5 * image["height"])
    page.mouse.up()


def test_a_mask_and_a_result_belong_to_one_picture(page: Page, tmp_path: Path) -> None:
    page.set_input_files("#pellucid-upload input[type=file]", small(tmp_path, "cat.png", "coffee.png"))
    page.get_by_role("button", name="Show coffee.png").wait_for()
    looked(page)
    page.get_by_role("button", name="Show cat.png").click()
    # What was found out leads to a result in one press, for the picture that is looked at alone.
    page.get_by_role("button", name=re.compile("^Clean")).click()
    page.get_by_text("1 of 1 done").wait_for()
    page.get_by_role("row", name=re.compile("coffee.png.*ready")).wait_for()
    # The original is there as long as a key is held.
    after = page.locator(".pv-after")
    page.keyboard.down("o")
    assert " 100%" in str(after.get_attribute("style"))
    page.keyboard.up("o")
    assert " 50%" in str(after.get_attribute("style"))
    # With a result shown, something can be erased.
    page.get_by_role("button", name="Erase something").click()
    page.get_by_role("button", name="Paint", exact=True).wait_for()
    fill = page.get_by_role("button", name="Fill in")
    assert fill.is_disabled()
    stroke(page)
    page.wait_for_function("!document.querySelector('.pv-fill').disabled")
    assert flaws(page) == "[]"
    page.get_by_role("button", name="Undo stroke").click()
    page.wait_for_function("document.querySelector('.pv-fill').disabled")
    stroke(page)
    page.wait_for_function("!document.querySelector('.pv-fill').disabled")
    # The other picture has neither the mask nor the brush.
    page.get_by_role("button", name="Show coffee.png").click()
    page.get_by_role("button", name="Paint", exact=True).wait_for(state="hidden")
    page.get_by_role("button", name="Erase something").click()
    page.get_by_role("button", name="Paint", exact=True).wait_for()
    assert fill.is_disabled()
    page.get_by_role("button", name="Show cat.png").click()
    page.wait_for_function("!document.querySelector('.pv-fill').disabled")


def test_what_does_not_work_is_said_and_the_rest_goes_on(page: Page, tmp_path: Path) -> None:
    (tmp_path / "huge.jpg").write_bytes(bytes(1_200_000))
    files = [*small(tmp_path, "cat.png"), tmp_path / "huge.jpg"]
    if find_spec("pillow_heif"):
        images.write(images.from_array(np.full((64, 64, 3), 120, np.uint8)), tmp_path / "phone.heic")
        files.append(tmp_path / "phone.heic")
    page.set_input_files("#pellucid-upload input[type=file]", files)
    alert = page.get_by_role("alert")
    alert.wait_for()
    assert alert.inner_text() == "huge.jpg: has 1.2 MB, more than the 1 allowed here"
    assert page.get_by_role("row").count() == len(files)  # with that of the headings, without the one that is too large
    while page.get_by_role("button", name=re.compile("^Remove ")).count() > 1:
        page.get_by_role("button", name=re.compile("^Remove ")).last.click()
        page.get_by_role("button", name="Show phone.heic").wait_for(state="detached")
    damage(page, "hdr")
    # The message of what was done before is gone.
    alert.wait_for(state="detached")
    restore(page)
    alert.wait_for()
    assert alert.inner_text().startswith("One picture is made of several exposures")
    assert "Details" not in page.locator("#pellucid-status").inner_text()
    damage(page, "denoise")
    alert.wait_for(state="detached")


def test_a_batch_of_seven_is_stopped(page: Page, tmp_path: Path) -> None:
    names = [f"{number}.png" for number in range(7)]
    page.set_input_files("#pellucid-upload input[type=file]", small(tmp_path, *names))
    page.get_by_role("button", name="Show 6.png").wait_for()
    slow(page)
    restore(page)
    page.get_by_role("row", name=re.compile("0.png.*running")).wait_for()
    page.get_by_role("row", name=re.compile("6.png.*waiting")).wait_for()
    page.get_by_role("button", name="Stop").click()
    page.get_by_text("Stopped. What was finished is kept: 0 of 7.").wait_for()
    page.get_by_role("row", name=re.compile("6.png.*stopped")).wait_for()
    assert page.get_by_role("row", name=re.compile("stopped")).count() == 7
    assert flaws(page) == "[]"


def test_on_a_phone_everything_is_in_reach_of_a_thumb(browser: Browser, local: Served, tmp_path: Path) -> None:
    with browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True) as context:
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(local.address)
        page.get_by_role("button", name=re.compile("Choose photographs from the camera roll")).wait_for()
        wanted = os.environ.get("PELLUCID_SCREENSHOTS")
        page.set_input_files(
            "#pellucid-upload input[type=file]", ASSETS / "cat.png" if wanted else small(tmp_path, "cat.png")
        )
        page.get_by_role("button", name="Show cat.png").wait_for()
        looked(page)
        box = page.get_by_role("button", name="Restore", exact=True).bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= 844
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.get_by_role("button", name="Erase something").click()
        page.get_by_role("button", name="Paint", exact=True).wait_for()
        low = page.evaluate(
            """() => [...document.querySelectorAll("button, input[type=range], a, summary, label.pellucid-add")]
              .filter((node) => node.checkVisibility() && node.getBoundingClientRect().height
                && node.getBoundingClientRect().height < 44)
              .map((node) => node.outerHTML.slice(0, 120) + node.getBoundingClientRect().height)"""
        )
        assert "\n".join(low) == ""
        picture(page, "app-phone.png", (844, 390))


def test_pictures_of_the_page_for_its_docs(page: Page, bundled: dict[str, Tensor], tmp_path: Path) -> None:
    for number, name in enumerate(("coffee.png", "harbour.png", "broken.png")):
        noisy = gaussian_noise(to_unit(bundled["coffee"]), 25 / 255, number).clamp(0, 1)
        images.write(images.from_tensor(noisy), tmp_path / name)
    files = [ASSETS / "cat.png", tmp_path / "harbour.png", tmp_path / "coffee.png"]
    page.set_input_files("#pellucid-upload input[type=file]", files)
    page.get_by_role("button", name="Show coffee.png").wait_for()
    page.get_by_role("button", name="Show coffee.png").click()
    looked(page)
    picture(page, "app.png", (860, 1280))
    restore(page)
    page.get_by_text("3 of 3 done").wait_for()
    page.set_viewport_size({"width": 1280, "height": 1100})
    picture(page, "app-batch.png", (1100, 1280))


def picture(page: Page, name: str, size: tuple[int, int]) -> None:
    """Takes a picture of the page, for its docs if that is wanted."""
    path = Path(__file__).parents[2] / "docs" / name if os.environ.get("PELLUCID_SCREENSHOTS") else None
    content = page.screenshot(path=path)
    assert PIL.Image.open(io.BytesIO(content)).size == size[::-1]


def test_whoever_is_faster_than_the_server_is_served(browser: Browser, local: Served) -> None:
    held: list[Route] = []
    with browser.new_context() as context:
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        # The first call is the page's own, which brings it its token.
        page.route("**/run/**", lambda route: route.continue_() if held else held.append(route))
        page.goto(local.address)
        page.get_by_role("button", name=re.compile("Drop photographs here")).wait_for()
        hand_over(page, "cat.png")
        assert held
        held[0].continue_()
