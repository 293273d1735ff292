"""Random numbers of damages."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ..noise import Streams, derive_seed


def streams(image: Tensor, seed: int | Sequence[int]) -> Streams:
    """Those of images (B, ...) for a seed, or for one for each image.

    A restoration with the same seed must not draw the same noise again: what it adds would be what was added.
    """
    return Streams([derive_seed(own, "damage") for own in Streams.seeds(seed, len(image))])
