"""Checks the estimate of memory in latents: `python -m benchmarks.latent_memory [--size 512] [--width 64] [--diip]`.

A random model in the shape of SDXL, `width` instead of 320, with the published autoencoder's layers, half as wide.
With `--diip` it is restored by two iterations of DIIP, whose gradient goes through the network.
Printed are what is estimated without its weights, and by how much the process's memory peaks above what it was before.
"""

from __future__ import annotations

import argparse
import resource
from pathlib import Path
from typing import Any

import torch

from pellucid.api import Restorer
from pellucid.maths.noise import scaled_linear_ladder
from pellucid.priors import Latent, conditioning, stable
from pellucid.priors.memory import estimate
from pellucid.priors.schedulers import Training


def model(width: int) -> Latent:
    """A random model."""
    from diffusers import AutoencoderKL, UNet2DConditionModel

    plain, cross = "DownBlock2D", "CrossAttnDownBlock2D"
    unet: Any = UNet2DConditionModel(
        sample_size=128,
        block_out_channels=(width, 2 * width, 4 * width),
        down_block_types=(plain, cross, cross),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=(width // 64, width // 32, width // 16),
        transformer_layers_per_block=(1, 2, 10),
        use_linear_projection=True,
        cross_attention_dim=256,
        addition_embed_type="text_time",
        addition_time_embed_dim=256,
        projection_class_embeddings_input_dim=2816,
    )
    vae: Any = AutoencoderKL(
        block_out_channels=(64, 128, 256, 256),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=2,
    )
    weights = {"unet": unet.state_dict(), "vae": vae.state_dict()}
    told = conditioning.zeros(unet.config)
    training = Training(scaled_linear_ladder(), "epsilon")
    return stable.assemble(Path("random"), unet.config, vae.config, told, training, weights, "cpu")


def peak() -> int:
    """The most memory that this process has had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--diip", action="store_true")
    arguments = parser.parse_args()
    latent, size = model(arguments.width), arguments.size
    restorer = Restorer("diip", latent, tile=size, steps=2, iterations=2)
    expected = restorer.memory(size, size) if arguments.diip else estimate(latent, size, size, size)
    assert expected is not None
    image = torch.full((1, 3, size, size), 0.5)

    def once(shown: torch.Tensor) -> None:
        if arguments.diip:
            restorer.run(shown)
            return
        with torch.no_grad():
            latent.decode(latent(latent.encode(shown), 1.0), *shown.shape[2:])

    # What libraries load at their first use is not the image's.
    once(image[..., :64, :64])
    before = peak()
    once(image)
    measured, told = peak() - before, expected.total - expected.weights
    print(f"{size}x{size}: {told / 1e6:.0f} MB estimated, {measured / 1e6:.0f} measured, {measured / told:.2f} of it")


if __name__ == "__main__":
    main()
