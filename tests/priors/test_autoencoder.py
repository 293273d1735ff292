from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from pellucid.api import Restorer
from pellucid.errors import UsageError
from pellucid.priors import Latent, load_prior
from pellucid.priors.autoencoder import Autoencoder
from pellucid.priors.exact import GaussianPrior
from pellucid.priors.latent import latent_of
from pellucid.priors.tiled import fit, usual_tile


class Means:
    """An autoencoder without a memory of neighbours: means of 4 x 4 pixels, and each of them 16 times."""

    def encode(self, image: Tensor) -> Any:
        return SimpleNamespace(latent_dist=SimpleNamespace(mode=lambda: F.avg_pool2d(image, 4)))

    def decode(self, z: Tensor, return_dict: bool) -> tuple[Tensor]:
        return (F.interpolate(z, scale_factor=4),)


VAE = Autoencoder(Means(), 4, latent_channels=3, scaling=0.5, shift=0.25)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(4, 24))
def test_tiles_add_up_to_the_whole(height: int, width: int, tile: int) -> None:
    image = torch.rand(2, 3, 4 * height, 4 * width, generator=torch.Generator().manual_seed(height))
    z = (F.avg_pool2d(image, 4) - 0.25) * 0.5
    torch.testing.assert_close(VAE.encode(image, tile), z)
    torch.testing.assert_close(VAE.decode(z, tile), F.interpolate(z / 0.5 + 0.25, scale_factor=4))


@given(st.integers(1, 20), st.integers(1, 20))
def test_any_size_goes_to_latents_and_back(height: int, width: int) -> None:
    latent = Latent(GaussianPrior(torch.zeros(3, 1, 1), torch.tensor(1.0)), VAE)
    image = torch.rand(1, 3, 1, 1).expand(1, 3, height, width)
    z = latent.encode(image)
    assert z.shape[2:] == latent.latent_size(height, width)
    torch.testing.assert_close(latent.decode(z, height, width), image.contiguous())


def test_the_networks_multiple_is_padded_for(tiny_sdxl: Path) -> None:
    latent = load_prior(tiny_sdxl)
    assert isinstance(latent, Latent)
    assert latent.encode(torch.zeros(1, 3, 17, 33)).shape == (1, 4, 4, 6)


def test_a_batch_of_two_is_two_batches_of_one(tiny_sd: Path) -> None:
    latent = load_prior(tiny_sd)
    assert isinstance(latent, Latent)
    image = torch.rand(2, 3, 24, 40, generator=torch.Generator().manual_seed(0))
    z = latent.encode(image, 16)
    assert torch.equal(z, torch.cat([latent.encode(one, 16) for one in image.split(1)]))
    assert torch.equal(latent.decode(z, 24, 40, 16), torch.cat([latent.decode(one, 24, 40, 16) for one in z.split(1)]))


def test_gradients_of_tiles_are_those_of_the_whole() -> None:
    z = torch.rand(1, 3, 6, 7, requires_grad=True)
    (gradient,) = torch.autograd.grad(VAE.decode(z, 12).square().sum(), z)
    torch.testing.assert_close(gradient, 2 * 16 * (z / 0.5 + 0.25).detach() / 0.5)


def test_no_step_is_left_where_a_tile_ends() -> None:
    """Tiles that differ by what they see on average fade into each other, no faster than sin^2 over their overlap."""

    class Normalised(Means):
        def decode(self, z: Tensor, return_dict: bool) -> tuple[Tensor]:
            return (F.interpolate(z * 0 - z.mean(), scale_factor=4),)

    vae = Autoencoder(Normalised(), 4, latent_channels=3)
    z = torch.linspace(0, 1, 40).expand(1, 3, 4, 40)
    image = vae.decode(z, 64)
    # Tiles of 16 latents that share 4 of them, 16 pixels: 0.3 apart on average.
    assert image.amax() - image.amin() > 0.5
    assert image.diff(dim=-1).abs().max() < 0.35 * torch.pi / 2 / 16


def test_tiles_are_of_latents(tiny_sdxl: Path) -> None:
    latent = load_prior(tiny_sdxl)
    assert latent_of(fit(latent)) is latent
    assert usual_tile(latent) == 512
    assert fit(latent, 64).tiles(16, 8).number == 3
    assert fit(latent, 64).tiles(16, 8)[1:] == (8, 8)
    assert Restorer("denoise", latent, tile=64).tiles(128, 50)[1:] == (8, 8)
    with pytest.raises(UsageError, match="the side of tiles is 1 or more, not 0"):
        Restorer("denoise", latent, tile=0)
