"""Noise that is found in the reduced picture: coarse grain, as a scan of many pixels has it."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from pellucid.degradations import compress, gaussian_blur, grain
from pellucid.diagnosis import CALLS, diagnose
from pellucid.diagnosis.noise import Calm, changed, reduced
from pellucid.maths.noise import Streams
from pellucid.maths.problem import Problem, to_model, to_unit
from pellucid.methods import Auto
from pellucid.methods.method import last
from pellucid.methods.walk import CALLS as MOST
from pellucid.metrics import psnr
from pellucid.priors import Counted, Prior


def draw(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def soft(bundled: dict[str, Tensor]) -> Tensor:
    """A photograph that was scanned with twice the pixels it needs."""
    small = to_unit(bundled["coffee"][..., 32:160, 32:160])
    return F.interpolate(small, scale_factor=2, mode="bicubic").clamp(0, 1)


@given(st.integers(1, 33), st.integers(1, 33), st.sampled_from([1, 2, 4, 8]))
def test_no_change_of_the_reduced_picture_is_no_change(height: int, width: int, factor: int) -> None:
    y = draw(1, 3, height, width)
    small = reduced(y, factor)
    assert small.shape[-2:] == (-(-height // factor), -(-width // factor))
    assert torch.equal(changed(y, small, factor), y)
    torch.testing.assert_close(changed(y, small + 0.25, factor), y + 0.25)


def test_finer_detail_stays() -> None:
    """What has no mean over a square of the reduction comes back as it was, whatever happened to the means."""
    checks = torch.ones(1, 1, 32, 32)
    checks[..., ::2, ::2] = checks[..., 1::2, 1::2] = -1
    base = draw(1, 1, 16, 16)
    y = F.interpolate(base, scale_factor=2) + checks
    torch.testing.assert_close(reduced(y, 2), base)
    torch.testing.assert_close(
        changed(y, torch.zeros_like(base), 2) - changed(y - checks, torch.zeros_like(base), 2), checks
    )


def test_a_picture_is_reduced_until_its_noise_is_fine() -> None:
    fine = 0.1 * draw(1, 3, 256, 256)
    assert Calm(fine, 3, whole=fine).reduced.scale == 1
    coarse = gaussian_blur(fine, 2.0)
    calm = Calm(coarse, 3, compressed=True, whole=coarse).reduced
    assert (calm.scale, calm.kind) == (2, "colour")
    assert Calm(coarse, 1, whole=coarse).reduced.kind == "reduced"
    torch.testing.assert_close(calm.y, reduced(coarse, 2))
    assert not calm.compressed, "the file's limits are those of fine waves"
    small = coarse[..., :190, :190]
    assert Calm(small, 3, whole=small).reduced.scale == 1, "half of it is too small for a look"


def test_a_file_in_colour_is_reduced_where_all_that_it_can_hold_is_grey() -> None:
    grey, colours = 0.1 * draw(1, 1, 256, 256).expand(-1, 3, -1, -1), 0.1 * draw(1, 3, 256, 256)
    found = Calm(grey, 3, compressed=True, whole=grey).reduced
    assert (found.scale, found.compressed) == (2, False)
    assert Calm(colours, 3, compressed=True, whole=colours).reduced.scale == 1
    assert Calm(grey, 3, whole=grey).reduced.scale == 1, "no file limits it"


def test_grain_without_colour_under_a_jpeg_in_colour_goes(natural: Prior, bundled: dict[str, Tensor]) -> None:
    vivid = to_unit(bundled["coffee"][..., 32:224, 32:224])
    truth = torch.lerp(vivid.mean(1, keepdim=True), vivid, 0.4)
    scan = compress(grain(truth, 0.06, 1.2, seed=1), 90)
    state = last(Auto().iterate(Problem(to_model(scan)), natural, Streams([0])))
    assert psnr(to_unit(state.x), truth).item() > psnr(scan, truth).item() + 1.5


@pytest.mark.parametrize(("grey", "quality"), [(False, None), (True, None), (False, 85), (True, 80)])
def test_coarse_grain_of_a_scan_goes(natural: Prior, soft: Tensor, grey: bool, quality: int | None) -> None:
    truth = soft.mean(1, keepdim=True).expand_as(soft) if grey else soft
    scan = grain(truth, 0.06, 2.0, seed=1)
    scan = compress(scan, quality) if quality else scan.clamp(0, 1).mul(255).round() / 255
    counted = Counted(natural)
    found = diagnose(counted, to_model(scan)).noise
    assert counted.nfe <= CALLS
    assert found is not None
    assert found.scale == 2
    assert found.evidence["reduced"] == 2
    assert "coarse grain" in found.text
    state = last(Auto().iterate(Problem(to_model(scan)), natural, Streams([0])))
    assert psnr(to_unit(state.x), truth).item() > psnr(scan, truth).item() + 1.5
    assert state.nfe <= CALLS + MOST
    assert not grey or torch.equal(state.x[:, :1].expand_as(state.x), state.x)


def test_a_soft_photograph_without_grain_stays(natural: Prior, soft: Tensor) -> None:
    for picture in (soft.mul(255).round() / 255, compress(soft, 85)):
        assert diagnose(natural, to_model(picture)).noise is None
