from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from pellucid import methods
from pellucid.api import Restorer
from pellucid.errors import PellucidError, UsageError
from pellucid.maths.problem import Problem, to_model, to_unit, to_zero_one
from pellucid.methods.method import State
from pellucid.metrics import psnr
from pellucid.operators import AveragePool, Mask
from pellucid.operators.decoder import Decoder
from pellucid.priors import Latent, Prior, fit, load_prior

IMAGE = torch.rand(2, 3, 37, 21, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module", params=["sd", "sdxl"])
def latent(request: pytest.FixtureRequest, tiny_sd: Path, tiny_sdxl: Path) -> Latent:
    prior = load_prior(tiny_sd if request.param == "sd" else tiny_sdxl)
    assert isinstance(prior, Latent)
    return prior


BLIND: list[tuple[str, dict[str, Any], int]] = [
    ("dreamclean", {"strength": 20}, 6),
    ("diip", {"steps": 2, "iterations": 2}, 4),
    ("denoise", {}, 9),
    ("gdp", {"steps": 2}, 2),
    ("gdp", {"steps": 2, "degradation": "kernel", "kernel": 3}, 2),
    ("bird", {"steps": 2, "iterations": 2, "kernel": 3}, 4),
]


@pytest.mark.parametrize(("method", "options", "calls"), BLIND, ids=[case[0] for case in BLIND])
def test_blind_methods_restore_and_tell_the_autoencoders_loss(
    latent: Latent, method: str, options: dict[str, Any], calls: int
) -> None:
    restorer, before = Restorer(method, latent, **options), IMAGE.clone()
    both = restorer.run(IMAGE, 3)
    assert torch.equal(IMAGE, before)
    assert both.colours.shape == IMAGE.shape
    assert both.nfe == restorer.nfe() == calls
    alone = [restorer.run(one, 3 + i) for i, one in enumerate(IMAGE.split(1))]
    assert torch.equal(both.colours, torch.cat([one.colours for one in alone]))
    y = to_model(IMAGE)
    costs = psnr(to_zero_one(latent.decode(latent.encode(y), 37, 21)), IMAGE).tolist()
    assert both.notes == tuple(f"the autoencoder alone costs {cost:.1f} dB" for cost in costs)


def test_it_is_the_method_on_the_latents(latent: Latent) -> None:
    y, own = to_model(IMAGE[:1]), methods.DreamClean(strength=20)
    z = own(Problem(latent.encode(y)), fit(latent), seed=5)
    expected = to_unit(latent.decode(z, 37, 21))
    assert torch.equal(Restorer(own, latent).run(IMAGE[:1], 5).colours, expected)


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (16, 16)])
def test_any_size_and_grey(latent: Latent, shape: tuple[int, int]) -> None:
    image = torch.rand(1, 1, *shape, generator=torch.Generator().manual_seed(0))
    assert Restorer("denoise", latent).run(image).colours.shape == image.shape


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("dps", {"steps": 2}),
        ("gdp", {"steps": 2}),
        ("bird", {"steps": 2, "iterations": 2}),
        ("psld", {"steps": 2}),
        ("resample", {"steps": 4, "every": 1, "iterations": 2, "polish": True}),
        ("daps", {"steps": 2, "flow": 1, "langevin": 2, "rate": 1e-6}),
        ("reddiff", {"steps": 2}),
    ],
)
def test_methods_that_need_the_gradient_alone_are_told_degradations(
    latent: Latent, method: str, options: dict[str, Any]
) -> None:
    restored = Restorer(method, latent, operator=AveragePool(4), noise=0.05, **options).run(IMAGE[:1, :, :5, :6])
    assert restored.colours.shape == (1, 3, 20, 24)
    assert restored.notes == ()


def test_a_result_agrees_exactly_where_that_is_asked_for(latent: Latent) -> None:
    known = torch.zeros(1, 1, 37, 21)
    known[..., :10] = 1
    image = IMAGE[:1] * known
    restorer = Restorer("dps", latent, operator=Mask(known), noise=0.0, exact=True, steps=2)
    torch.testing.assert_close(restorer.run(image).colours * known, image)


