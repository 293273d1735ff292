"""How often `auto` asks the prior, of how much of the picture."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from pellucid.diagnosis import CALLS, Diagnosis
from pellucid.diagnosis.compression import Compression
from pellucid.diagnosis.content import Content, estimate
from pellucid.diagnosis.noise import LEAST, Calm, examined
from pellucid.maths.noise import Streams
from pellucid.maths.problem import Problem
from pellucid.methods import Auto
from pellucid.methods.method import last
from pellucid.operators import Jpeg

SIDE, PART = 800, 384
MOST = 12


class Smoothing:
    """A cheap denoiser: what it is told there is, over what it sees there is, is taken away from what is not smooth."""

    channels = 3
    multiple = 1
    sigmas = torch.linspace(0.01, 157, 100, dtype=torch.float64)

    def __init__(self) -> None:
        self.seen: list[tuple[int, ...]] = []

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        self.seen.append(tuple(x.shape[-2:]))
        smooth = F.avg_pool2d(x, 5, 1, 2, count_include_pad=False)
        level = torch.as_tensor(sigma).to(x).view(-1, 1, 1, 1) ** 2
        kept = ((x - smooth).square().mean((1, 2, 3), keepdim=True) / level.clamp_min(1e-12) - 1).clamp(0, 1)
        return smooth + kept * (x - smooth)


def scene() -> Tensor:
    """A picture with slopes and an edge, nowhere exactly flat."""
    row = torch.linspace(-0.7, 0.7, SIDE)
    smooth = torch.stack([row[:, None] + 0.2 * row, 0.5 * row[None].expand(SIDE, -1), -row[:, None] * row]) * 0.8
    smooth[:, :, SIDE // 3 :] += 0.2
    return smooth[None] + 0.004 * torch.randn(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


def noise(colour: str) -> Tensor:
    drawn = torch.randn(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    if colour == "coarse":
        drawn = 2 * F.avg_pool2d(F.pad(drawn, (1, 1, 1, 1), mode="circular"), 3, 1)
    return 0.12 * drawn


def damaged(damage: str) -> tuple[Tensor, Diagnosis]:
    y = scene()
    if damage.startswith("jpeg"):
        operator = Jpeg(int(damage.split()[1]))
        # Compression makes the smooth scene flat, as if it were drawn.
        return operator.A(y), Diagnosis(Content(0.0, False), Compression(operator.coding, told=True))
    if damage == "grey":
        return (y.mean(1, keepdim=True) + noise("white")[:, :1]).expand(-1, 3, -1, -1).contiguous(), Diagnosis()
    return (y if damage == "none" else y + noise(damage)), Diagnosis()


@pytest.mark.parametrize("damage", ["none", "jpeg 75", "jpeg 30", "white", "coarse", "grey"])
def test_few_evaluations_of_the_whole_and_of_the_part(damage: str) -> None:
    y, known = damaged(damage)
    prior = Smoothing()
    state = last(Auto().iterate(Problem(y, known=(known,)), prior, Streams([0])))
    whole, part = prior.seen.count((SIDE, SIDE)), prior.seen.count((PART, PART))
    assert whole + part == len(prior.seen) == state.nfe
    assert whole <= MOST
    assert part <= CALLS
    if damage == "white":
        # One call is best where noise is white.
        assert whole == 1
    if damage == "none":
        assert whole == 0
    if damage.startswith("jpeg"):
        # Fine files need fewer.
        assert whole == {"jpeg 75": 3, "jpeg 30": 7}[damage]


@pytest.mark.parametrize("damage", ["none", "jpeg 75", "white", "coarse", "grey"])
def test_evaluations_that_cannot_change_the_finding_are_not_made(damage: str) -> None:
    y = damaged(damage)[0]
    calm = Calm.of(y, estimate(y))
    assert calm is not None
    full, short = Smoothing(), Smoothing()
    every, credible = examined(full, calm), examined(short, calm, credible=True)
    assert every is not None
    if damage in ("none", "jpeg 75"):
        assert credible is None
        assert every.level < LEAST
        assert len(short.seen) < len(full.seen)
    else:
        assert credible is not None
        assert torch.equal(credible.spectrum.power, every.spectrum.power)
        assert (credible.confidence, short.seen) == (every.confidence, full.seen)


def test_nothing_is_asked_where_nothing_can_be() -> None:
    prior = Smoothing()
    calm = scene()[..., :256, :256] * 0.5
    quiet = Calm.of(calm, estimate(calm))
    assert quiet is not None
    assert quiet.silent
    assert last(Auto().iterate(Problem(calm), prior, Streams([0]))).nfe == 0 == len(prior.seen)
    loud = calm + 2 * LEAST * torch.randn(calm.shape, generator=torch.Generator().manual_seed(0))
    noisy = Calm.of(loud, estimate(loud))
    assert noisy is not None
    assert not noisy.silent
    assert Calm.of(calm[..., :8, :8], Content(0.0, False)) is None
