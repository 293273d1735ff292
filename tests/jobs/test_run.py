from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from pellucid import images
from pellucid.api import Restorer
from pellucid.jobs import Item, plan, run
from pellucid.maths.noise import derive_seed
from pellucid.methods import DreamClean
from pellucid.priors import GaussianPrior
from pellucid.priors.fingerprint import fingerprint

RESTORER = Restorer(DreamClean(strength=30), GaussianPrior(torch.zeros(3, 1, 1), torch.tensor(0.3)))


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    folder = tmp_path / "scans"
    folder.mkdir()
    for name in "abc":
        Image.new("RGB", (6, 5), "teal").save(folder / f"{name}.png")
    return folder


def test_each_image_is_restored_with_its_own_seed(scans: Path, tmp_path: Path) -> None:
    done: list[tuple[Item, float]] = []
    items = plan([scans], tmp_path)
    outcomes = list(run(items, RESTORER, seed=3, progress=lambda item, share: done.append((item, share))))
    assert [outcome.error for outcome in outcomes] == [None] * 3
    assert [outcome.seed for outcome in outcomes] == [derive_seed(3, f"{name}.png") for name in "abc"]
    assert [(outcome.nfe, outcome.size) for outcome in outcomes] == [(9, (5, 6))] * 3
    assert sum(share for item, share in done if item == items[0]) == pytest.approx(1)
    written = [item.target.read_bytes() for item in items]
    assert len(set(written)) == 3
    # The same folder in another place, and one of its images alone in it: the same bytes.
    (scans / "b.png").rename(tmp_path / "b.bak")
    (tmp_path / "again").mkdir()
    again = list(run(plan([scans], tmp_path / "again"), RESTORER, seed=3))
    assert [outcome.item.target.read_bytes() for outcome in again] == [written[0], written[2]]


@pytest.mark.parametrize(
    ("problem", "says"),
    [
        (RuntimeError("out of luck\nline 2"), "failed unexpectedly (RuntimeError: out of luck)"),
        (MemoryError(), "does not fit into memory"),
    ],
)
def test_one_that_fails_takes_none_of_the_others_with_it(
    scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: Exception, says: str
) -> None:
    (scans / "a.png").write_bytes(b"broken")
    read = images.read

    def read_or_fail(path: Path) -> Any:
        if path.name == "b.png":
            raise problem
        return read(path)

    monkeypatch.setattr(images, "read", read_or_fail)
    outcomes = list(run(plan([scans], tmp_path / "out"), RESTORER))
    (tmp_path / "out").mkdir()
    outcomes = list(run(plan([scans], tmp_path / "out"), RESTORER))
    assert "a.png: is no image" in str(outcomes[0].error)
    assert outcomes[1].error == f"{scans / 'b.png'}: {says}"
    assert outcomes[2].error is None
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["c.png"]


def test_a_format_that_cannot_hold_the_image_is_said_before_the_work(tmp_path: Path) -> None:
    Image.new("RGBA", (6, 5)).save(tmp_path / "in.png")
    done: list[float] = []
    (outcome,) = run([Item(tmp_path / "in.png", tmp_path / "out.jpg")], RESTORER, 0, lambda item, n: done.append(n))
    assert "no transparency" in str(outcome.error)
    assert done == []


def test_an_image_whose_trace_fails_has_no_output(scans: Path, tmp_path: Path) -> None:
    (tmp_path / "traces").write_text("in the way")
    (tmp_path / "out").mkdir()
    outcomes = list(run(plan([scans], tmp_path / "out"), RESTORER, traces=tmp_path / "traces"))
    assert all(outcome.error for outcome in outcomes)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_restored_file_says_so_and_by_what_once_for_each_time(scans: Path, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010E], exif[0x013B] = "a lake", "somebody"
    Image.new("RGB", (6, 5), "teal").save(tmp_path / "a.jpg", exif=exif)
    first, second, bare = (tmp_path / name for name in ("b.jpg", "c.tif", "d.png"))
    (once,) = run([Item(tmp_path / "a.jpg", first)], RESTORER, seed=3)
    (again,) = run([Item(first, second)], RESTORER, seed=4)
    assert once.error is again.error is None
    (mark,) = images.marks(images.read(first).metadata)
    prior = fingerprint(RESTORER.prior)[:16]
    assert mark == f"{images.MARK}{version('pellucid')}: DreamClean(strength=30), prior {prior}, seed 3"
    assert images.marks(images.read(second).metadata) == [mark, mark.replace("seed 3", "seed 4")]
    with Image.open(second) as image:
        assert image.getexif()[0x010E].startswith(f"a lake\n{images.MARK}")
    (stripped,) = run([Item(second, bare)], RESTORER, seed=5, strip=True)
    assert stripped.error is None
    assert len(images.marks(images.read(bare).metadata)) == 3
    with Image.open(bare) as image:
        assert sorted(image.getexif()) == [0x010E, 0x0131]
        assert "lake" not in image.getexif()[0x010E]


def test_each_page_is_restored_as_by_itself(tmp_path: Path) -> None:
    pages = [images.from_pil(Image.new("RGB", size, "teal")) for size in ((6, 5), (4, 9))]
    images.write(images.bound(pages), tmp_path / "in.tif")
    (outcome,) = run([Item(tmp_path / "in.tif", tmp_path / "out.tif")], RESTORER, seed=3)
    assert (outcome.error, outcome.nfe, outcome.size) == (None, 2 * RESTORER.nfe(), (5, 6))
    back = images.read(tmp_path / "out.tif").pages
    for page, restored, seed in zip(pages, back, (3, derive_seed(3, "page 2")), strict=True):
        assert (restored.pixels == RESTORER.picture(page, seed)[0].pixels).all()
        (mark,) = images.marks(restored.metadata)
        assert mark.endswith(f", seed {seed}")


def test_what_was_converted_is_said_and_written_down(tmp_path: Path) -> None:
    Image.new("CMYK", (6, 5)).save(tmp_path / "in.jpg")
    (outcome,) = run([Item(tmp_path / "in.jpg", tmp_path / "out.jpg")], RESTORER)
    assert "CMYK was converted to sRGB" in str(outcome.note)
    (mark,) = images.marks(images.read(tmp_path / "out.jpg").metadata)
    assert "CMYK was converted to sRGB" in mark
