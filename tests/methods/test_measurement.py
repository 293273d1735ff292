"""The noise of measurements, for methods that know the degradation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from pellucid.diagnosis import Content, Diagnosis, Noise
from pellucid.diagnosis.noise.stationary import BANDS, Spectrum
from pellucid.maths.noise import Streams
from pellucid.maths.problem import Problem, to_unit
from pellucid.methods import measurement
from pellucid.methods.measurement import filled, treated
from pellucid.metrics import psnr
from pellucid.operators import AveragePool, Blur, Denoise, Grayscale, Mask
from pellucid.priors import Prior
from pellucid.restoration.runner import Runner


@pytest.fixture(scope="module")
def picture(bundled: dict[str, Tensor]) -> Tensor:
    """A grey picture, in three equal channels."""
    return bundled["coffee"][..., 64:128, 64:128].mean(1, keepdim=True).expand(-1, 3, -1, -1)


def noisy(picture: Tensor, level: float = 0.2) -> Tensor:
    fresh = torch.randn(picture[:, :1].shape, generator=torch.Generator().manual_seed(1))
    return (picture + level * fresh).clamp(-1, 1)


@settings(max_examples=25, deadline=None)
@given(st.integers(5, 30), st.integers(5, 30), st.integers(0, 2**31), st.integers(1, 4), st.integers(1, 4))
def test_holes_are_filled_with_what_is_known(height: int, width: int, seed: int, tall: int, wide: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    y = torch.rand(1, 2, height, width, generator=rng)
    missing = torch.zeros(1, 1, height, width, dtype=torch.bool)
    top, left = (int(torch.randint(0, size, (), generator=rng)) for size in (height, width))
    missing[..., top : top + tall, left : left + wide] = True
    known = y[:, :1][~missing]
    full = filled(torch.where(missing, torch.full_like(y, 9.0), y), missing)
    assert torch.equal(full[:, :1][~missing], known)
    assert set(full[:, :1].flatten().tolist()) <= set(known.tolist())


def test_a_hole_is_filled_from_as_near_as_there_is_something() -> None:
    y = torch.arange(20.0).expand(1, 1, 4, 20).clone()
    missing = torch.zeros(1, 1, 4, 20, dtype=torch.bool)
    missing[..., 8:11] = True
    full = filled(y, missing)
    assert (full[..., 8:11] - y[..., 8:11]).abs().unique().tolist() == [3.0]


def test_grey_noise_of_a_measurement_is_removed_and_what_is_left_is_told(natural: Prior, picture: Tensor) -> None:
    y = noisy(picture)
    found = treated(Problem(y, AveragePool(2), 0.1), natural, Streams([0]))
    assert psnr(to_unit(found.problem.y), to_unit(picture)).item() > psnr(to_unit(y), to_unit(picture)).item() + 4
    assert found.problem.sigma_y is not None
    assert 0.12 < found.problem.sigma_y < 0.17
    assert found.note.startswith("white noise of 2")
    assert found.note.endswith(" of 255, grey, removed first")
    assert 0 < found.nfe <= 15
    one = treated(Problem(y[:, :1].contiguous(), Grayscale(), 0.0), natural, Streams([0]))
    assert torch.allclose(one.problem.y, found.problem.y[:, :1], atol=1e-5)
    assert one.problem.sigma_y == 0


def test_doubtful_grain_is_removed_but_from_small_pictures(
    monkeypatch: pytest.MonkeyPatch, natural: Prior, picture: Tensor
) -> None:
    grain = Spectrum(Spectrum.white(0.2, 3, 1).power * torch.linspace(1, 0.1, BANDS))
    diagnosis = Diagnosis(Content(0.0, True), noise=Noise(grain, 0.0, 0.5))
    monkeypatch.setattr(measurement, "noise_alone", lambda prior, y: diagnosis)
    blur = Blur(torch.ones(1, 1))
    small, usual = (Problem(noisy(picture), operator, 0.1) for operator in (AveragePool(2), blur))
    assert treated(small, natural, Streams([0])).problem is small
    certain = replace(diagnosis, noise=Noise(grain, 0.0, 0.9))
    monkeypatch.setattr(measurement, "noise_alone", lambda prior, y: certain)
    assert treated(small, natural, Streams([0])).note.endswith("grey, removed first")
    monkeypatch.setattr(measurement, "noise_alone", lambda prior, y: diagnosis)
    found = treated(usual, natural, Streams([0]))
    assert not torch.equal(found.problem.y, usual.y)
    assert found.problem.sigma_y == pytest.approx(0.75 * grain.level)
    assert found.note.endswith("grey, partly removed first")


def test_white_noise_of_colours_is_told_and_the_measurement_stays(natural: Prior, bundled: dict[str, Tensor]) -> None:
    x = bundled["coffee"][..., 64:128, 64:128]
    y = x + 0.2 * torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    found = treated(Problem(y, AveragePool(2), 0.1), natural, Streams([0]))
    assert found.problem.y is y
    assert found.problem.sigma_y == pytest.approx(0.2, rel=0.1)
    assert "removed" not in found.note


def test_a_hole_is_no_part_of_the_noise(natural: Prior, picture: Tensor) -> None:
    y, mask = noisy(picture), Mask.box(64, 64, 8, 20, 24, 24)
    found = treated(Problem(mask.A(y), mask, 0.0), natural, Streams([0]))
    assert torch.equal(found.problem.y, mask.A(found.problem.y))
    known = mask.known.expand_as(y) > 0
    before, after = ((one - picture)[known].square().mean() for one in (y, found.problem.y))
    assert after < before / 2.5
    assert found.problem.sigma_y == 0
    many = Mask.random(64, 64, 0.5)
    problem = Problem(many.A(y), many, 0.0)
    assert treated(problem, natural, Streams([0])).problem is problem


def test_a_task_cleans_what_is_known_of_a_noisy_scan_and_says_so(
    natural: Prior, picture: Tensor, tmp_path: Path
) -> None:
    holes = torch.zeros(64, 64, dtype=torch.uint8)
    holes[8:24, 20:36] = 255
    Image.fromarray(holes.numpy()).save(tmp_path / "mask.png")
    known = (holes == 0).expand(1, 3, -1, -1)
    y, clean = (to_unit(noisy(picture)) * 255).round() / 255, to_unit(picture)
    usual: dict[str, Any] = {"task": "inpaint", "mask": tmp_path / "mask.png", "steps": 4}
    runner = Runner(prior=natural, **usual)
    result = runner.run(y)
    assert "grey, removed first" in result.notes[0]
    assert result.nfe <= runner.nfe()
    assert result.noise == (0.0,)
    before, after = ((one - clean)[known].square().mean() for one in (y, result.colours))
    assert after < before / 2.5
    # A level that is given wins, and so does the wish that the result agrees with the measurement.
    for more in ({"noise": 0.0}, {"exact": True}):
        same = Runner(prior=natural, **usual, **more).run(y)
        assert not any(same.notes)
        assert (same.colours - y)[known].abs().max() < 1e-5


def test_what_measures_no_picture_is_left_to_its_method(natural: Prior) -> None:
    assert not Denoise.pictures
    assert Runner("ddrm", natural, operator=Denoise(), steps=2).nfe() == 2
