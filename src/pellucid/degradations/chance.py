"""Random numbers for damages."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ..maths.noise import Streams, derive_seed


def streams(image: Tensor, seed: int | Sequence[int]) -> Streams:
    """Generators of images (B, ...) for one seed, or for a seed for each image.

    A restoration with the same seed must not draw the same noise: it would add exactly the noise of the damage.
    """
    return Streams([derive_seed(own, "damage") for own in Streams.seeds(seed, len(image))])
