"""Any method in the latents of a `Latent` prior: what lies between pixels and latents, around the method.

A blind method gets the latents of the damaged image for its image, and what it makes of them is decoded. A method that
needs the degradation's gradient alone (`Method.by_gradient`) gets the degradation composed with the decoder, whether it
is known or learnt on the way. Those that need an adjoint, a pseudo-inverse or a decomposition are refused: the decoder
has none.

What a method knows of pixels alone does not go with it: that estimates are within [-1, 1], how sharp an image is, which
strength an image asks for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from ..metrics import psnr
from ..noise import Streams
from ..operators.decoder import Decoder
from ..priors.latent import Latent
from ..priors.memory import Memory, estimate
from ..priors.prior import Prior
from ..problem import Problem, to_zero_one
from .method import Method, State


@dataclass(frozen=True)
class InLatents(Method):
    """A method of which everything but the image that goes in and the one that comes out is in latents.

    Costs as many evaluations as the method, one pass of the encoder, and one of the decoder to measure what the
    autoencoder alone costs and one at the end; with a degradation, one pass of the decoder and its gradient a step.

    Attributes:
        method: what restores; see `within`. None to leave images as they are.
        latent: the prior that it is for.
        tile: side in pixels above which the autoencoder is shown tiles; None for the prior's own.
        note: what people should be told about the method in latents.
    """

    method: Method | None
    latent: Latent
    tile: int | None = None
    note: str = ""

    def nfe(self, prior: Prior) -> int:
        """Those of the method."""
        return 0 if self.method is None else self.method.nfe(prior)

    def iterate(self, problem: Problem, prior: Prior, rng: Streams) -> Iterator[State]:
        """See `Method`; the method's states, whose images are latents, and a last one of images.

        Args:
            problem: of pixels.
            prior: of latents.
            rng: each image's random stream.
        """
        y = problem.y
        if self.method is None:
            yield State(1, 1, 0.0, y, y, 0, notes=(self.note,) * len(y))
            return
        notes: tuple[str, ...]
        if problem.operator is None and not self.method.by_gradient:
            z = self._encode(y)
            notes = self._notes(y, z)
            size, problem = (y.shape[2], y.shape[3]), Problem(z)
        else:
            image = y.shape if problem.operator is None else problem.operator.image_shape(tuple(y.shape))
            notes = self._notes(y, self._encode(y)) if self._is_image(problem) else ()
            size = (image[2], image[3])
            shape = (self.latent.channels, *self.latent.latent_size(*size))
            decode, encode = partial(self._decode, size=size), partial(self.latent.encode, tile=self.tile)
            decoder = Decoder(decode, shape, self.latent.vae.channels, problem.operator, encode)
            problem = Problem(y, decoder, problem.sigma_y)
        state = None
        for state in self.method.iterate(problem, prior, rng):
            yield replace(state, total=state.total + 1)
        if state is not None:
            with torch.no_grad():
                x = self._decode(state.x, size)
            told = zip(state.notes or ("",) * len(x), notes or ("",) * len(x), strict=True)
            notes = tuple("; ".join(filter(None, pair)) for pair in told) if state.notes or notes else ()
            total = state.step + 1
            yield replace(state, step=total, total=total, sigma=0.0, x=x, x0=x, curves={}, notes=notes)

    def memory(self, height: int, width: int) -> Memory:
        """Memory that an image of this size takes."""
        tile = self.latent.size if self.tile is None else self.tile
        decoder = self.method is not None and self.method.by_gradient
        network = self.method is not None and self.method.through_network
        return estimate(self.latent, height, width, tile, through_network=network, through_decoder=decoder)

    def _is_image(self, problem: Problem) -> bool:
        """True if the measurement is itself one image of the kind that the autoencoder takes."""
        return problem.operator is None and problem.y.shape[1] == self.latent.vae.channels

    @torch.no_grad()
    def _encode(self, y: Tensor) -> Tensor:
        return self.latent.encode(y, self.tile)

    def _decode(self, z: Tensor, size: tuple[int, int]) -> Tensor:
        return self.latent.decode(z, *size, self.tile)

    @torch.no_grad()
    def _notes(self, y: Tensor, z: Tensor) -> tuple[str, ...]:
        """Error of the autoencoder on each image before any method: a bound of the result."""
        costs = psnr(to_zero_one(self._decode(z, (y.shape[2], y.shape[3]))), to_zero_one(y)).tolist()
        return tuple(
            "; ".join(filter(None, (self.note, f"the autoencoder alone costs {cost:.1f} dB"))) for cost in costs
        )


def within(method: Method, latent: Latent, *, told: bool, tile: int | None = None) -> InLatents:
    """A method as it is in latents.

    Args:
        method: of images.
        latent: the prior.
        told: whether it is going to be told the degradation.
        tile: see `InLatents`.

    Raises:
        UsageError: the method cannot work there.
    """
    adapted, note = method.in_latents(told)
    return InLatents(adapted, latent, tile, note)
