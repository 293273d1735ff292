"""Plain frames around a photograph: found exactly, left as they are, and no reason to leave the photograph alone."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from pellucid.diagnosis import Diagnosis, content
from pellucid.diagnosis.compression import Compression
from pellucid.diagnosis.diagnose import diagnose
from pellucid.diagnosis.frame import Frame
from pellucid.maths.noise import Streams
from pellucid.maths.problem import Problem
from pellucid.methods import JPEG, Auto, Denoise
from pellucid.operators import Jpeg
from pellucid.priors import GaussianPrior, Padded, Prior


@pytest.fixture(scope="module")
def noisy(bundled: dict[str, Tensor]) -> Tensor:
    clean = bundled["coffee"][..., 40:106, 60:134].float()
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(1))
    return (((clean + 2 * 20 / 255 * noise).clamp(-1, 1) + 1) * 127.5).round() / 127.5 - 1


def texture(height: int, width: int, seed: int = 0) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@given(*[st.integers(0, 40)] * 4, st.integers(48, 70), st.integers(48, 70), st.floats(-1, 1))
@settings(deadline=None, max_examples=60)
def test_the_sides_of_a_frame_are_found_exactly(
    top: int, bottom: int, left: int, right: int, height: int, width: int, tone: float
) -> None:
    picture = F.pad(texture(height, width), (left, right, top, bottom), value=tone)
    found = content.estimate(picture)
    frame = Frame(top, top + height, left, left + width)
    assert found.frame == (frame if top or bottom or left or right else None)
    assert torch.equal(found.inside(picture)[0], texture(height, width))


def test_writing_on_a_mount_belongs_to_it_and_a_page_is_no_frame() -> None:
    picture = F.pad(texture(64, 96), (10, 10, 10, 40), value=0.9)
    picture[..., 90:96, 20:80:3] = -1.0
    assert content.estimate(picture).frame == Frame(10, 74, 10, 106)
    page = torch.ones(1, 3, 160, 160)
    page[..., 20:140:6, 20:140:3] = -1.0
    assert content.estimate(page).frame is None
    assert content.estimate(page).drawn
    assert content.estimate(torch.zeros(1, 3, 80, 80)).frame is None


def test_a_framed_picture_is_restored_as_without_its_frame(natural: Prior, noisy: Tensor) -> None:
    mounted = F.pad(noisy, (24, 14, 16, 30), value=0.8)
    for method in (Auto(), Denoise()):
        *_, alone = method.iterate(Problem(noisy), Padded(natural), Streams([0]))
        *_, state = method.iterate(Problem(mounted), natural, Streams([0]))
        assert alone.notes == state.notes
        assert "white noise" in state.notes[0]
        assert torch.equal(state.x, F.pad(alone.x, (24, 14, 16, 30), value=0.8))
    assert not torch.equal(alone.x, noisy)


def test_a_framed_file_is_judged_by_its_inside_and_the_frame_is_kept(bundled: dict[str, Tensor]) -> None:
    mounted = F.pad(bundled["coffee"][..., 40:120, 60:148].float(), (27, 33, 22, 50), value=0.7)
    operator = Jpeg(80)
    y = operator.A(mounted)
    found = content.estimate(y)
    # As a whole it would be taken for a drawn page, which is left alone at this quality.
    assert found.drawn
    assert found.frame is not None
    diagnosis = Diagnosis(found, Compression(operator.coding, told=True), whole=True)
    prior = Padded(GaussianPrior(torch.zeros(3, 1, 1), variance=torch.full((3, 1, 1), 0.25)))
    for method, problem in ((Auto(), Problem(y, known=(diagnosis,))), (JPEG(steps=2), Problem(y, operator))):
        *_, state = method.iterate(problem, prior, Streams([0]))
        assert state.notes == ("JPEG quality 80, 4:2:0 undone",)
        inside = found.frame.inside(state.x)
        assert torch.equal(state.x, found.frame.around(inside, y))
        assert not torch.equal(inside, found.frame.inside(y))


def test_findings_of_a_framed_picture_are_those_of_its_inside(natural: Prior, bundled: dict[str, Tensor]) -> None:
    small = F.interpolate(bundled["coffee"].float(), scale_factor=2, mode="bicubic")[..., 20:180, 30:200]
    mounted = F.pad(small, (130, 110, 90, 120), value=0.7)
    alone, framed = diagnose(natural, small), diagnose(Padded(natural), mounted)
    assert alone.enlarged is not None
    assert framed.enlarged == alone.enlarged
    assert framed.scratches == alone.scratches


def test_a_grey_photograph_on_a_coloured_mount_stays_grey(natural: Prior, noisy: Tensor) -> None:
    mounted = F.pad(noisy[:, :1].expand(-1, 3, -1, -1), (19, 19, 15, 15), value=0.8)
    mounted[:, 2, :15] = 0.6
    mounted[:, 2, -15:] = 0.6
    mounted[:, 2, :, :19] = 0.6
    mounted[:, 2, :, -19:] = 0.6
    *_, state = Auto().iterate(Problem(mounted), natural, Streams([0]))
    inside = state.x[..., 15:-15, 19:-19]
    assert torch.equal(inside[:, 0], inside[:, 2])
    assert not torch.equal(inside, mounted[..., 15:-15, 19:-19])
