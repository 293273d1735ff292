from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from pellucid.errors import PellucidError, UsageError
from pellucid.priors.generator import GAN, GANConfig, load_gan

TINY = GANConfig(latent=4, widths=(8, 6), features=(6, 8))


def test_the_embedded_one_makes_images_in_range() -> None:
    gan = load_gan("gan64")
    z = torch.randn(3, gan.generator.latent, generator=torch.Generator().manual_seed(0))
    images = gan.generator(z)
    assert images.shape == (3, 3, 64, 64)
    assert images.abs().max() <= 1
    # Other latents, other images: it has not collapsed.
    assert (images[0] - images[1]).abs().mean() > 0.05
    assert not any(weight.requires_grad for weight in gan.parameters())
    assert [layer.shape[-1] for layer in gan.discriminator.features(images)] == [32, 16, 8, 4]


def test_an_image_does_not_depend_on_its_batch() -> None:
    torch.manual_seed(0)
    gan = GAN(TINY).double()
    z = torch.randn(3, 4).double()
    images = gan.generator(z)
    torch.testing.assert_close(gan.generator(z[1:2]), images[1:2])
    for whole, alone in zip(gan.discriminator.features(images), gan.discriminator.features(images[1:2]), strict=True):
        torch.testing.assert_close(whole[1:2], alone)
    # The verdict does: it sees how much a batch varies.
    assert not torch.allclose(gan.discriminator(images)[1:2], gan.discriminator(images[1:2]))


def test_a_layer_has_mean_and_spread_from_the_latent() -> None:
    torch.manual_seed(0)
    block = GAN(TINY).double().generator.blocks[1]
    h, z = torch.randn(2, 8, 4, 4).double(), torch.randn(2, 4).double()
    gain, shift = block.normalise.style(z).chunk(2, 1)  # type: ignore[operator, union-attr]
    raw = block.up(h)  # type: ignore[operator]
    normal = F.instance_norm(raw) * (1 + gain)[..., None, None] + shift[..., None, None]
    torch.testing.assert_close(block(h, z), F.leaky_relu(normal, 0.2))


def test_broken_folders_are_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown generator 'gan46': did you mean 'gan64'"):
        load_gan("gan46")
    config = TINY.to_json()
    for content, says in (
        ({**config, "_class_name": "DenoisingUNet"}, "describes no GAN"),
        ({**config, "depth": 3}, "has no 'depth'"),
        ({**config, "latent": 0}, "are above 0"),
        ({**config, "widths": 3}, "does not describe a GAN"),
        (config, "no weights"),
    ):
        (tmp_path / "config.json").write_text(json.dumps(content))
        with pytest.raises(PellucidError, match=says) as error:
            load_gan(tmp_path)
        assert str(tmp_path) in str(error.value)
