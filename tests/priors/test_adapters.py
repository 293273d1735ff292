from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pellucid.errors import UsageError
from pellucid.maths.noise import linear_ladder
from pellucid.priors import GaussianPrior, Padded, VENetwork, VPNetwork
from pellucid.priors.adapters import Prediction

LADDER = linear_ladder()
EXACT = GaussianPrior(torch.full((3, 1, 1), 0.1).double(), variance=torch.full((3, 1, 1), 0.3).double())


def draw(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def network(prediction: Prediction, x_vp: Tensor, t: Tensor) -> Tensor:
    """What a perfect network of the Gaussian would predict, in the coordinates it would be trained in."""
    sigma = torch.tensor(
        [math.exp(torch.lerp(LADDER[int(i)].log(), LADDER[min(int(i) + 1, 999)].log(), i % 1)) for i in t]
    )
    sigma = sigma.double().view(-1, 1, 1, 1)
    abar = 1 / (1 + sigma**2)
    x0 = EXACT(x_vp / abar.sqrt(), sigma)
    epsilon = (x_vp - abar.sqrt() * x0) / (1 - abar).sqrt()
    return {"epsilon": epsilon, "v": abar.sqrt() * epsilon - (1 - abar).sqrt() * x0, "x0": x0}[prediction]


@pytest.mark.parametrize("prediction", ["epsilon", "v", "x0"])
def test_every_prediction_gives_the_same_posterior_mean(prediction: Prediction) -> None:
    prior = VPNetwork(lambda x, t: network(prediction, x, t.double()), LADDER, prediction)
    for sigma in (LADDER[0].item(), LADDER[300].item(), 0.123, 7.0, LADDER[999].item()):
        x = 0.1 + sigma * draw(2, 3, 4, 4)
        torch.testing.assert_close(prior(x, sigma), EXACT(x, sigma), atol=1e-4, rtol=1e-4)
    levels = torch.tensor([0.2, 3.0])
    torch.testing.assert_close(prior(x, levels), EXACT(x, levels), atol=1e-4, rtol=1e-4)


def test_a_learned_variance_is_left_aside() -> None:
    prior = VPNetwork(lambda x, t: torch.cat([torch.ones_like(x), torch.full_like(x, 9)], 1), LADDER)
    x = draw(1, 3, 2, 2)
    torch.testing.assert_close(prior(x, 0.5), x - 0.5)


def test_a_learned_variance_is_told_in_the_same_evaluation() -> None:
    calls = []

    def six(x: Tensor, t: Tensor) -> Tensor:
        calls.append(t)
        return torch.cat([torch.ones_like(x), x.tanh()], 1)

    prior, x = VPNetwork(six, LADDER), draw(1, 3, 2, 2)
    both = prior.learned(x, 0.5)
    assert len(calls) == 1
    torch.testing.assert_close(both[:, :3], prior(x, 0.5))
    torch.testing.assert_close(both[:, 3:], (1 + (x / math.sqrt(1.25)).tanh()) / 2)
    with pytest.raises(UsageError, match="has no learned variance"):
        VPNetwork(lambda x, t: x, LADDER).learned(x, 0.5)


def test_training_steps_are_found_exactly_at_the_ladder_and_between_it() -> None:
    continuous = VPNetwork(lambda x, t: x, LADDER)
    nearest = VPNetwork(lambda x, t: x, LADDER, timesteps="nearest")
    for t in (0, 1, 299, 998, 999):
        assert continuous.time_of(LADDER[t].item()) == pytest.approx(t, abs=1e-6)
        assert nearest.time_of(LADDER[t].item()) == t
    between = math.sqrt(LADDER[300].item() * LADDER[301].item())
    assert continuous.time_of(between) == pytest.approx(300.5)
    assert nearest.time_of(between * 0.9999) == 300
    assert nearest.time_of(between * 1.0001) == 301
    for prior in (continuous, nearest):
        assert prior.time_of(0.0) == prior.time_of(1e-3) == 0
        assert prior.time_of(1e4) == 999


def test_the_network_sees_the_coordinates_it_was_trained_in() -> None:
    seen: list[tuple[Tensor, Tensor]] = []

    def look(x: Tensor, t: Tensor) -> Tensor:
        seen.append((x, t))
        return x

    x = draw(1, 3, 2, 2)
    VPNetwork(look, LADDER)(x, LADDER[300].item())
    torch.testing.assert_close(seen[0][0], x * math.sqrt(0.394011), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(seen[0][1], torch.tensor([300.0]))


def test_a_network_of_the_librarys_own_gets_a_level_per_image() -> None:
    prior = VENetwork(lambda x, sigma: x * sigma.view(-1, 1, 1, 1), LADDER)
    x = torch.ones(2, 3, 2, 2)
    assert prior(x, 0.5).unique().tolist() == [0.5]
    assert prior(x, torch.tensor([1.0, 2.0]))[:, 0, 0, 0].tolist() == [1, 2]


def test_a_wrong_description_is_refused() -> None:
    with pytest.raises(UsageError, match="epsilon, v or x0"):
        VPNetwork(lambda x, t: x, LADDER, "noise")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="nearest"):
        VPNetwork(lambda x, t: x, LADDER, timesteps="rounded")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="ascending"):
        VPNetwork(lambda x, t: x, LADDER.flip(0))


@pytest.mark.parametrize(
    "prior", [VENetwork(lambda x, _: x, LADDER, multiple=4), VPNetwork(lambda x, _: x, LADDER, multiple=4)]
)
def test_images_that_a_network_does_not_take_are_refused(prior: VENetwork | VPNetwork) -> None:
    with pytest.raises(UsageError, match=r"divide by 4, not 8 x 6: .*Padded"):
        prior(torch.zeros(1, 3, 8, 6), 0.5)
    with pytest.raises(UsageError, match="3 channels, not of 1"):
        prior(torch.zeros(1, 1, 8, 8), 0.5)
    assert Padded(prior)(torch.zeros(1, 3, 8, 6), 0.5).shape == (1, 3, 8, 6)
