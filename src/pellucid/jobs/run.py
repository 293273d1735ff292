"""The loop over a job's images: a failed one does not affect the others."""

from __future__ import annotations

import errno
import math
import os
import sys
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from .. import images
from ..api import Restored, Restorer
from ..errors import PellucidError
from ..images import Picture
from ..maths.problem import check_finite, to_model
from ..methods.likelihood import Beside
from ..priors import Prior
from ..restoration.restored import SAMPLES_IDENTICAL
from ..support.locks import lock
from .fingerprint import of_files
from .memory import with_less
from .overlap import Lane, Single, overlapped
from .plan import Item, state_of
from .together import together
from .trace import Trace
from .writing import write

Progress = Callable[[Item, float], object]

# What no other image of the job could be written after, either.
_NOWHERE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


@dataclass(frozen=True)
class Outcome:
    """Result of one image.

    Attributes:
        item: which.
        seed: of its noise.
        nfe: evaluations of the prior; 0 if it failed.
        seconds: from the start of reading to the end of writing.
        size: height and width; None if the file could not be read.
        error: None, or the reason of the failure in one line; then nothing was written.
        noise: noise level given to the method, in [0, 1] units; None if it is blind or failed.
        note: notes of the method, on smaller tiles, and on equal samples; None without notes.
        stops: whether all others would fail, too: the disk is full or has become read-only.
        sha256: hashes of the input and of the output; None without one.
        pages: height and width of each page, in a dry run.
        lost: whether its process ended without a message.
        output: the file that was written, or would be in a dry run; None if it failed.
    """

    item: Item
    seed: int
    nfe: int
    seconds: float
    size: tuple[int, int] | None
    error: str | None = None
    noise: float | None = None
    note: str | None = None
    stops: bool = False
    sha256: tuple[str | None, str | None] = (None, None)
    pages: tuple[tuple[int, int], ...] = ()
    lost: bool = False
    output: Path | None = None


Outcomes = Generator[Outcome, None, None]
"""Outcomes of a job's images. Closing it early cancels the current work and leaves nothing of it."""


def run(
    items: Iterable[Item],
    restorer: Restorer,
    seed: int = 0,
    progress: Progress | None = None,
    traces: Path | None = None,
    kernels: Callable[[Item], Path] | None = None,
    batch: int = 1,
    strip: bool = False,
    damaged: images.Damaged = "refuse",
    truths: Callable[[Item], Path] | None = None,
    lanes: int = 1,
) -> Outcomes:
    """Restores the images of a job in this process.

    Args:
        items: see `plan`. Each is requested right before its start.
        restorer: the method on its prior.
        seed: the run's seed; each image's own follows from it and the image's name.
        progress: called for each evaluation with the image and the share of its work; with 0 after reading.
        traces: folder for a `Trace` of each image.
        kernels: gives the file for the estimated kernel of an item.
        batch: number of images to restore side by side with joint evaluations.
        strip: whether to remove metadata from outputs; see `Picture.stripped`.
        damaged: see `images.read`.
        truths: gives the file of an item's clean image, for its trace.
        lanes: number of images in work at once without a batch; see `overlapped`.

    Yields:
        One outcome for each item: in order, except images restored side by side, which come in order of completion.
    """

    def outcome(item: Item, prior: Prior, lane: Lane = _SINGLE, progress: Progress | None = progress) -> Outcome:
        own = restorer if prior is restorer.prior else restorer.with_prior(prior)
        return _outcome(item, own, item.seed(seed), progress, traces, kernels, strip, damaged, truths, lane)

    if batch > 1 and restorer.method.needs_prior:
        yield from together(outcome, items, restorer.prior, batch)
    elif lanes > 1 and restorer.method.needs_prior and not restorer.method.through_network:
        _ = restorer.fingerprint  # before there are copies, each of which would find it out anew
        yield from overlapped(outcome, items, restorer.prior, lanes, progress=progress, stops=lambda one: one.stops)
    else:
        for item in items:
            yield outcome(item, restorer.prior)


_SINGLE = Single()


