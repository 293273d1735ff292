"""An image that does not fit into memory is tried again in smaller tiles."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch

from ..api import Restorer
from ..errors import PellucidError, UsageError

T = TypeVar("T")

SMALLEST = 64
"""Side of the smallest tiles that are tried, in pixels: below, a network sees too little of the image."""

# What torch's allocators say, beside errors of a type of their own: on the CPU of Linux, of Windows, on other devices.
_TOO_LARGE = ("can't allocate memory", "not enough memory", "out of memory", "ALLOC_FAILED")


def with_less(restorer: Restorer, size: tuple[int, int], attempt: Callable[[Restorer], T]) -> tuple[T, str | None]:
    """Does the work on one image; where memory runs out again with tiles of half the side, and so on.

    Nothing is kept from image to image: the next one begins with the tiles that were asked for.

    Args:
        restorer: whose tiles to begin with.
        size: height and width of the measurement.
        attempt: the work. It is done from the start each time.

    Returns:
        The work's result, and in words that the tiles had to be smaller; None if not.

    Raises:
        PellucidError: memory runs out with the smallest tiles, too, or with an image that is not cut.
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
        smaller = _halved(smaller, size)


def _halved(restorer: Restorer, size: tuple[int, int]) -> Restorer:
    """The same with the largest of the smaller tiles that an image of this size is cut into."""
    tile = restorer.tile // 2
    # A method without a prior takes images whole.
    while restorer.method.needs_prior and tile >= SMALLEST:
        try:
            smaller = restorer.with_tile(tile)
        except UsageError:  # so small that a prior of a large multiple has no overlap left
            break
        if smaller.tiles(*size) != restorer.tiles(*size):
            return smaller
        tile //= 2
    raise PellucidError("does not fit into memory, in tiles of any size")


def is_too_large(error: BaseException) -> bool:
    """Whether an error says that memory ran out."""
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(words in str(error) for words in _TOO_LARGE)
    )
