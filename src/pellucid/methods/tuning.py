"""A generator tuned to an image together with its latents, stage by stage from the coarsest blocks on (DGP)."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import PellucidError


class Tuning:
    """The generator and the latents of one image.

    Args:
        generator: makes images of latents; a module's weights are tuned in a copy.
        z: initial latents, (places, ...).

    Attributes:
        z: the latents, (places, ...).
        weights: tensors that change at this stage, including the latents.
    """

    def __init__(self, generator: Callable[[Tensor], Tensor], z: Tensor) -> None:
        self.z = z.clone().requires_grad_()
        self._generator = copy.deepcopy(generator) if isinstance(generator, nn.Module) else generator
        self._blocks = _blocks(self._generator)
        everything = [weight for block in self._blocks for weight in block]
        # Momentum of BigGAN's training, which the authors keep.
        self._adams = [torch.optim.Adam([own], betas=(0.0, 0.999)) for own in (self.z, *everything)]
        self.weights: list[Tensor] = []

    def begin(self, stage: int, stages: int, rate: float, latent_rate: float) -> None:
        """Begins stage `stage` of `stages`, counted from 1."""
        tuned = self._blocks[: -(-len(self._blocks) * stage // stages)] if rate else []
        self.weights = [self.z, *(weight.requires_grad_() for block in tuned for weight in block)]
        for index, adam in enumerate(self._adams):
            for group in adam.param_groups:
                group["lr"] = rate if index else latent_rate

    def make(self) -> Tensor:
        """Makes the images of the latents."""
        return finite(self._generator(self.z))

    def step(self, slopes: Iterator[Tensor | None]) -> None:
        """Makes one step of Adam with the next of the gradients, one for each of `weights`."""
        for weight, adam in zip(self.weights, self._adams, strict=False):
            weight.grad = next(slopes)
            adam.step()


def _blocks(generator: Any) -> list[list[Tensor]]:
    """Weights of a module from the first block to the last; weights outside blocks come with the last."""
    if not isinstance(generator, nn.Module):
        return []
    modules = list(getattr(generator, "blocks", None) or generator.children())
    blocks: list[list[Tensor]] = [own for module in modules if (own := list(module.parameters()))]
    known = {id(weight) for block in blocks for weight in block}
    left: list[Tensor] = [weight for weight in generator.parameters() if id(weight) not in known]
    if not blocks:
        return [left] if left else []
    return [*blocks[:-1], blocks[-1] + left]


def finite(images: Tensor) -> Tensor:
    """Returns the images if they are finite."""
    if not math.isfinite(images.detach().sum().item()):
        raise PellucidError("the generator's image is not finite (NaN or infinity): choose another, or smaller rates")
    return images