def _outcome(
    item: Item,
    restorer: Restorer,
    seed: int,
    progress: Progress | None,
    traces: Path | None,
    kernels: Callable[[Item], Path] | None,
    strip: bool,
    damaged: images.Damaged,
    truths: Callable[[Item], Path] | None,
    lane: Lane,
) -> Outcome:
    start = time.perf_counter()
    nfe, size, noise, note = 0, None, None, None
    stops = False
    before = after = output = None
    with caught(str(item.source)) as errors, _kept_for(item):
        try:
            _check_place(item.target)
            with suppress(PellucidError):  # reading it says what is wrong
                before = of_files(item.sources)
            pictures = _pictures(item, damaged)
            size = (pictures[0].colour.shape[0], pictures[0].colour.shape[1])
            lane.has_read(sum(math.prod(page.colour.shape[:2]) for picture in pictures for page in picture.pages))
            target, renamed = _output(item, pictures[0])
            told = None if progress is None else _shares(progress, item, pictures[0], restorer)
            (restored, result, trace), less = with_less(
                restorer,
                size,
                partial(_restored, pictures, seed, told, traces is not None, truths and truths(item)),
                lane.waits_for_others,
            )
            lane.begins_writing()
            if kernels is not None:
                _write_kernel(result, kernels(item))
            if traces is not None:
                trace.write(traces / item.label)
            _check_same(item)
            # Last: an image that failed at anything has no output.
            restored = restored.stripped() if strip else restored
            new = target not in item.replaces
            whole = not strip and damaged == "refuse"
            written = write(
                restored, result.notes, pictures, target, source=item.source, new=new,
                keep=whole and item.was is not None, copy=whole,
            )  # fmt: skip
            nfe, noise, output = result.nfe, result.noise[0] if result.noise else None, target
            after = of_files([target])
            equal = [SAMPLES_IDENTICAL] if item.sample is not None and not result.random else []
            note = "; ".join([*written.notes, *filter(None, (less, renamed, written.lost)), *equal]) or None
        except Exception as error:
            stops = _is_nowhere(error)
            raise
    seconds, line = time.perf_counter() - start, errors[0] if errors else None
    return Outcome(item, seed, nfe, seconds, size, line, noise, note, stops, (before, after), output=output)


def look(items: Iterable[Item], seed: int = 0, damaged: images.Damaged = "refuse") -> Outcomes:
    """Reads the images of a job and checks that their outputs could be written.

    Args:
        items: see `plan`.
        seed: see `run`.
        damaged: see `images.read`.

    Yields:
        An outcome for each, with its size and its pages.
    """
    for item in items:
        start = time.perf_counter()
        pages: tuple[tuple[int, int], ...] = ()
        output = note = None
        with caught(str(item.source)) as errors:
            # Whole: a file may be cut off anywhere, or hold what the output's format cannot.
            picture, *_ = _pictures(item, damaged)
            output, note = _output(item, picture)
            for page in picture.pages:
                if page.colour.dtype.kind == "f":
                    check_finite(page.tensor())
            pages = tuple((page.colour.shape[0], page.colour.shape[1]) for page in picture.pages)
        error, seconds = errors[0] if errors else None, time.perf_counter() - start
        size = pages[0] if pages else None
        yield Outcome(item, item.seed(seed), 0, seconds, size, error, note=note, pages=pages, output=output)


def _output(item: Item, picture: Picture) -> tuple[Path, str | None]:
    """Chooses the output's name; see `images.fitting`.

    Raises:
        PellucidError: no format of its names holds the picture.
    """
    if item.was is not None and (lack := images.lacking(picture, item.target)) is not None:
        raise PellucidError(f"{item.target}: {lack}, so it cannot be replaced: say -o FOLDER")
    return images.fitting(picture, item.names)


def _pictures(item: Item, damaged: images.Damaged) -> list[Picture]:
    if damaged == "refuse":
        pictures = [images.read(source) for source in item.sources]
    else:
        pictures = [images.read(source, damaged) for source in item.sources]
    return [replace(picture, name=item.name or picture.name) for picture in pictures]


