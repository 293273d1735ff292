"""Models of other libraries, given as Python objects."""

from __future__ import annotations

import logging
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from pellucid.errors import PellucidError, UsageError
from pellucid.maths.noise import linear_ladder
from pellucid.priors import EDM, VPNetwork, load_prior
from pellucid.priors.denoisers import Scheduled
from pellucid.priors.forms import INFINITE, Formed

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
X = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def unet_of(**fields: Any) -> Any:
    from diffusers import UNet2DModel

    torch.manual_seed(0)
    return UNet2DModel(
        sample_size=8, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4, add_attention=False,
        down_block_types=("DownBlock2D",) * 2, up_block_types=("UpBlock2D",) * 2, **fields,
    )  # fmt: skip


def test_a_pipeline_and_a_pair_are_the_prior_that_their_scheduler_says() -> None:
    from diffusers import DDPMPipeline, DDPMScheduler

    unet = unet_of().train()
    scheduler = DDPMScheduler(prediction_type="v_prediction", beta_schedule="scaled_linear", beta_end=0.01)
    pipeline: Any = DDPMPipeline(unet, scheduler)
    priors = [load_prior(pipeline), load_prior((unet, scheduler))]  # type: ignore[arg-type]
    for prior in priors:
        assert isinstance(prior, VPNetwork)
        assert (prior.prediction, prior.multiple, prior.channels) == ("v", 2, 3)
        sigma = prior.sigmas[300].item()
        with torch.no_grad():
            v = unet.eval()(X / (1 + sigma**2) ** 0.5, torch.tensor([300.0]), return_dict=False)[0]
        expected = X / (1 + sigma**2) - sigma / (1 + sigma**2) ** 0.5 * v
        torch.testing.assert_close(prior(X, sigma), expected, atol=1e-5, rtol=1e-4)
    # Whoever gave the model goes on training it.
    assert all(weight.requires_grad for weight in unet.parameters())


def test_a_pair_with_a_scheduler_of_continuous_levels() -> None:
    from diffusers import EDMEulerScheduler, IPNDMScheduler

    assert isinstance(load_prior((unet_of(), EDMEulerScheduler())), Formed)  # type: ignore[arg-type]
    with pytest.raises(PellucidError, match="the scheduler 'IPNDMScheduler' is not known"):
        load_prior((unet_of(), IPNDMScheduler()))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="the second of a pair must be a scheduler of diffusers, not int"):
        load_prior((unet_of(), 3))  # type: ignore[arg-type]


def test_a_network_alone_is_taken_for_ddpms_and_that_is_said(caplog: pytest.LogCaptureFixture) -> None:
    prior = load_prior(unet_of())
    assert isinstance(prior, VPNetwork)
    assert torch.equal(prior.sigmas, linear_ladder())
    assert caplog.records[0].levelno == logging.WARNING
    assert "does not say how it was trained: DDPM's is assumed" in caplog.text


def test_a_pair_may_have_classes() -> None:
    from diffusers import DDPMScheduler

    pair: Any = (unet_of(num_class_embeds=3), DDPMScheduler())
    assert not torch.equal(load_prior(pair, label=2)(X, 1.0), load_prior(pair, label=0)(X, 1.0))
    with pytest.raises(PellucidError, match="has no class 3: there are 0 to 2"):
        load_prior(pair, label=3)


def test_pipelines_of_latents_are_named_by_their_folder() -> None:
    class Pipeline:
        unet, scheduler = nn.Linear(1, 1), unet_of()

        def __call__(self) -> None: ...

    with pytest.raises(UsageError, match="must be a UNet2DModel, not a Linear"):
        load_prior(Pipeline())  # type: ignore[arg-type]


class KDiffusion(nn.Module):
    """A denoiser with k-diffusion's signature."""

    def __init__(self) -> None:
        super().__init__()
        self.inner_model = nn.Conv2d(3, 3, 3, padding=1)
        self.sigma_data = 0.5
        self.register_buffer("sigmas", linear_ladder(100))

    def forward(self, input: Tensor, sigma: Tensor, **arguments: Any) -> Tensor:
        made: Tensor = self.inner_model(input) / (1 + sigma.view(-1, 1, 1, 1))
        return made


def test_a_denoiser_of_k_diffusion() -> None:
    own = KDiffusion()
    prior = load_prior(own)
    assert isinstance(prior, EDM)
    assert len(prior.sigmas) == 100
    assert torch.equal(prior(X, 2.0), own(X, torch.tensor([2.0])).detach())


class Posterior(NamedTuple):
    mean: Tensor
    var: Tensor


class Azula(nn.Module):
    """A denoiser with azula's signature, exact for N(0, 1) images, in a space of its own.

    Args:
        kind: of its schedule: "vp" on a cosine, "ve" geometric, "rf" rectified.
        posterior: whether it gives a distribution.
    """

    def __init__(self, kind: str, posterior: bool) -> None:
        super().__init__()
        self.kind, self.posterior = kind, posterior

    def schedule(self, t: Tensor) -> tuple[Tensor, Tensor]:
        if self.kind == "rf":
            return 1 - t, t
        if self.kind == "ve":
            return torch.ones_like(t), torch.exp(
                torch.log(torch.tensor(1e-3)) * (1 - t) + torch.log(torch.tensor(50.0)) * t
            )
        alpha = torch.cos(torch.pi / 2 * (0.02 + 0.97 * t))
        return alpha, (1 - alpha**2).sqrt()

    def forward(self, x_t: Tensor, t: Tensor, **arguments: Any) -> Any:
        alpha, sigma = (part.view(-1, 1, 1, 1) for part in self.schedule(t))
        mean = alpha / (alpha**2 + sigma**2) * x_t
        return Posterior(mean, torch.ones_like(mean)) if self.posterior else mean


@pytest.mark.parametrize("kind", ["vp", "ve", "rf"])
@pytest.mark.parametrize("posterior", [True, False])
def test_a_denoiser_of_azula_over_its_whole_ladder(kind: str, posterior: bool) -> None:
    prior = load_prior(Azula(kind, posterior))
    assert isinstance(prior, Scheduled)
    assert (prior.sigmas[-1].item() == INFINITE) == (kind == "rf")
    for sigma in prior.sigmas[::60].tolist():
        # E[x0 | x] of N(0, 1) images.
        torch.testing.assert_close(prior(X, sigma), X / (1 + sigma**2), atol=1e-5, rtol=1e-4)
    levels = torch.tensor([0.5, 5.0])
    both = prior(X.expand(2, -1, -1, -1), levels)
    torch.testing.assert_close(both, X / (1 + levels.view(-1, 1, 1, 1) ** 2), atol=1e-5, rtol=1e-4)
