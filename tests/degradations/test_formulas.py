"""Damage where mathematics says what it must be."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pellucid import degradations
from pellucid.degradations.chance import streams
from pellucid.degradations.warp import sample, smooth_noise
from pellucid.maths.noise import Streams
from pellucid.operators.blur import anisotropic


def draw(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("peak", [5.0, 255.0])
def test_photons_have_the_mean_and_the_variance_of_poissons_law(peak: float) -> None:
    light = 0.25
    noisy = degradations.poisson(torch.full((1, 1, 300, 300), light), peak)
    # Counts are whole, and there are so many pixels that three standard errors are small.
    torch.testing.assert_close(noisy * peak, (noisy * peak).round(), atol=1e-4, rtol=0)
    assert noisy.mean().item() == pytest.approx(light, abs=3 * (light / peak) ** 0.5 / 300)
    # At peak 5 a few pixels, those that counted more than 5, were cut.
    assert noisy.var().item() == pytest.approx(light / peak, rel=0.03)
    assert degradations.poisson(torch.zeros(1, 1, 9, 9), peak).max() == 0


def test_a_white_pixel_is_clamped_after_it_was_counted() -> None:
    # P(N >= 100) for a mean of 100.
    white = degradations.poisson(torch.ones(1, 1, 200, 200), 100.0)
    assert white.max() == 1
    assert (white == 1).double().mean().item() == pytest.approx(0.5133, abs=0.008)


def test_mixed_noise_is_the_sum_of_its_parts() -> None:
    image = torch.full((1, 1, 300, 300), 0.5)
    noisy = degradations.mixed_noise(image, speckle=0.2, sigma=0.1, share=0.75)
    spread = ((0.75 * 0.2 * 0.5) ** 2 + (0.25 * 0.1) ** 2) ** 0.5
    assert noisy.std().item() == pytest.approx(spread, rel=0.02)
    assert noisy.mean().item() == pytest.approx(0.5, abs=1e-3)
    # The order of the draws: speckle first.
    rng = streams(image, 7)
    n1, n2 = rng.like(image), rng.like(image)
    expected = 0.75 * (image + 0.2 * n1 * image) + 0.25 * (image + 0.1 * n2)
    torch.testing.assert_close(degradations.mixed_noise(image, 0.2, 0.1, 0.75, seed=7), expected.clamp(0, 1))


def test_shared_noise_and_grain_are_one_field_of_their_level() -> None:
    image = torch.full((1, 3, 256, 256), 0.5)
    for damage in (degradations.shared_noise(image, 0.06), degradations.grain(image, 0.06, 1.2)):
        noise = damage - image
        assert torch.equal(noise[:, 0], noise[:, 1])
        assert noise[:, 0].std().item() == pytest.approx(0.06, rel=0.05)
    # White noise has no correlation with its neighbour; that of a Gaussian of deviation s is exp(-1 / (4 s^2)).
    flat = (degradations.grain(image, 0.06, 1.2) - image)[0, 0]
    neighbours = (flat[:, 1:] * flat[:, :-1]).mean() / flat.square().mean()
    assert neighbours.item() == pytest.approx(math.exp(-1 / (4 * 1.2**2)), abs=0.03)
    torch.testing.assert_close(degradations.grain(image, 0.06, 0.0), degradations.shared_noise(image, 0.06))


def test_chroma_noise_leaves_the_luma_its_own_noise() -> None:
    image = torch.full((1, 3, 256, 256), 0.5)
    noise = degradations.chroma_noise(image, 0.08, 2.0, 0.01) - image
    luma = (torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1) * noise).sum(1)
    assert luma.std().item() == pytest.approx(0.01, rel=0.05)
    assert (noise[:, 0] - luma).std().item() == pytest.approx(1.402 * 0.08, rel=0.15)


def test_a_sensors_noise_has_both_variances() -> None:
    noisy = degradations.poisson_gaussian(torch.full((1, 1, 300, 300), 0.4), 500.0, 0.02)
    assert noisy.var().item() == pytest.approx(0.4 / 500 + 0.02**2, rel=0.03)


def test_a_phone_without_noise_keeps_what_is_flat() -> None:
    flat = torch.tensor([0.2, 0.5, 0.7]).view(1, 3, 1, 1).expand(1, 3, 24, 24)
    shot = degradations.phone(flat, peak=2.0**24, read=0.0)
    torch.testing.assert_close(shot, flat, atol=2e-3, rtol=0)


def test_a_faded_print_is_its_line() -> None:
    image = draw(1, 3, 8, 8)
    faded = degradations.faded(image, 0.5, 0.25, (1.0, 0.9, 0.8))
    torch.testing.assert_close(faded, (0.25 + 0.5 * image) * torch.tensor([1.0, 0.9, 0.8]).view(1, 3, 1, 1))


def test_chroma_is_kept_where_it_is_not_subsampled() -> None:
    image = draw(1, 3, 32, 32)
    full, quarter = (degradations.compress(image, 95, kind) for kind in ("4:4:4", "4:2:0"))
    assert (full - image).abs().mean() < 0.3 * (quarter - image).abs().mean()


def test_low_light_is_its_curve() -> None:
    image = draw(1, 3, 8, 8)
    dark = degradations.low_light(image, exposure=0.3, gamma=2.0, noise=0.0)
    torch.testing.assert_close(dark, 0.3 * image**2)
    assert torch.equal(degradations.low_light(image, 1.0, 1.0, 0.0), image)


def test_reduction_repeats_the_mean_of_each_block() -> None:
    image = draw(1, 1, 5, 8)
    reduced = degradations.reduce(image, 4)
    for rows, columns in ((slice(0, 4), slice(0, 4)), (slice(4, 5), slice(4, 8))):
        block = image[..., rows, columns]
        torch.testing.assert_close(reduced[..., rows, columns], block.mean().expand_as(block))
    assert torch.equal(degradations.reduce(image, 1), image)
    smooth = degradations.reduce(torch.full((1, 1, 7, 7), 0.5), 3, enlarge="bicubic")
    torch.testing.assert_close(smooth, torch.full((1, 1, 7, 7), 0.5))
    # The noise is of the small image: a block is still of one colour.
    assert degradations.reduce(torch.full((1, 1, 4, 4), 0.5), 4, noise=0.1).unique().numel() == 1


def test_blur_is_a_convolution() -> None:
    point = torch.zeros(1, 1, 9, 9)
    point[..., 4, 4] = 1
    kernel = anisotropic(1.0, 2.0, 30.0, size=5)
    blurred = degradations.blur(point, kernel)
    torch.testing.assert_close(blurred[0, 0, 2:7, 2:7], kernel.float())
    # Rows after columns are the product of both.
    round_ = degradations.gaussian_blur(torch.zeros(1, 1, 17, 17).index_fill(2, torch.tensor(8), 1.0), 1.0)
    torch.testing.assert_close(round_[0, 0, 8], torch.full((17,), 0.39894), atol=2e-4, rtol=0)
    # A flat image has nothing that could be blurred, also at its edge.
    flat = torch.full((1, 3, 6, 7), 0.3)
    torch.testing.assert_close(degradations.motion_blur(flat, 9.0, 20.0), flat)
    assert torch.equal(degradations.gaussian_blur(flat, 0.0), flat)


def test_a_deformation_of_no_strength_is_the_identity() -> None:
    image = draw(2, 3, 9, 7)
    assert torch.equal(degradations.deform(image, strength=0.0), image)


def test_a_deformation_moves_a_ramp_by_its_strength() -> None:
    """On a ramp the brightness says from where each pixel came."""
    width = 400
    ramp = torch.linspace(0, 1, width).expand(1, 1, 200, width)
    moved = (degradations.deform(ramp, strength=3.0, smoothness=4.0, seed=2) - ramp)[..., 20:-20] * (width - 1)
    assert moved.std().item() == pytest.approx(3.0, rel=0.1)
    # Neighbours move nearly alike: for a Gaussian correlation the slope's spread is strength / (sqrt(2) smoothness).
    slope = (moved[..., 1:, :] - moved[..., :-1, :]).std().item()
    assert slope == pytest.approx(3 / (2**0.5 * 4), rel=0.1)


def test_a_deformation_may_blur() -> None:
    image = draw(1, 1, 64, 64)
    plain, blurred = (degradations.deform(image, 0.0, 8.0, blur) for blur in (0.0, 2.0))
    assert blurred.std() < 0.8 * plain.std()


@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 200), (128, 128)])
def test_smooth_noise_has_variance_one_at_any_size(height: int, width: int) -> None:
    like = torch.empty(200 if height * width < 1000 else 4, 1, height, width)
    field = smooth_noise(like, 3.0, Streams.of(0, len(like)))
    assert field.square().mean().sqrt().item() == pytest.approx(1, abs=0.15)


def test_sampling_is_bilinear() -> None:
    image = torch.tensor([[0.0, 1.0], [2.0, 4.0]])[None, None]
    rows = torch.tensor([[[0.0, 0.5, 1.0, -3.0, 0.5]]])
    columns = torch.tensor([[[1.0, 0.5, 0.25, 9.0, 0.0]]])
    torch.testing.assert_close(sample(image, rows, columns), torch.tensor([[[[1.0, 1.75, 2.5, 1.0, 1.0]]]]))


def test_drops_change_what_they_cover_and_nothing_else() -> None:
    image = draw(1, 3, 64, 64)
    assert torch.equal(degradations.water_drops(image, number=0), image)
    few = (degradations.water_drops(image, number=5, seed=1) != image).double().mean().item()
    many = (degradations.water_drops(image, number=30, seed=1) != image).double().mean().item()
    assert 0.01 < few < 0.3 < many < 0.9
    # On a flat image nothing is seen of refraction or blur, so without light nothing is seen at all.
    flat = torch.full((1, 3, 32, 32), 0.4)
    torch.testing.assert_close(degradations.water_drops(flat, light=0.0), flat)
    assert degradations.water_drops(flat, light=0.5).mean() > flat.mean()


def test_a_drop_turns_the_scene_upside_down() -> None:
    """On a vertical ramp brightness grows downwards; within a drop it falls."""
    ramp = torch.linspace(0, 1, 200)[:, None].expand(1, 1, 200, 200)
    seen = degradations.water_drops(ramp, number=1, size=0.2, refraction=2.0, blur=0.0, light=0.0, seed=5)
    slopes = (seen - ramp).diff(dim=2)[0, 0] * 199
    # The difference of a slope of -1 and one of 1, wherever the drop covers all.
    assert (slopes < -1.9).double().mean() > 0.02


@pytest.mark.parametrize("name", ["rain", "snow"])
def test_weather_only_adds_light(name: str) -> None:
    image = draw(1, 3, 48, 48)
    weather = degradations.get(name)(image, 0)
    assert (weather >= image - 1e-6).all()
    assert torch.equal(degradations.get(name, light=0.0)(image, 0), image)
    assert torch.equal(degradations.get(name, amount=0.0)(image, 0), image)


def test_a_streak_has_its_direction() -> None:
    black = torch.zeros(1, 1, 64, 64)
    level = degradations.rain(black, amount=0.002, length=15.0, degrees=0.0, seed=1)
    upright = degradations.rain(black, amount=0.002, length=15.0, degrees=90.0, seed=1)
    assert level.diff(dim=3).abs().sum() * 3 < level.diff(dim=2).abs().sum()
    assert upright.diff(dim=2).abs().sum() * 3 < upright.diff(dim=3).abs().sum()