def test_the_others_say_that_they_cannot(latent: Latent) -> None:
    for name in ("ddrm", "ddnm", "snips", "red", "mmps", "dreamclean-known", "ddrm-jpeg", "dreamclean-phase"):
        with pytest.raises(UsageError, match="needs more of a degradation than its gradient"):
            Restorer(name, latent, operator=AveragePool(4), noise=0.05)
    for name in ("blinddps", "gibbsddrm"):
        with pytest.raises(UsageError, match="looks for a blur of pixels"):
            Restorer(name, latent)
    with pytest.raises(UsageError, match="stop=laplacian is a test of pixels"):
        Restorer("diip", latent, stop="laplacian")
    with pytest.raises(UsageError, match="GDP: bright is for pixels"):
        Restorer("gdp", latent, bright=1.0)


def test_strengths_are_the_papers_where_they_would_be_found_from_pixels(latent: Latent) -> None:
    same = methods.DreamClean(strength=300).nfe(latent)
    assert Restorer(None, latent).nfe() == Restorer("dreamclean", latent, strength="auto").nfe() == same
    assert Restorer(None, latent, fidelity=0.75).nfe() == methods.DreamClean(strength=150).nfe(latent)
    kept = Restorer(None, latent, fidelity=1.0).run(IMAGE)
    torch.testing.assert_close(kept.colours, IMAGE)
    assert (kept.nfe, kept.notes) == (0, ("left unchanged",) * 2)
    quick = Restorer(None, latent, fidelity=1 - 1 / 60).run(IMAGE[:1])
    assert quick.notes[0].startswith("dreamclean at strength 10 (")
    assert "; the autoencoder alone costs" in quick.notes[0]


def test_states_are_of_latents_and_the_last_is_of_pixels(latent: Latent) -> None:
    seen: list[State] = []
    Restorer("dreamclean", latent, strength=20).run(IMAGE[:1], watch=seen.append)
    assert [state.x.shape[1] for state in seen] == [4, 4, 4, 4, 3]
    assert [state.step for state in seen] == [1, 2, 3, 4, 5]
    assert {state.total for state in seen} == {5}


def test_a_latents_prior_that_is_no_number_is_an_error(latent: Latent) -> None:
    class Broken:
        channels, multiple, sigmas = latent.channels, latent.multiple, latent.sigmas

        def __call__(self, x: torch.Tensor, sigma: float | torch.Tensor) -> torch.Tensor:
            return x * math.nan

    broken: Prior = Latent(Broken(), latent.vae)
    with pytest.raises(PellucidError, match="not finite"):
        Restorer("denoise", broken).run(IMAGE)


def test_a_decoder_has_a_gradient_and_no_inverse() -> None:
    operator = Decoder(lambda z: z.repeat(1, 1, 2, 2) ** 2, (3, 4, 4), 3, AveragePool(2))
    z = torch.rand(1, 3, 4, 4, requires_grad=True)
    assert operator.image_shape((1, 3, 4, 4)) == (1, 3, 4, 4)
    (gradient,) = torch.autograd.grad(operator.A(z).sum(), z)
    torch.testing.assert_close(gradient, 2 * z.detach())
    for call in (operator.At, operator.pinv, lambda y: operator.svd(tuple(y.shape))):
        with pytest.raises(UsageError, match="a degradation of latents has no"):
            call(z)


def test_which_methods_differentiate_the_network() -> None:
    for name in ("dps", "mmps", "pigdm", "psld"):
        assert methods.get(name).through_network
    for name in ("diip", "bird"):
        assert methods.get(name, gradient="exact").through_network
        assert not methods.get(name).through_network
    for name in ("gdp", "resample", "daps", "reddiff"):
        assert not methods.get(name).through_network
