"""The deep image prior."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pellucid.errors import PellucidError, UsageError
from pellucid.maths.noise import Streams
from pellucid.maths.problem import Problem, to_model, to_zero_one
from pellucid.methods import DIP
from pellucid.methods.dip import MovingVariance, _generators
from pellucid.methods.skip_network import SkipNetwork, fresh
from pellucid.operators import AveragePool, Grayscale, Mask, Operator
from pellucid.priors import Counted, GaussianPrior

PRIOR = GaussianPrior(torch.zeros(3, 1, 1), variance=torch.ones(3, 1, 1))
TINY = DIP(iterations=3, levels=2, channels=6, skip=2, inputs=4)


def images(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_the_papers_network_has_the_papers_number_of_parameters() -> None:
    """As the authors' notebook on denoising prints it."""
    with torch.device("meta"):
        network = SkipNetwork(32, 3)
    assert sum(weight.numel() for weight in network.parameters()) == 2_217_831


def test_the_network_of_one_level_written_out() -> None:
    """Down by a stride, across by one pixel, up bilinearly; each convolution normalised and made leaky."""
    torch.manual_seed(0)
    network = SkipNetwork(4, 3, levels=1, channels=6, skip=2).double()
    x = torch.rand(1, 4, 8, 8).double()

    def unit(h: Tensor, sequence: nn.Module, stride: int = 1) -> Tensor:
        convolution = next(iter(sequence.children()))
        assert isinstance(convolution, nn.Conv2d)
        border = convolution.kernel_size[0] // 2
        padded = F.pad(h, (border,) * 4, mode="reflect") if border else h
        return act(norm(F.conv2d(padded, convolution.weight, convolution.bias, stride)))

    def norm(h: Tensor) -> Tensor:
        mean, variance = h.mean((2, 3), keepdim=True), h.var((2, 3), correction=0, keepdim=True)
        return (h - mean) / (variance + 1e-5).sqrt()

    def act(h: Tensor) -> Tensor:
        return torch.where(h > 0, h, 0.2 * h)

    (down, across, up) = (list(network.get_submodule(f"{part}.0").children()) for part in ("down", "across", "up"))
    deep = unit(unit(x, down[0], 2), down[1])
    wide = F.interpolate(deep, scale_factor=2, mode="bilinear", align_corners=False)
    h = norm(torch.cat([unit(x, nn.Sequential(*across)), wide], 1))
    h = unit(unit(h, up[1]), up[2])
    expected = torch.sigmoid(F.conv2d(h, network.tail.weight, network.tail.bias))
    torch.testing.assert_close(network(x), expected)


def rebuilt(method: DIP, y: Tensor, seed: int, side: int) -> tuple[SkipNetwork, Tensor, torch.Generator]:
    """The network, its input and what its jitter is drawn from, by the documented order of the draws."""
    (generator,) = _generators(Streams([seed]), 1)
    with torch.device("meta"):
        empty = SkipNetwork(method.inputs, y.shape[1], method.levels, method.channels, method.skip)
    network = fresh(generator, y, empty)
    return network, torch.rand(1, method.inputs, side, side, generator=generator) / 10, generator


def test_two_iterates_with_adam_in_plain_arithmetic() -> None:
    """Adam's first step moves every weight by the learning rate against the sign of its gradient."""
    method = replace(TINY, iterations=2, average=0.9)
    y = images(1, 3, 8, 8)
    first, second = method.iterate(Problem(y), PRIOR, Streams([7]))
    network, u, generator = rebuilt(method, y, 7, 8)
    x = network(u + torch.randn(u.shape, generator=generator) / 30)
    loss = (x - to_zero_one(y)).square().mean()
    torch.testing.assert_close(first.x, to_model(x).detach())
    assert first.curves["loss"][0] == pytest.approx(loss.item())
    slopes = torch.autograd.grad(loss, list(network.parameters()))
    with torch.no_grad():
        for weight, slope in zip(network.parameters(), slopes, strict=True):
            weight.sub_(0.01 * slope / (slope.abs() + 1e-8))
        after = network(u + torch.randn(u.shape, generator=generator) / 30)
    torch.testing.assert_close(second.x0, to_model(after), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(second.x, 0.9 * first.x + 0.1 * second.x0)


def test_weights_come_from_pytorchs_distribution() -> None:
    (generator,) = _generators(Streams([1]), 1)
    with torch.device("meta"):
        empty = SkipNetwork(32, 3, levels=1)
    weight = fresh(generator, torch.zeros(1), empty).down[0][0][0].weight  # type: ignore[index]
    bound = 1 / math.sqrt(32 * 9)
    assert weight.abs().max() <= bound
    assert weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.02)


def test_it_learns_a_smooth_image_sooner_than_noise() -> None:
    """The impedance of the paper's figure 2: the same fit, of a picture and of noise, after the same time."""
    ramp = torch.linspace(-0.8, 0.8, 16)
    smooth = (ramp[:, None] + ramp).div(2).expand(1, 3, 16, 16)
    noise = images(1, 3, 16, 16) * smooth.std() / images(1, 3, 16, 16).std()
    method = DIP(iterations=40, levels=2, channels=16, skip=2, inputs=8)
    easy, hard = (
        [state.curves["loss"][0] for state in method.iterate(Problem(y), PRIOR, Streams([0]))][-1]
        for y in (smooth, noise)
    )
    assert easy < hard / 3


