"""Random transformers of latents in the shape of Stable Diffusion 3 and FLUX, against diffusers' own steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from pellucid.errors import PellucidError
from pellucid.priors import Latent, load_prior
from pellucid.priors.describe import describe
from pellucid.priors.memory import estimate

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def write(folder: Path, kind: str) -> tuple[Any, Any]:
    """Writes a folder; returns its transformer and its scheduler."""
    import diffusers

    torch.manual_seed(0)
    transformer: Any
    if kind == "sd3":
        transformer = diffusers.SD3Transformer2DModel(
            sample_size=8, patch_size=2, in_channels=4, out_channels=4, num_layers=1, attention_head_dim=8,
            num_attention_heads=2, joint_attention_dim=8, caption_projection_dim=16, pooled_projection_dim=8,
            pos_embed_max_size=8,
        )  # fmt: skip
    else:
        transformer = diffusers.FluxTransformer2DModel(
            in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=8, num_attention_heads=2,
            joint_attention_dim=8, pooled_projection_dim=8, axes_dims_rope=(2, 2, 4), guidance_embeds=True,
        )  # fmt: skip
    for weight in transformer.parameters():
        torch.nn.init.normal_(weight, std=0.1)
    vae = diffusers.AutoencoderKL(
        block_out_channels=(4, 4), down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2, norm_num_groups=2, scaling_factor=1.5, shift_factor=0.06,
    )  # fmt: skip
    scheduler: Any = diffusers.FlowMatchEulerDiscreteScheduler(num_train_timesteps=100, shift=3.0)
    parts: dict[str, Any] = {"transformer": transformer, "vae": vae, "scheduler": scheduler}
    for name, part in parts.items():
        part.save_pretrained(folder / name)
    return transformer.eval(), scheduler


@pytest.mark.parametrize("kind", ["sd3", "flux"])
def test_estimates_are_the_librarys(kind: str, tmp_path: Path) -> None:
    from diffusers import FluxPipeline

    transformer, scheduler = write(tmp_path, kind)
    prior = load_prior(tmp_path)
    assert isinstance(prior, Latent)
    assert (prior.vae.scaling, prior.vae.shift, prior.unit, len(prior.sigmas)) == (1.5, 0.06, 4, 100)
    random = torch.Generator().manual_seed(0)
    z0, n = (torch.randn(1, 4, 4, 6, generator=random) for _ in range(2))
    shares, times = scheduler.sigmas[:100].flip(0), scheduler.timesteps[:100].flip(0)
    for i in range(0, 100, 9):
        sigma, share, t = prior.sigmas[i].item(), shares[i].item(), times[i : i + 1]
        z = (z0 + sigma * n) / (1 + sigma)
        with torch.no_grad():
            if kind == "sd3":
                told = {"encoder_hidden_states": torch.zeros(1, 333, 8), "pooled_projections": torch.zeros(1, 8)}
                velocity = transformer(z, timestep=t, return_dict=False, **told)[0]
            else:
                pack: Any = FluxPipeline
                velocity = transformer(
                    pack._pack_latents(z, 1, 4, 4, 6),
                    encoder_hidden_states=torch.zeros(1, 512, 8),
                    pooled_projections=torch.zeros(1, 8),
                    timestep=t / 100,
                    img_ids=pack._prepare_latent_image_ids(1, 2, 3, "cpu", torch.float32),
                    txt_ids=torch.zeros(512, 3),
                    guidance=torch.ones(1),
                    return_dict=False,
                )[0]
                velocity = pack._unpack_latents(velocity, 8, 12, 2)
        torch.testing.assert_close(prior(z0 + sigma * n, sigma), z - share * velocity, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", ["sd3", "flux"])
def test_they_are_described_and_their_memory_is_told(kind: str, tmp_path: Path) -> None:
    write(tmp_path, kind)
    about, prior = describe(tmp_path)
    assert about.family == ("FLUX" if kind == "flux" else "Stable Diffusion 3")
    assert (about.schedule, about.predicts, about.steps) == ("flow matching", "the velocity", 100)
    assert isinstance(prior, Latent)
    assert estimate(prior, 16, 16, 16).total > 0
    with pytest.raises(PellucidError, match="prompts are read by Stable Diffusion 1, 2 and XL"):
        load_prior(tmp_path, prompt="a")
