"""Shortcuts of the diagnosis give what the plain formulas give."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from pellucid.degradations import printed
from pellucid.diagnosis import (
    blur,
    compression,
    content,
    enlarged,
    exposure,
    frame,
    likelihood,
    recompression,
    scratches,
    screen,
)
from pellucid.diagnosis.coefficients import cosines_of
from pellucid.diagnosis.noise import Calm, part
from pellucid.diagnosis.noise.blocks import blocks
from pellucid.diagnosis.noise.finding import LEAST
from pellucid.diagnosis.noise.search import examined
from pellucid.diagnosis.noise.signs import SIDE, STRIDE
from pellucid.diagnosis.noise.stationary import BANDS, EDGES, ladder, to_opponent
from pellucid.diagnosis.noise.white import _flattest
from pellucid.diagnosis.spectrum import BLOCK, Photographs, polar, spectrum
from pellucid.diagnosis.spectrum import LEAST as LEAST_POWER
from pellucid.diagnosis.steps import comb_of
from pellucid.maths.few import ranked
from pellucid.maths.noise import linear_ladder
from pellucid.operators.blur import _fast, gaussian
from pellucid.operators.jpeg import cosines
from pellucid.operators.quantised import _SWEEPS, narrowed
from pellucid.operators.window import Window
from pellucid.priors import Counted, VENetwork
from pellucid.priors.prior import reflected, reflection


def draw(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def test_half_a_transform_has_the_whole_spectrum() -> None:
    image = draw(1, 1, BLOCK, BLOCK)
    row = torch.hann_window(BLOCK, periodic=True, dtype=torch.float64)
    window = row[:, None] * row
    window = window / window.square().mean().sqrt()
    own = image[0].double()
    own = (own - (own * window).mean() / window.mean()) * window
    whole = polar(torch.fft.fft2(own).abs().square() / BLOCK**2)[0]
    torch.testing.assert_close(spectrum(image), whole, rtol=1e-5, atol=1e-9)


def test_the_coherence_is_the_stated_one() -> None:
    spectra, half = torch.fft.fft(draw(20, 120)), torch.fft.rfft(draw(20, 120))
    for factor in (1.5, 2.0, 3.0, 4.0):
        at = torch.arange(-int(-120 * 0.55 / factor // 1), int(120 * 0.47))
        both = spectra[:, at] * spectra[:, (at - round(120 / factor)) % 120].conj()
        stated = (both.sum(0).abs() / both.abs().sum(0)).mean().item()
        assert enlarged._coherence(half, half.abs(), factor) == pytest.approx(stated, rel=1e-5)


@pytest.mark.parametrize("side", [5, 25, 41])
def test_a_mean_by_rows_and_columns_is_that_of_the_square(side: int) -> None:
    x = draw(1, 1, 50, 47)
    for of in (x, (1000 * x).short()):
        square = F.avg_pool2d(F.pad(of.double(), (side // 2,) * 4, mode="replicate"), side, 1)[0, 0]
        found = torch.from_numpy(scratches._around(of[0, 0].numpy(), side))
        torch.testing.assert_close(found.double(), square, rtol=1e-4, atol=1e-5)
    assert torch.equal(torch.from_numpy(scratches._largest(x[0, 0].numpy(), side)), F.max_pool2d(x, side, 1)[0, 0])


@pytest.mark.parametrize(("offset", "step"), [((0, 0), 1), ((3, 5), 1), ((2, 7), 3)])
def test_coefficients_are_the_cosine_transform_of_whole_blocks(offset: tuple[int, int], step: int) -> None:
    plane, matrix = 100 * draw(43, 61), cosines().float()
    rows, columns = ((size - at) // 8 for size, at in zip(plane.shape, offset, strict=True))
    every = [
        matrix @ plane[offset[0] + 8 * r :, offset[1] + 8 * c :][:8, :8] @ matrix.T
        for r in range(rows)
        for c in range(columns)
    ]
    found = cosines_of(plane, offset, step)
    torch.testing.assert_close(found, torch.stack(every[::step]).flatten(1), rtol=1e-4, atol=1e-3)


def test_maxima_on_and_in_a_square_of_a_periodic_plane() -> None:
    x = draw(BLOCK, BLOCK)

    def largest(reach: int, on: bool) -> Tensor:
        places = [(i, j) for i in range(-reach, reach + 1) for j in range(-reach, reach + 1)]
        return torch.stack([x.roll(at, (0, 1)) for at in places if not on or max(map(abs, at)) == reach]).amax(0)

    assert torch.equal(content._beside(x), largest(content._AROUND, True))
    assert torch.equal(content._widest(x), largest(content._WIDE // 2, False))


@pytest.mark.parametrize(("number", "axes"), [(9, 1), (130, 2), (131, 3)])
def test_the_typical_spectrum_is_the_median_of_whole_transforms(number: int, axes: int) -> None:
    own = draw(number, 3, screen.SIDE, screen.SIDE)
    slope = torch.hann_window(screen.SIDE)
    window = slope[:, None] * slope
    waves = torch.fft.fft2(to_opponent(own - own.mean((-2, -1), keepdim=True))[:, :axes] * window)
    power = waves.abs().square() / window.square().sum()
    stated = (power.median(0).values + LEAST_POWER).log()
    torch.testing.assert_close(screen._typical(own, axes), stated, rtol=1e-4, atol=1e-4)


def test_some_blocks_are_looked_at_first_and_all_where_these_have_a_peak(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []

    def counted(blocks: Tensor, axes: int) -> Tensor:
        looked.append(len(blocks))
        return typical(blocks, axes)

    typical = screen._typical
    monkeypatch.setattr(screen, "_typical", counted)
    tone = torch.linspace(0.2, 0.8, 304).expand(1, 1, 304, 304) + 0.01 * draw(1, 1, 304, 304)
    assert screen.estimate(2 * tone - 1, 1) is None
    print_of_it = 2 * printed(tone.clamp(0, 1), 5.0, 30.0) - 1
    found = screen.estimate(print_of_it, 1)
    small = screen.estimate(print_of_it[..., :96, :96], 1)
    assert looked == [100, 100, 324, 25], "of 324 blocks 100 first, of 25 all"
    assert found is not None
    assert small is not None
    assert found.period == pytest.approx(5.0, rel=0.05)


@pytest.mark.parametrize("plain", [(0, 0), (1, 0), (0, 5), (9, 16), (70, 3), (100, 0)])
def test_plain_lines_end_at_the_first_uneven_one(plain: tuple[int, int]) -> None:
    before, after = plain
    rows = draw(3, 120, 9)
    rows[:, 10 : 10 + before] = 0.5
    rows[:, 110 - after : 110] = 0.25
    uneven = (rows.amax(-1) - rows.amin(-1) > frame._SAME).any(0)[10:110].nonzero().flatten()
    stated = (10 + int(uneven[0]), 11 + int(uneven[-1])) if len(uneven) else (10, 10)
    assert frame._trimmed(rows, 10, 110) == stated
    assert frame._trimmed(rows.mT.contiguous().mT, 10, 110) == stated


@pytest.mark.parametrize("axis", [-2, -1])
def test_the_colours_before_an_enlargement_do_not_depend_on_the_lines_at_once(
    axis: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pellucid.operators.quantised._LINES", 3)
    monkeypatch.setattr("pellucid.operators.quantised._CACHED", 1)
    for size in ((1, 1), (2, 7), (23, 10)):
        samples = draw(2, *size)
        x = samples
        for _ in range(_SWEEPS):
            near = [x.narrow(axis, at, 1) for at in (0, x.shape[axis] - 1)]
            around = torch.cat([near[0], x, near[1]], axis)
            sides = around.narrow(axis, 0, x.shape[axis]) + around.narrow(axis, 2, x.shape[axis])
            x = (samples - sides / 8) / 0.75
        assert torch.equal(narrowed(samples, axis), x)


@pytest.mark.parametrize("centred", [False, True])
def test_the_power_of_a_block_by_band(centred: bool) -> None:
    x = draw(1, 3, SIDE + 3, SIDE + STRIDE) + 0.5
    slope = torch.hann_window(SIDE)
    window = slope[:, None] * slope
    own = to_opponent(x)[0, :, :SIDE, STRIDE:]
    own = own - own.mean((-2, -1), keepdim=True) if centred else own
    own = own * window / window.square().mean().sqrt()
    power = torch.fft.fft2(own, norm="ortho").abs().square()
    at = torch.hypot(torch.fft.fftfreq(SIDE)[:, None], torch.fft.fftfreq(SIDE)[None])
    band = torch.bucketize(at, torch.tensor(EDGES[1:-1]), right=True)
    stated = torch.stack([power[:, band == number].mean(1) for number in range(BANDS)], 1)
    torch.testing.assert_close(blocks(x, centred=centred)[1], stated, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("clipped", [0, 40])
def test_the_flattest_directions_of_patches_are_those_of_their_covariance(clipped: int) -> None:
    y = 0.1 * draw(1, 3, 150, 90) + torch.linspace(-0.4, 0.4, 90)
    y[..., :clipped, :] = 1.0
    patches = F.unfold(y[..., clipped:, :], 5)[0].double()
    least = torch.linalg.eigvalsh(patches.cov(correction=0))[: 75 // 8].mean().sqrt().item()
    assert _flattest(y, 3) == pytest.approx(least, rel=1e-4)


def test_the_grid_of_a_large_picture_is_looked_for_in_its_middle() -> None:
    side = blur._MOST
    image = draw(1, 1, side + 32, side + 16)
    assert blur.blockiness(image) == blur.blockiness(image[..., 16:-16, 8:-8])
    assert blur.blockiness(image) != blur.blockiness(image[..., :-32, :-16])


@pytest.mark.parametrize(
    ("size", "seen"),
    [
        ((750, 31), (736, 31)),
        ((127, 451), (127, 448)),
        ((751, 31), (384, 31)),
        ((3000, 4000), (384, 384)),
    ],
)
def test_a_prior_sees_384_pixels_of_a_large_side_and_a_multiple_of_16(
    size: tuple[int, int], seen: tuple[int, int]
) -> None:
    rows = torch.arange(float(size[0]))[:, None].expand(size)
    shown = part(rows[None, None])
    assert tuple(shown.shape[-2:]) == seen
    if size[0] > 750:
        starts = shown[0, 0, ::96, 0].tolist()
        assert all(start % 16 == 0 for start in starts)
        middles = [(2 * i + 1) * size[0] / 8 for i in range(4)]
        assert all(0 <= middle - 48 - start < 16 for start, middle in zip(starts, middles, strict=True))


def test_the_evidence_of_a_step_is_of_all_numbers_that_it_does_not_round_to_zero() -> None:
    numbers = 20 * draw(40, 64) ** 3
    comb = comb_of(numbers, torch.ones(40, dtype=torch.bool))
    for step in (1, 7, 60, 160):
        off = (numbers - step * (numbers / step).round()).abs()
        used = numbers.abs() > step / 2
        ratio = 0.95 * step / (0.3 * (2 * torch.pi) ** 0.5) * (-0.5 * (off / 0.3).square()).exp() + 0.05
        stated = torch.stack([(ratio.log() * used).sum(0), used.sum(0), (used & (off < 0.9)).sum(0)])
        found = torch.stack([table[:, step - 1] for table in (comb.logarithm, comb.used, comb.near)])
        torch.testing.assert_close(found, stated, rtol=1e-4, atol=1e-3)


def test_the_likelihood_of_a_spectrum_is_the_normal_distributions() -> None:
    """At the start of the search: all of its factors, the noise and the rest as one dense covariance."""
    chances, photographs = likelihood._chances(False), Photographs.load()
    seen, expected = photographs.mean + 0.1 * draw(len(photographs.mean)).double(), photographs.mean[None] - 0.2
    noise = torch.full((1, 1), photographs.mean.mean().item(), dtype=torch.float64)
    share = torch.sigmoid(expected - noise)[0]
    low = torch.cat([share[:, None] * chances.factors, (1 - share)[:, None]], 1)
    rest = share.square() * chances.rest + (1 - share).square() * photographs.chance
    normal = torch.distributions.MultivariateNormal(
        torch.logaddexp(expected, noise)[0], low @ low.T + rest.diag(), validate_args=False
    )
    stated = normal.log_prob(seen) + len(seen) / 2 * math.log(2 * math.pi)
    found, *_ = likelihood._fit(seen, expected, chances, photographs.chance, noise, 1)
    torch.testing.assert_close(found[0], stated, rtol=1e-9, atol=1e-6)


@pytest.mark.parametrize("number", range(scratches.DIRECTIONS))
def test_a_line_repeats_the_edge(number: int) -> None:
    x, (right, down) = draw(9, 11), scratches._directions()[number]
    rows, columns = torch.arange(9), torch.arange(11)
    for length in (4, 16):
        at = [(0, 0)]
        for reach in (2**power for power in range(length.bit_length() - 1)):
            at += [(i + round(down * reach), j + round(right * reach)) for i, j in at]
        every = [x[(rows + i).clamp(0, 8)][:, (columns + j).clamp(0, 10)] for i, j in at]
        ahead = torch.from_numpy(scratches._ahead(torch.stack([x, -x]).numpy(), (right, down), length, np.maximum))
        assert torch.equal(ahead[0], torch.stack(every).amax(0))
        assert torch.equal(ahead[1], -torch.stack(every).amin(0))
        back, left = (round(share * (length - 1) / 2) for share in (down, right))
        moved = x[(rows - back).clamp(0, 8)][:, (columns - left).clamp(0, 10)]
        own, wider = (torch.from_numpy(scratches._centred(x.numpy(), (right, down), length, edge)) for edge in (0, 3))
        assert torch.equal(own, moved)
        assert torch.equal(wider, F.pad(moved[None, None], (3,) * 4, mode="replicate")[0, 0])


def test_a_search_without_a_believed_kernel_ends_early_and_others_are_the_same() -> None:
    power = spectrum(F.avg_pool2d(draw(1, 1, 132, 132), 5, 1))
    whole = likelihood.search(power)
    found = likelihood.search(power, believed=lambda shape, margin: shape.family == "disk")
    assert {family: shape for family, (shape, _) in found.items()} == {own: shape for own, (shape, _) in whole.items()}
    for family, (_, margin) in whole.items():
        assert found[family][1] == pytest.approx(margin, rel=1e-9)
    assert list(likelihood.search(power, believed=lambda shape, margin: False)) == ["none"]
    assert list(likelihood.search(power, believed=lambda shape, margin: margin == math.inf)) == ["none"]


def test_no_table_explains_numbers_better_than_their_own_distribution() -> None:
    counts = torch.randint(0, 9, (20, recompression._SIZES - 1), generator=torch.Generator().manual_seed(0)).float()
    sizes, spread = torch.arange(1.0, recompression._SIZES), torch.full((20, 1), 7.0)
    once = recompression._between(sizes - 0.5, sizes + 0.5, spread)
    once = once / once.sum(1, keepdim=True)
    most = recompression._own_ratio(counts, once)
    step = torch.linspace(2, 9, 20)
    tables = step * torch.linspace(1.1, 6, 30)[:, None]
    found = recompression._ratio(tables, step, spread, counts, once)
    assert (found <= most.sum() + 1e-3).all()
    alone = [recompression._ratio(own[None], step, spread, counts, once) for own in tables]
    torch.testing.assert_close(found, torch.cat(alone))


def test_the_grid_is_where_most_coefficients_are_small() -> None:
    plane = 2 * draw(37, 50)
    shares = compression._shares(plane)
    for offset in ((0, 0), (3, 5), (7, 2)):
        small = cosines_of(plane, offset)[:, 1:].abs() < 0.5
        assert shares[offset].item() == pytest.approx(small.float().mean().item(), abs=1e-6)


def test_some_rows_have_each_offset_of_every_fourth_row_of_blocks() -> None:
    plane = 2 * draw(111, 50)
    shares = compression._shares(compression._some_rows(plane))
    for row, column in ((0, 0), (3, 5), (7, 2)):
        own = torch.cat([plane[top + row : top + row + 8] for top in range(0, 111 - 14, 32)])
        small = cosines_of(own, (0, column))[:, 1:].abs() < 0.5
        assert shares[row, column].item() == pytest.approx(small.float().mean().item(), abs=1e-6)


@pytest.mark.parametrize("number", [1, 2, 3, 1000, 1001])
def test_a_quantile_without_sorting(number: int) -> None:
    x = draw(number)
    assert [ranked(x, rank).item() for rank in range(0, number, 7)] == x.sort().values[::7].tolist()
    for share in (0.0, 0.005, 0.5, 0.995, 1.0):
        assert exposure._quantile(x, share) == torch.quantile(x, share).item()


@pytest.mark.parametrize("size", [(13, 19), (16, 16), (31, 8)])
def test_a_window_at_a_fast_size_is_the_same(size: tuple[int, int]) -> None:
    """Of the image only what the kernel reaches counts, whatever is appended; the adjoint is one."""
    window, x = Window(gaussian(1.0)), draw(1, 3, size[0] + 8, size[1] + 8).double()
    weight = gaussian(1.0).expand(3, 1, -1, -1)
    y = window.A(x)
    torch.testing.assert_close(y, F.conv2d(x, weight, groups=3))
    torch.testing.assert_close((window.At(y) * x).sum(), y.square().sum())
    assert [_fast(size) for size in (1, 7, 683, 720)] == [1, 8, 720, 720]


def test_reflected_edges_are_those_of_the_indices() -> None:
    for height, width in ((1, 3), (2, 9), (7, 16), (33, 31)):
        x = draw(1, 2, height, width)
        rows, columns = (reflection(size, -(-size // 8) * 8) for size in (height, width))
        assert torch.equal(reflected(x, 8), x[:, :, rows][..., columns])


def test_a_first_walk_that_takes_too_little_is_the_last() -> None:
    prior = Counted(VENetwork(lambda x, sigma: 0.7 * x, linear_ladder()))
    calm = Calm(0.04 * draw(1, 3, 64, 64), 3)
    whole = examined(prior, calm)
    assert whole is not None
    assert whole.level < LEAST
    prior.nfe = 0
    assert examined(prior, calm, credible=True) is None
    assert prior.nfe == 1 + len(ladder(calm.bound, 2, 3)), "one call for white noise, and the first walk"
