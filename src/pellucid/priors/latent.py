"""Latent diffusion: a prior of latents, and the autoencoder that makes images of them.

To a method a `Latent` is a prior like any other, of images that happen to be latents. What lies between pixels and
latents is done around the method: see `methods.latent`.
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
        prior: of the latents.
        vae: makes latents of images, and images of latents.
        size: side in pixels of the images that it was trained on.

    Attributes:
        certain: whether what its network predicts is known; False of a model of shapes that would have to be asked.
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
        """Unit of an image's height and width, in pixels; sides are padded to a multiple of it."""
        return self.vae.factor * self.multiple

    def latent_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the latents of an image of this size."""
        return round_up(height, self.unit) // self.vae.factor, round_up(width, self.unit) // self.vae.factor

    def encode(self, image: Tensor, tile: int | None = None) -> Tensor:
        """The latents of images of any size, reflected at the right and the bottom to a multiple of `unit`.

        Args:
            image: (B, C, H, W) in [-1, 1].
            tile: side in pixels above which the autoencoder is shown tiles; None for `size`.

        Returns:
            (B, c, h, w); see `latent_size`.
        """
        return self.vae.encode(reflected(image, self.unit), tile or self.size)

    def decode(self, z: Tensor, height: int, width: int, tile: int | None = None) -> Tensor:
        """The images, (B, C, height, width) in [-1, 1] units, not clamped, of latents; see `encode`."""
        return self.vae.decode(z, tile or self.size)[..., :height, :width]


def latent_of(prior: Prior) -> Latent | None:
    """The prior of latents that is in a prior's wrappers; None for a prior of pixels."""
    return next((one for one in wrapping(prior) if isinstance(one, Latent)), None)