@pytest.mark.parametrize(
    ("operator", "measured"),
    [
        (Mask.box(8, 8, 2, 2, 3, 3), (1, 3, 8, 8)),
        (AveragePool(4), (1, 3, 2, 2)),
        (Grayscale(), (1, 1, 8, 8)),
    ],
)
def test_an_operator_makes_the_loss_of_the_measurement(operator: Operator, measured: tuple[int, ...]) -> None:
    y = operator.A(images(1, 3, 8, 8))
    assert y.shape == measured
    first, *_, last = DIP(iterations=40, levels=2, channels=8, skip=2, inputs=4, average=0).iterate(
        Problem(y, operator, 0.1), PRIOR, Streams([0])
    )
    assert first.x0.shape == (1, 3, 8, 8)
    assert first.curves["loss"][0] == pytest.approx((operator.A(first.x0) - y).square().mean().item() / 4, rel=1e-5)
    assert last.curves["loss"][0] < first.curves["loss"][0] / 2


# --- stopping ---------------------------------------------------------------------------------------------------------


def test_the_moving_variance_in_plain_arithmetic() -> None:
    test = MovingVariance(window=2, patience=2)
    said = []
    # Windows (0, 4), (4, 6), (6, 5), (5, 9), (9, 9.5): variances 4, 1, 0.25, 4, 0.0625.
    for value in (0.0, 4.0, 6.0, 5.0, 9.0, 9.5):
        best = test.see(torch.tensor([value]))
        said.append((best, test.variance, test.stopped))
    assert math.isnan(said[0][1])
    assert [variance for _, variance, _ in said[1:]] == [4, 1, 0.25, 4, 0.0625]
    assert [best for best, _, _ in said] == [True, True, True, True, False, True]
    assert not any(stopped for _, _, stopped in said)
    # Without a smaller one for as long as the patience.
    assert [test.see(torch.tensor([value])) for value in (20.0, 0.0)] == [False, False]
    assert test.stopped


def test_an_image_that_has_stopped_keeps_still() -> None:
    method = replace(TINY, iterations=60, stop="variance", window=4, patience=5)
    y = torch.cat([images(1, 3, 8, 8), torch.full((1, 3, 8, 8), 0.1)])
    states = list(method.iterate(Problem(y), PRIOR, Streams([0, 1])))
    alone = [list(method.iterate(Problem(y[i : i + 1]), PRIOR, Streams([i]))) for i in range(2)]
    assert len(alone[0]) != len(alone[1])
    assert len(states) == max(len(own) for own in alone) < 60
    assert states[-1].step == states[-1].total
    for i, own in enumerate(alone):
        assert torch.equal(states[-1].x[i : i + 1], own[-1].x)
        variances = [state.curves["variance"][0] for state in own]
        best = min(range(3, len(own)), key=variances.__getitem__)
        assert len(own) == best + 6
        assert torch.equal(own[-1].x, own[best].x)


# --- laws -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(3, 1, 1), (1, 5, 7), (3, 9, 4)])
def test_laws(shape: tuple[int, int, int]) -> None:
    y = images(2, *shape)
    before, state = y.clone(), torch.get_rng_state()
    counted = Counted(PRIOR)
    out = TINY(Problem(y), counted, seed=3)
    assert torch.equal(y, before)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(out, TINY(Problem(y), PRIOR, seed=3))
    assert torch.equal(out[1:], TINY(Problem(y[1:]), PRIOR, seed=4))
    assert not torch.equal(out[1:], TINY(Problem(y[1:]), PRIOR, seed=5))
    *_, last = TINY.iterate(Problem(y), PRIOR, Streams([3, 4]))
    assert last.nfe == counted.nfe == TINY.nfe(PRIOR) == 0
    assert out.shape == y.shape
    assert not out.requires_grad


def test_masks_of_each_image_of_a_batch() -> None:
    y = images(2, 3, 6, 6)
    known = (images(2, 1, 6, 6, seed=1) > 0).float()
    out = TINY(Problem(y * known, Mask(known)), PRIOR, seed=3)
    assert torch.equal(out[1:], TINY(Problem((y * known)[1:], Mask(known[1:])), PRIOR, seed=4))


def test_an_image_that_is_not_finite_is_an_error() -> None:
    with pytest.raises(PellucidError, match="at iteration 2 is not finite"):
        replace(TINY, rate=1e37)(Problem(images(1, 3, 8, 8)), PRIOR)


def test_it_minds_its_ranges() -> None:
    with pytest.raises(UsageError, match="noise level"):
        TINY(Problem(images(1, 3, 4, 4), None, 0.1), PRIOR)
    for field, value in (
        ("iterations", 0), ("rate", 0), ("jitter", -1), ("average", 1), ("stop", "soon"), ("window", 1),
        ("patience", 0), ("levels", 0), ("channels", 0), ("skip", 0), ("inputs", 0),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=field):
            DIP(**{field: value})  # type: ignore[arg-type]
