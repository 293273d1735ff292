"""Latent diffusion: a prior of latents, and its autoencoder.

For a method a `Latent` is a usual prior whose images are latents. `methods.latent` converts between pixels and latents
around the method.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from .prior import Prior, Wrapper, network_of, reflected, round_up, wrapping

if TYPE_CHECKING:
    from .autoencoder import Autoencoder


class Latent(Wrapper):
    """A prior of latents, (B, c, h, w) in variance-exploding coordinates, with its autoencoder.

    Args:
        prior: prior of the latents.
        vae: the autoencoder.
        size: side in pixels of its training's images.

    Attributes:
        certain: whether its network's prediction type is known; False for a model without numbers, which would have to
            be evaluated.

    Example:
        >>> isinstance(priors.load_prior("natural"), priors.Latent)
        False
    """

    def __init__(self, prior: Prior, vae: Autoencoder, size: int = 512) -> None:
        super().__init__(prior)
        self.vae, self.size = vae, size
        self.certain = True

    @property
    def network(self) -> Any:
        """The network of the innermost prior."""
        return network_of(self)

    @property
    def unit(self) -> int:
        """Unit of an image's height and width in pixels; sides are padded to a multiple of it."""
        return self.vae.factor * self.multiple

    def latent_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the latents of an image of this size."""
        return round_up(height, self.unit) // self.vae.factor, round_up(width, self.unit) // self.vae.factor

    def encode(self, image: Tensor, tile: int | None = None) -> Tensor:
        """Encodes images of any size, reflected at the right and the bottom to a multiple of `unit`.

        Args:
            image: (B, C, H, W) in [-1, 1].
            tile: side in pixels above which the autoencoder works on tiles; None for `size`.

        Returns:
            (B, c, h, w); see `latent_size`.
        """
        return self.vae.encode(reflected(image, self.unit), tile or self.size)

    def decode(self, z: Tensor, height: int, width: int, tile: int | None = None) -> Tensor:
        """Decodes latents to images, (B, C, height, width) in [-1, 1] units, not clamped; see `encode`."""
        return self.vae.decode(z, tile or self.size)[..., :height, :width]


def latent_of(prior: Prior) -> Latent | None:
    """The prior of latents that is in a prior's wrappers; None for a prior of pixels."""
    return next((one for one in wrapping(prior) if isinstance(one, Latent)), None)
