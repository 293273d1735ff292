"""One call at the noise level that the prior finds."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pellucid.errors import UsageError
from pellucid.estimate import noise_seen
from pellucid.methods import Denoise
from pellucid.metrics import psnr
from pellucid.noise import Streams
from pellucid.operators import Denoise as Noisy
from pellucid.priors import GaussianPrior, load_prior
from pellucid.problem import Problem, to_unit

PRIOR = GaussianPrior(torch.full((3, 1, 1), 0.1).double(), variance=torch.full((3, 1, 1), 1e-4).double())


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_it_is_the_priors_estimate_at_the_level_found() -> None:
    y = 0.1 + 0.3 * noise(2, 3, 20, 21) * torch.tensor([1.0, 0.2]).view(2, 1, 1, 1)
    before = y.clone()
    (state,) = Denoise(boost=1.2).iterate(Problem(y), PRIOR, Streams([0, 1]))
    level = noise_seen(PRIOR, y)
    torch.testing.assert_close(state.x, PRIOR(y, 1.2 * level))
    assert state.curves["noise"] == pytest.approx(level.tolist())
    assert (state.step, state.total, state.nfe, Denoise().nfe(PRIOR)) == (1, 1, 9, 9)
    assert torch.equal(y, before)
    assert torch.equal(Denoise(boost=1.2)(Problem(y[1:]), PRIOR), state.x[1:])


def test_it_is_blind_and_minds_its_ranges() -> None:
    with pytest.raises(UsageError, match="blind"):
        Denoise()(Problem(noise(1, 3, 4, 4), Noisy(), 0.1), PRIOR)
    for field in ("calls", "boost"):
        with pytest.raises(UsageError, match=field):
            Denoise(**{field: 0})


@pytest.mark.slow
def test_it_removes_noise_and_leaves_what_is_clean(photographs: dict[str, Tensor]) -> None:
    prior = load_prior("natural")
    for name, whole in list(photographs.items())[:4]:
        image = whole[..., 64:192, 64:192]
        noisy = image + 0.2 * Streams([7]).like(image)
        gained = psnr(to_unit(Denoise()(Problem(noisy), prior)), to_unit(image)).item()
        assert gained > psnr(to_unit(noisy), to_unit(image)).item() + 6, name
        kept = psnr(to_unit(Denoise()(Problem(image), prior)), to_unit(image)).item()
        assert kept > 45, name