@contextmanager
def _kept_for(item: Item) -> Iterator[None]:
    """Reserves an input that will be replaced for this job.

    Two jobs that replace it would restore it twice. Without locks (Windows cannot replace an open file), the second job
    leaves it alone.
    """
    if item.was is None or sys.platform == "win32":
        yield
        return
    try:
        file = item.source.open("rb")
    except (OSError, ValueError):  # reading it says what is wrong
        yield
        return
    with file:
        if not lock(file):
            raise PellucidError(f"{item.source}: another job is at work on it")
        # Whoever had the lock before may have replaced it.
        _check_same(item)
        yield


def _check_same(item: Item) -> None:
    """Rejects replacing an input that changed since the job began."""
    if item.was is not None and state_of(item.source) != item.was:
        raise PellucidError(f"{item.source}: has changed since the job began, and is left unchanged")


def _check_place(target: Path) -> None:
    """Rejects, before any work, an unwritable output: its name is too long, or its folder is a file."""
    try:
        os.lstat(target.parent / ".")
        os.lstat(target)
    except (OSError, ValueError) as error:
        if os.path.isdir(target.parent) and isinstance(error, FileNotFoundError):  # noqa: PTH112
            return
        raise PellucidError(f"{target}: cannot be written ({getattr(error, 'strerror', None) or error})") from error


def _shares(progress: Progress, item: Item, picture: Picture, restorer: Restorer) -> Callable[[int], object]:
    """Converts evaluated pixels to shares of an image's work."""
    sizes = [(page.colour.shape[0], page.colour.shape[1]) for page in picture.pages]
    whole = sum(restorer.work(*size) for size in sizes) or 1
    progress(item, 0.0)
    return lambda pixels: progress(item, pixels / whole)


def _is_nowhere(error: BaseException | None) -> bool:
    """True if an error means that a disk is full or read-only."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _NOWHERE:
            return True
        error = error.__context__
    return False


@contextmanager
def caught(name: str) -> Iterator[list[str]]:
    """Turns any exception of the work on one image into a line, so that the others are still done.

    Args:
        name: the image; the line begins with it, unless the error names it.

    Yields:
        A list; after the block it holds the line, or is empty.
    """
    errors: list[str] = []
    try:
        yield errors
    except PellucidError as problem:
        errors.append(str(problem) if name in str(problem) else f"{name}: {problem}")
    except MemoryError:
        errors.append(f"{name}: does not fit into memory")
    # Whatever one image provokes in a decoder or a driver must not end a night's work on the others.
    except Exception as problem:
        first = (str(problem) or type(problem).__name__).splitlines()[0]
        errors.append(f"{name}: failed unexpectedly ({type(problem).__name__}: {first})")


def _restored(
    pictures: Sequence[Picture],
    seed: int,
    told: Callable[[int], object] | None,
    traced: bool,
    truth: Path | None,
    restorer: Restorer,
) -> tuple[Picture, Restored, Trace]:
    trace = Trace(None if truth is None else _beside(pictures[0], truth, restorer))
    watch = trace.see if traced else None
    if len(pictures) > 1:
        return *restorer.exposures(pictures, seed, told, watch), trace
    return *restorer.picture(pictures[0], seed, told, watch), trace


def _beside(damaged: Picture, path: Path, restorer: Restorer) -> Beside:
    """Watches latents beside the clean image, which has the size of the damaged one; both have one page."""
    clean = images.read(path)
    pages = max(len(damaged.pages), len(clean.pages))
    if pages > 1:
        raise PellucidError(f"{path}: latents are compared with the truth of a single page, not of {pages}: split them")
    truth = clean.tensor()
    if truth.shape[-2:] != damaged.tensor().shape[-2:]:
        raise PellucidError(
            f"{path}: the truth has the size of the damaged image, not {truth.shape[-1]}x{truth.shape[-2]}"
        )
    return Beside(to_model(truth.expand(-1, restorer.channels, -1, -1)), restorer.prior.sigmas)


def _write_kernel(result: Restored, path: Path) -> None:
    """Writes an estimated kernel as a 16-bit picture with its brightest number white, for `--kernel`."""
    if "kernel" not in result.found:
        raise PellucidError("the method found no kernel to save: leave --save-kernel out")
    kernel = result.found["kernel"][0, 0]
    path.parent.mkdir(parents=True, exist_ok=True)
    images.write(images.from_array((kernel / kernel.max() * 65535).round().numpy().astype("uint16")), path)
