"""Noise alone: told, or found."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pellucid.api import Restorer
from pellucid.degradations import compress
from pellucid.errors import UsageError
from pellucid.maths.noise import Streams
from pellucid.maths.problem import Problem, to_model, to_unit
from pellucid.methods import Auto, Denoise
from pellucid.methods.method import last
from pellucid.metrics import psnr
from pellucid.operators import AveragePool
from pellucid.operators import Denoise as Noisy
from pellucid.priors import GaussianPrior, Prior

PRIOR = GaussianPrior(torch.full((3, 1, 1), 0.1).double(), variance=torch.full((3, 1, 1), 1e-4).double())


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_told_the_level_it_is_one_call_there() -> None:
    y = 0.1 + 0.3 * noise(2, 3, 20, 21)
    before = y.clone()
    for operator in (None, Noisy()):
        (state,) = Denoise(boost=1.2).iterate(Problem(y, operator, 0.3), PRIOR, Streams([0, 1]))
        torch.testing.assert_close(state.x, PRIOR(y, 0.36))
        assert (state.step, state.total, state.nfe) == (1, 1, 1)
    assert torch.equal(y, before)


def test_white_noise_is_found_and_removed_by_one_call() -> None:
    y = 0.1 + 0.3 * noise(2, 3, 40, 41) * torch.tensor([1.0, 0.2]).view(2, 1, 1, 1)
    *_, state = Denoise().iterate(Problem(y), PRIOR, Streams([0, 1]))
    assert [note.split(" of ")[0] for note in state.notes] == ["white noise"] * 2
    assert (state.x - 0.1).std().item() < 0.01
    assert state.nfe == 4 + 1
    assert torch.equal(Denoise()(Problem(y[1:]), PRIOR, seed=1), state.x[1:])


def test_a_compression_without_noise_is_undone_and_noise_can_be_told(
    natural: Prior, bundled: dict[str, Tensor]
) -> None:
    y = to_model(compress(to_unit(bundled["coffee"][..., 64:128, 64:128]), 20))
    *_, state = Denoise().iterate(Problem(y), natural, Streams([0]))
    undone, told = state.notes[0].split("; ")
    assert undone == "JPEG quality 20, 4:2:0 undone"
    assert told == "to remove noise of 5 of 255 anyway: --noise 5/255"
    assert torch.equal(state.x, last(Auto().iterate(Problem(y), natural, Streams([0]))).x)


def test_a_level_of_latents_is_found_too() -> None:
    latents = GaussianPrior(torch.zeros(4, 1, 1).double(), variance=torch.full((4, 1, 1), 1e-4).double())
    y = 0.3 * noise(1, 4, 8, 8)
    (state,) = Denoise().iterate(Problem(y), latents, Streams([0]))
    assert state.nfe == Denoise().nfe(latents) == 9
    assert state.x.std().item() < 0.01


def test_a_level_that_is_told_is_that_of_a_channel_in_grey_pictures_too(
    natural: Prior, bundled: dict[str, Tensor]
) -> None:
    colour = bundled["coffee"][..., 64:128, 64:128]
    grey = colour.mean(1, keepdim=True).expand_as(colour)
    noisy = torch.cat([grey + 0.2 * noise(1, 1, 64, 64).float(), colour + 0.2 * noise(1, 3, 64, 64).float()])
    *_, state = Denoise().iterate(Problem(noisy, sigma_y=0.2), natural, Streams([0, 1]))
    gains = psnr(to_unit(state.x), to_unit(torch.cat([grey, colour]))) - psnr(
        to_unit(noisy), to_unit(torch.cat([grey, colour]))
    )
    assert gains.min() > 6
    assert torch.equal(state.x[0, 0], state.x[0, 1])
    assert torch.equal(state.x[1:], Denoise()(Problem(noisy[1:], sigma_y=0.2), natural))
    assert state.nfe == 2
    assert not state.notes


def test_it_undoes_nothing_else_and_minds_its_ranges() -> None:
    with pytest.raises(UsageError, match="no other degradation"):
        Denoise()(Problem(noise(1, 3, 4, 4), AveragePool(2), 0.1), PRIOR)
    with pytest.raises(UsageError, match="boost"):
        Denoise(boost=0)


def test_the_task_and_the_method_take_a_level_at_every_door(natural: Prior, bundled: dict[str, Tensor]) -> None:
    clean = to_unit(bundled["coffee"][..., :64, :64])
    noisy = (clean + 0.1 * noise(1, 3, 64, 64).float()).clamp(0, 1)
    told = Restorer("denoise", natural, noise=0.1).run(noisy).colours
    assert torch.equal(told, Restorer("denoise", natural, operator=Noisy(), noise=0.1).run(noisy).colours)
    assert psnr(told, clean).item() > psnr(noisy, clean).item() + 6
    found = Restorer("denoise", natural).run(noisy)
    assert found.noise == ()
    assert psnr(found.colours, clean).item() > psnr(told, clean).item() - 0.3


@pytest.mark.slow
def test_it_removes_noise_and_leaves_what_is_clean(natural: Prior, photographs: dict[str, Tensor]) -> None:
    for name, whole in list(photographs.items())[:4]:
        image = whole[..., 64:192, 64:192]
        noisy = image + 0.2 * Streams([7]).like(image)
        gained = psnr(to_unit(Denoise()(Problem(noisy), natural)), to_unit(image)).item()
        assert gained > psnr(to_unit(noisy), to_unit(image)).item() + 6, name
        *_, state = Denoise().iterate(Problem(image), natural, Streams([0]))
        # A photograph may have weak noise of its own, which costs little.
        assert psnr(to_unit(state.x), to_unit(image)).item() > 42, name
        if torch.equal(state.x, image):
            # Who sees noise where none is found is told how to remove it.
            assert "left unchanged; " in state.notes[0]
            assert state.notes[0].endswith("; to remove noise of 5 of 255 anyway: --noise 5/255")
