"""What years and earlier programs did to a picture: scratches and specks, fading, an enlargement."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from torch import Tensor
from torch.nn import functional as F

from pellucid.app.words import plain as in_the_pages_words
from pellucid.degradations import compress, faded, gaussian_blur, scratched
from pellucid.diagnosis import Diagnosis, Finding, enlarged, exposure, scratches
from pellucid.diagnosis.compression import Compression
from pellucid.images import from_pil, to_pil
from pellucid.images.picture import from_tensor
from pellucid.maths.problem import to_model, to_unit
from pellucid.methods.auto import MAKERS
from pellucid.methods.plan import LEFT, UNCHANGED, Plan
from pellucid.operators import Jpeg
from pellucid.support.ranges import percent


def plain(height: int = 128, width: int = 128) -> Tensor:
    """Soft hills, in [-1, 1]: nothing in it is a line."""
    down, right = torch.meshgrid(torch.linspace(0, 6, height), torch.linspace(0, 5, width), indexing="ij")
    return (0.3 * down.sin() * right.cos()).expand(1, 3, -1, -1).clone()


@pytest.mark.parametrize("value", [1.0, -1.0])
@pytest.mark.parametrize("turn", [0, 1])
def test_a_line_is_marked_and_nothing_else(value: float, turn: int) -> None:
    y = plain()
    y[..., 60:62] = value
    marked = scratches.propose(y.rot90(turn, (-2, -1))).rot90(-turn)
    assert marked[:, 60:62].all()
    assert not marked[:, :54].any()
    assert not marked[:, 68:].any()


def test_specks_are_marked_and_large_things_are_not() -> None:
    y = plain()
    y[..., 40:42, 30:32] = 1
    y[..., 90:92, 70:72] = -1
    y[..., 60:100, 20:50] = 0.9
    marked = scratches.propose(y)
    assert marked[40:42, 30:32].all()
    assert marked[90:92, 70:72].all()
    assert marked.float().mean() < 0.01


@given(st.integers(1, 70), st.integers(1, 70), st.sampled_from([1, 3]))
def test_a_mask_has_the_size_of_its_picture(height: int, width: int, channels: int) -> None:
    y = plain(height, width)[:, :channels]
    assert scratches.propose(y).shape == (height, width)
    assert not scratches.propose(torch.zeros_like(y)).any()


def test_a_simulated_print_is_found_in_part(bundled: dict[str, Tensor]) -> None:
    truth = to_unit(bundled["cat"])
    y = scratched(truth, seed=1)
    there = (y - truth).abs().amax(1)[0] > 0.06
    marked = scratches.propose(to_model(y))
    found = (marked & there).sum() / there.sum()
    assert found > 0.2
    # Far more often than by chance.
    assert (marked & there).sum() / marked.sum() > 5 * there.float().mean()


def test_many_scratches_are_a_finding_and_photographs_are_none(bundled: dict[str, Tensor]) -> None:
    y = plain(192, 192)
    for column in range(20, 180, 20):
        y[..., column : column + 2] = 0.9
    found = scratches.estimate(y)
    assert found is not None
    assert isinstance(found, Finding)
    assert found.text == f"scratches and specks: {percent(found.evidence['marked'])} marked"
    assert found.remedy.startswith("--task scratches --save-mask")
    assert 0.5 < found.confidence <= 1
    assert scratches.estimate(y, drawn=True) is None
    for image in bundled.values():
        assert scratches.estimate(image) is None
        assert scratches.estimate(to_model(compress(to_unit(image), 30))) is None
    assert scratches.estimate(plain()) is None


@pytest.mark.parametrize("factor", [1.5, 2, 3, 4])
@pytest.mark.parametrize("way", [Image.Resampling.BILINEAR, Image.Resampling.BICUBIC])
def test_an_enlargement_is_found_with_its_factor(
    bundled: dict[str, Tensor], factor: float, way: Image.Resampling
) -> None:
    whole = to_pil(from_tensor(to_unit(bundled["coffee"])))
    small = whole.resize((round(whole.width / factor), round(whole.height / factor)), Image.Resampling.BICUBIC)
    found = enlarged.estimate(to_model(from_pil(small.resize(whole.size, way)).tensor()))
    assert found is not None
    assert isinstance(found, Finding)
    assert found.factor == factor
    assert f"about {factor:g} times" in found.text
    assert 0.5 < found.confidence <= 1


def test_no_enlargement_is_found_where_there_was_none(bundled: dict[str, Tensor]) -> None:
    for image in bundled.values():
        whole = to_unit(image)
        for picture in (whole, compress(whole, 80), compress(whole, 30), gaussian_blur(whole, 1.5)):
            assert enlarged.estimate(to_model(picture)) is None
    assert enlarged.measure(plain(64, 64)) == []
    page = Image.new("RGB", (192, 192), "white")
    for line in range(12):
        ImageDraw.Draw(page).text((4, 4 + 15 * line), f"Line {line} of a page of text", fill="black")
    for text in (from_pil(page).tensor(), compress(from_pil(page).tensor(), 80)):
        assert enlarged.estimate(to_model(text)) is None


def test_photographs_are_neither_scratched_nor_enlarged_nor_faded(photographs: dict[str, Tensor]) -> None:
    for name, image in photographs.items():
        assert enlarged.estimate(image) is None, name
        light = exposure.estimate(image)
        assert light is None or not light.faded, name


def test_auto_says_what_it_leaves_to_those_who_ask(bundled: dict[str, Tensor]) -> None:
    found = Diagnosis(exposure=exposure.estimate(to_model(faded(to_unit(bundled["coffee"])))))
    assert Plan.of(found, ()).note == f"{UNCHANGED}; faded, with a colour cast: not changed, --task unfade does it"
    small = enlarged.Enlarged(2.0, 0.9, 0.1)
    assert Plan.of(Diagnosis(enlarged=small), ()).note == f"{UNCHANGED}; {small.text}"


def test_auto_says_that_a_picture_was_a_fine_jpeg_once() -> None:
    def plan(quality: int, told: bool = False) -> Plan:
        return Plan.of(Diagnosis(compression=Compression(Jpeg(quality).coding, told)), MAKERS)

    once = plan(75)
    assert not once.stages
    assert once.note == f"{UNCHANGED}; JPEG quality 75, 4:2:0: not changed, --task jpeg does it"
    assert in_the_pages_words(once.note, Path("/")).endswith("not changed: choose the damage coarse JPEG")
    for treated in (plan(75, told=True), plan(60)):
        assert treated.stages
        assert "--task" not in treated.note
    assert plan(95).note == LEFT


@pytest.mark.parametrize("tone", [-1.0, -0.9, 0.0, 1.0])
def test_a_picture_of_one_tone_is_neither_dark_nor_faded(tone: float) -> None:
    assert exposure.estimate(torch.full((1, 3, 40, 40), tone)) is None


@given(height=st.integers(1, 90), width=st.integers(1, 60), rows=st.integers(10, 60))
@settings(max_examples=12, deadline=None)
def test_a_proposal_of_some_rows_after_the_others_is_that_of_all(height: int, width: int, rows: int) -> None:
    image = torch.rand(1, 1, height, width, generator=torch.Generator().manual_seed(height)) * 2 - 1

    def around(x: Tensor) -> Tensor:
        return F.max_pool2d(x, 9, 1, 4)[0, 0] > 0.99

    done: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scratches, "_ROWS", rows)
        patch.setattr(scratches, "_BEYOND", 4)
        assert torch.equal(scratches.in_rows(image, around, done.append), around(image))
    assert sum(done) == height * width


def test_rows_of_a_large_print_are_marked_as_in_one_piece() -> None:
    y = torch.rand(1, 1, 700, 96, generator=torch.Generator().manual_seed(0)) * 0.1
    y[..., 400:640, 40:42] = 1.0
    marked = scratches.propose(y)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scratches, "_ROWS", 700)
        assert torch.equal(marked, scratches.propose(y))
    assert marked[420:620, 40].all()


def test_nothing_marked_is_no_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    for marked in (0.0, 1e-5):
        monkeypatch.setattr(scratches, "measure", lambda image, marked=marked: scratches.Scratches(marked, 0.5, 0.0))
        found = scratches.estimate(plain(8, 8))
        assert (found is None) == (marked == 0)
    assert found is not None
    assert found.text == "scratches and specks: under 0.1 % marked"


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "0.0 %"),
        (1e-9, "under 0.1 %"),
        (0.0009999, "under 0.1 %"),
        (0.001, "0.1 %"),
        (0.0526, "5.3 %"),
        (1, "100.0 %"),
    ],
)
def test_a_small_share_is_not_none(share: float, text: str) -> None:
    assert percent(share) == text
