"""Smaller tiles for an image that does not fit into memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch

from ..api import Restorer
from ..errors import PellucidError, UsageError, is_too_large

T = TypeVar("T")

SMALLEST = 64
"""Side of the smallest tiles in pixels: below, a network sees too little of the image."""


def with_less(
    restorer: Restorer,
    size: tuple[int, int],
    attempt: Callable[[Restorer], T],
    has_waited: Callable[[], bool] = lambda: False,
) -> tuple[T, str | None]:
    """Works on one image; when memory runs out, again with tiles of half the side, down to `SMALLEST`.

    The next image begins with the requested tiles again.

    Args:
        restorer: restorer with the initial tiles.
        size: height and width of the measurement.
        attempt: the work, which starts anew each time.
        has_waited: waits until no other image takes memory, and tells if an attempt with the same tiles is worth it.

    Returns:
        The result, and a note on smaller tiles; None without them.

    Raises:
        PellucidError: memory runs out even with the smallest tiles, or without any.
    """
    smaller = restorer
    while True:
        try:
            result = attempt(smaller)
        except (MemoryError, RuntimeError) as error:
            if not is_too_large(error):
                raise
        else:
            note = None if smaller is restorer else f"did not fit into memory: done in tiles of {smaller.tile} pixels"
            return result, note
        # Out of the handler, which holds the failed attempt's tensors.
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if has_waited():
            continue
        smaller = _halved(smaller, size)


def _halved(restorer: Restorer, size: tuple[int, int]) -> Restorer:
    """Copy with the largest smaller tiles that cut an image of this size."""
    tile = restorer.tile
    # A method without a prior takes images whole.
    while restorer.method.needs_prior and tile > SMALLEST:
        tile = max(tile // 2, SMALLEST)
        try:
            smaller = restorer.with_tile(tile)
        except UsageError:  # so small that a prior of a large multiple has no overlap left
            break
        if smaller.tiles(*size) != restorer.tiles(*size):
            return smaller
    raise PellucidError("does not fit into memory, in tiles of any size")
