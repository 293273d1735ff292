"""The loop over a job's images: one that fails takes none of the others with it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from .. import images
from ..api import Restored, Restorer
from ..errors import PellucidError
from ..images import Picture
from ..noise import derive_seed
from .memory import with_less
from .plan import Item
from .trace import Trace


@dataclass(frozen=True)
class Outcome:
    """What became of one image.

    Attributes:
        item: which.
        seed: of its noise.
        nfe: evaluations of the prior; 0 if it failed.
        seconds: from the start of reading to the end of writing.
        size: height and width; None if the file could not be read.
        error: None, or in one line why it failed. Then nothing was written.
        noise: the noise level that the method was told, in [0, 1] units; None if it is blind or failed.
        note: what the method says of it, and that its tiles had to be smaller; None if nothing.
    """

    item: Item
    seed: int
    nfe: int
    seconds: float
    size: tuple[int, int] | None
    error: str | None = None
    noise: float | None = None
    note: str | None = None


def run(
    items: Sequence[Item],
    restorer: Restorer,
    seed: int = 0,
    progress: Callable[[Item, int], object] | None = None,
    traces: Path | None = None,
    kernels: Callable[[Item], Path] | None = None,
    strip: bool = False,
) -> Iterator[Outcome]:
    """Restores the images of a job, one after the other.

    Args:
        items: see `plan`.
        restorer: the method on its prior.
        seed: the run's seed; each image's own follows from it and the image's name.
        progress: called with the image and the pixels of each evaluation; see `Restorer.work`.
        traces: folder for a `Trace` of each image.
        kernels: says in which file to save the kernel that was found for an item.
        strip: whether outputs go without what their inputs say beside the pixels; see `Picture.stripped`.

    Yields:
        One outcome for each item, in order.
    """
    for item in items:
        start = time.perf_counter()
        own = derive_seed(seed, item.name)
        nfe, size, noise, note = 0, None, None, None
        with caught(item) as errors:
            pictures = [images.read(source) for source in item.sources]
            size = (pictures[0].colour.shape[0], pictures[0].colour.shape[1])
            images.check_holds(pictures[0], item.target)
            told = None if progress is None else _for(item, progress)
            (restored, result, trace), less = with_less(
                restorer, size, partial(_restored, pictures, own, told, traces is not None)
            )
            if kernels is not None:
                _write_kernel(result, kernels(item))
            if traces is not None:
                trace.write(traces / (item.name or item.source.name))
            restored = restored.stripped() if strip else restored
            said = [pictures[0].note] if pictures[0].note else []
            # Last: an image that failed at anything has no output.
            images.write(restored.marked(restorer.mark(result, own, said)), item.target)
            nfe, noise = result.nfe, result.noise[0] if result.noise else None
            note = "; ".join([*said, *result.notes[:1], *([less] if less else [])]) or None
        seconds, error = time.perf_counter() - start, errors[0] if errors else None
        yield Outcome(item, own, nfe, seconds, size, error, noise, note)


@contextmanager
def caught(item: Item) -> Iterator[list[str]]:
    """Makes a line of whatever the work on one image raises, so that the others are still done.

    Args:
        item: the image, which the line names.

    Yields:
        A list; after the block it holds the line, or nothing.
    """
    errors: list[str] = []
    try:
        yield errors
    except PellucidError as problem:
        errors.append(str(problem) if str(item.source) in str(problem) else f"{item.source}: {problem}")
    except MemoryError:
        errors.append(f"{item.source}: does not fit into memory")
    # Whatever one image provokes in a decoder or a driver must not end a night's work on the others.
    except Exception as problem:
        first = (str(problem) or type(problem).__name__).splitlines()[0]
        errors.append(f"{item.source}: failed unexpectedly ({type(problem).__name__}: {first})")


def _restored(
    pictures: Sequence[Picture], seed: int, told: Callable[[int], object] | None, traced: bool, restorer: Restorer
) -> tuple[Picture, Restored, Trace]:
    trace = Trace()
    watch = trace.see if traced else None
    if len(pictures) > 1:
        return *restorer.exposures(pictures, seed, told, watch), trace
    return *restorer.picture(pictures[0], seed, told, watch), trace


def _write_kernel(result: Restored, path: Path) -> None:
    """Writes what was found as a 16-bit picture, its brightest number white: what `--kernel` reads."""
    if "kernel" not in result.found:
        raise PellucidError("the method found no kernel to save")
    kernel = result.found["kernel"][0, 0]
    path.parent.mkdir(parents=True, exist_ok=True)
    images.write(images.from_array((kernel / kernel.max() * 65535).round().numpy().astype("uint16")), path)


def _for(item: Item, progress: Callable[[Item, int], object]) -> Callable[[int], object]:
    return lambda pixels: progress(item, pixels)
