from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from pellucid.api import Restorer
from pellucid.methods import DIIP
from pellucid.priors import Latent, load_prior
from pellucid.priors.memory import _peak, estimate


class Two(nn.Module):
    """Two layers of which each makes ten times as many numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(10, 100), nn.Linear(100, 1000)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.second(self.first(x))
        return made


@pytest.mark.parametrize(("gradient", "numbers"), [(False, 100 + 1000), (True, 100 + 1000)])
def test_what_is_alive_at_once(gradient: bool, numbers: int) -> None:
    assert _peak(Two(), (1, 10), gradient) == 4 * numbers


def test_a_gradient_keeps_what_its_way_back_needs() -> None:
    chain = nn.Sequential(*[nn.Sigmoid() for _ in range(10)])
    assert _peak(chain, (1, 100), False) == 2 * 400
    assert _peak(chain, (1, 100), True) == 10 * 400


def test_attention_makes_no_matrix_of_all_pairs() -> None:
    class Attention(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.scaled_dot_product_attention(x, x, x)

    assert _peak(Attention(), (1, 1, 1000, 4), False) == 4 * 4000


def test_an_estimate(tiny_sdxl: Path) -> None:
    prior, shape = load_prior(tiny_sdxl), load_prior(tiny_sdxl, "meta")
    assert isinstance(prior, Latent)
    assert isinstance(shape, Latent)
    small, large, tiled = (estimate(prior, size, size, tile) for size, tile in ((64, 512), (128, 512), (128, 64)))
    assert estimate(shape, 128, 128, 512) == large
    parts = [network.state_dict().values() for network in (prior.network, prior.vae.network)]
    assert small.weights == 4 * sum(weight.numel() for part in parts for weight in part)
    assert large.autoencoder == pytest.approx(4 * small.autoencoder, rel=0.2)
    assert (tiled.evaluation, tiled.autoencoder) == (small.evaluation, small.autoencoder)
    assert large.total == large.weights + max(large.evaluation, large.autoencoder) + large.images
    weight = next(prior.network.parameters())
    assert not weight.is_meta
    assert prior(torch.zeros(1, 4, 2, 2), 1.0).isfinite().all()


def test_gradients_need_more(tiny_sd: Path) -> None:
    prior = load_prior(tiny_sd)
    plain, blind, told = (Restorer(method, prior) for method in ("denoise", DIIP(gradient="exact"), "gdp"))
    needs = [restorer.memory(128, 128) for restorer in (plain, blind, told)]
    assert needs[0] is not None
    assert needs[1] is not None
    assert needs[2] is not None
    assert needs[1].evaluation > 2 * needs[0].evaluation
    assert needs[1].autoencoder == needs[0].autoencoder
    assert needs[2].autoencoder > 2 * needs[0].autoencoder


def test_a_prior_of_pixels_is_not_estimated(tiny_prior: Path) -> None:
    assert Restorer("denoise", tiny_prior).memory(64, 64) is None
