from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pellucid.degradations import faded
from pellucid.diagnosis import exposure
from pellucid.errors import UsageError
from pellucid.maths.noise import Streams
from pellucid.maths.problem import Problem, to_model, to_unit
from pellucid.methods import Unfade
from pellucid.methods.method import last
from pellucid.methods.unfade import levels
from pellucid.metrics import psnr
from pellucid.priors import load_prior


def scene(*ends: tuple[float, float]) -> Tensor:
    """All values between the ends of each channel, in [-1, 1]."""
    return to_model(torch.stack([torch.linspace(low, high, 64 * 64) for low, high in ends]).view(1, -1, 64, 64))


def ends(image: Tensor) -> list[list[float]]:
    return [side.tolist() for side in exposure.quantiles(image)]


def test_each_channel_reaches_black_and_white() -> None:
    low, high = ends(levels(scene((0.3, 0.7), (0.25, 0.75), (0.2, 0.6)), 0.03, 0.95, 1.0, 3.0))
    assert low == pytest.approx([0.03] * 3, abs=1e-3)
    assert high == pytest.approx([0.95] * 3, abs=1e-3)


def test_without_balance_every_channel_gets_the_same_line() -> None:
    y = scene((0.3, 0.7), (0.25, 0.75), (0.2, 0.6))
    x = levels(y, 0.1, 0.8, 0.0, 3.0)
    slope = (to_unit(x[..., 1:]) - to_unit(x[..., :-1])) / (to_unit(y[..., 1:]) - to_unit(y[..., :-1]))
    torch.testing.assert_close(slope, torch.full_like(slope, slope.median().item()), rtol=0.02, atol=0.02)


def test_what_has_its_range_stays_and_the_gain_is_bounded() -> None:
    whole = scene((0, 1), (0, 1), (0, 1))
    torch.testing.assert_close(levels(whole, 0.03, 0.95, 1.0, 3.0), whole)
    low, high = ends(levels(scene((0.4, 0.5)), 0.03, 0.95, 1.0, 2.0))
    assert high[0] - low[0] == pytest.approx(2 * 0.099, rel=1e-3)
    assert torch.isfinite(levels(torch.zeros(1, 3, 8, 8), 0.03, 0.95, 1.0, 3.0)).all()


def test_the_order_of_tones_stays() -> None:
    steps = levels(scene((0.3, 0.7)), 0.03, 0.95, 1.0, 3.0).flatten().diff()
    assert (steps >= 0).all()


@pytest.mark.parametrize("wrong", [{"black": -0.1}, {"white": 0.01}, {"balance": 2.0}, {"gain": 0.5}])
def test_wrong_values(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        Unfade(**wrong)


def test_a_faded_photograph_gains_and_its_diagnosis_names_the_task(bundled: dict[str, Tensor]) -> None:
    truth = to_unit(bundled["coffee"][..., 64:192, 64:192])
    y = to_model(faded(truth))
    found = exposure.estimate(y)
    assert found is not None
    assert found.remedy == "--task unfade"
    state = last(Unfade().iterate(Problem(y), load_prior("natural"), Streams.of(0, 1)), None)
    assert psnr(to_unit(state.x), truth) > psnr(to_unit(y), truth) + 3
    assert "stretched" in state.notes[0]
