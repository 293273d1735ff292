"""Presentation of a `pellucid restore` job: the bar, a line or a record for each image, the summary, exit codes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ..errors import PellucidError, UsageError
from ..support.plural import number_of
from .output import FAILED, INTERRUPTED, as_json, bar, complain, counts, left_out, plain, tell

if TYPE_CHECKING:
    from ..jobs import Item, Left, Manifest, Outcome, Work
    from ..jobs.executors import Executor
    from ..jobs.run import Outcomes, Progress
    from ..restoration.restorer import Restorer


@dataclass
class Job:
    """A job of `restore`, ready to run.

    Attributes:
        items: the images to restore.
        work: the work on each.
        about: fields of every record.
        left: other files in the inputs' folders.
        json: whether records are printed in place of lines.
        time_limit: minutes after which no image is started; None for no limit.
        manifest: the manifest; None to write none.
        configuration: see `jobs.of_configuration`.
        skipped: number of finished images.
        executor: executor of the work; None for the default.
    """

    items: list[Item]
    work: Work
    about: dict[str, Any]
    json: bool
    time_limit: float | None
    manifest: Manifest | None
    configuration: str = ""
    skipped: int = 0
    executor: Executor | None = None
    left: Sequence[Left] = ()

    def expected(self) -> dict[Path, int]:
        """Estimates the work of each image by its output; opens no file."""
        from ..jobs import expected

        return {item.target: expected(item, self.work.restorer) for item in self.items}

    def outcomes(self, items: Iterable[Item], work: int, progress: Progress) -> Outcomes:
        """Does the work and records it."""
        from ..jobs import executors
        from ..priors.prior import device_of

        executor = self.executor
        if executor is None:
            device = device_of(self.work.restorer.prior)
            executor = executors.find(executors.usual(work, len(self.items), device))
        if self.manifest is None:
            return executor(self.work, items, progress)
        return self.manifest.record(
            items, lambda begun: executor(self.work, begun, progress), self.work.seed, self.configuration
        )

    def leave_out_done(self) -> None:
        """Leaves out the images that an earlier run did to the same files alike, and says how many."""
        if self.manifest is None:
            return
        total = len(self.items)
        self.items = self.manifest.left(self.items, self.work.seed, self.configuration)
        self.skipped = total - len(self.items)
        if self.skipped:
            tell(f"{self.skipped} of {total} images skipped: done already")
        if outdated := len(self.manifest.outdated(self.items)):
            tell(f"{outdated} of {total} outputs are made again: their images, or the options, are not those of then")


def about(restorer: Restorer) -> dict[str, Any]:
    """The part that all records of a job share."""
    from ..priors.backends import backend_of, precision_of

    recipe = restorer.recipe
    return {
        "method": recipe.choice.method,
        "hyper_parameters": asdict(restorer.method),  # type: ignore[call-overload]  # every method is a dataclass
        "prior": recipe.prior,
        "backend": backend_of(restorer.prior),
        "precision": precision_of(restorer.prior),
        "task": recipe.task,
    }


def dry_run(job: Job) -> int:
    """Prints the planned work; returns the exit code."""
    restorer, failed = job.work.restorer, left_out(job.left, job.json)

    @cache
    def memory(height: int, width: int) -> int | None:
        needed = restorer.memory(height, width)
        return None if needed is None else needed.total

    # Each image is read once: its samples differ in their outputs' names alone.
    samples: dict[tuple[Path, ...], list[Item]] = {}
    for item in job.items:
        samples.setdefault(item.sources, []).append(item)
    looked = replace(job, items=[each[0] for each in samples.values()], work=replace(job.work, dry=True), manifest=None)
    for outcome in looked.outcomes(looked.items, sum(looked.expected().values()), lambda item, share: None):
        chosen = None if outcome.error is not None else outcome.output
        if chosen is None:
            failed += 1
            complain(outcome.error or "")
        plan = _plan(None if chosen is None else outcome, restorer, memory)
        for item in samples[outcome.item.sources]:
            output = None if chosen is None else item.names[outcome.item.names.index(chosen)]
            if job.json:
                as_json({**_files(item, output), **job.about, **plan, "error": outcome.error})
            elif output is not None:
                typer.echo(plain(f"{item.source} -> {output}  {_planned(plan, restorer)}"))
    return FAILED if failed else 0


def _plan(outcome: Outcome | None, restorer: Restorer, memory: Callable[[int, int], int | None]) -> dict[str, Any]:
    """Fields of a planned image's record; each is None for one that cannot be begun."""
    if outcome is None:
        return dict.fromkeys(("width", "height", "nfe", "tiles", "memory", "note"))
    sizes = outcome.pages
    height, width = sizes[0]
    return {
        "width": width,
        "height": height,
        "nfe": restorer.nfe(),
        "tiles": sum(restorer.tiles(*size).number for size in sizes),
        "memory": max((memory(*size) for size in sizes), key=lambda bytes: bytes or 0),
        "note": outcome.note,
    }


def _planned(plan: Mapping[str, Any], restorer: Restorer) -> str:
    """The planned work on an image in words."""
    # A method that looks at each picture first makes as many as it needs.
    bound = "up to " if restorer.method.diagnoses else ""
    room = "" if plan["memory"] is None else f", about {plan['memory'] / 1e9:.1f} GB of memory"
    work = f"{number_of(plan['nfe'], 'evaluation')} of {number_of(plan['tiles'], 'tile')}"
    note = "" if plan["note"] is None else f": {plan['note']}"
    return f"{plan['width']}x{plan['height']}, {bound}{work}{room}{note}"


@dataclass
class _Tally:
    """Counts of a running job.

    Attributes:
        work: estimated work of each image by its output.
        done: number of restored images.
        failed: number of failed images.
        pixels: number of pixels of the restored images.
        over: work of all images that are over.
        shares: share that is over of each image in work, by its output.
    """

    work: Mapping[Path, int]
    done: int = 0
    failed: int = 0
    pixels: int = 0
    over: int = 0
    shares: dict[Path, float] = field(default_factory=dict)

    @property
    def completed(self) -> float:
        """Work that is over, also of the images in work."""
        return self.over + sum(self.work[target] * share for target, share in self.shares.items())

    def advance(self, item: Item, share: float) -> None:
        """Adds a share of an image's work."""
        # What did not fit into memory is begun again: it never is more than whole.
        self.shares[item.target] = min(1.0, self.shares.get(item.target, 0.0) + share)

    def count(self, outcome: Outcome) -> None:
        """Counts an image that is over."""
        if outcome.error is None:
            self.done += 1
            self.pixels += math.prod(outcome.size or ())
        else:
            self.failed += 1
        # A failed image's share is over, too.
        self.over += self.work[outcome.item.target]
        self.shares.pop(outcome.item.target, None)


def do(job: Job) -> int:
    """Does the work and prints each image's result; returns the exit code."""
    from ..jobs import Feed

    unread = left_out(job.left, job.json)
    start = time.monotonic()
    tally, feed = _Tally(job.expected()), Feed(job.items, job.time_limit)
    stopped = ""
    problem: PellucidError | None = None
    with bar() as progress:
        total = sum(tally.work.values())
        task = progress.add_task("", total=total or 1)

        def advance(item: Item, share: float) -> None:
            tally.advance(item, share)
            number = f"{tally.done + tally.failed + 1}/{len(job.items)}"
            progress.update(task, completed=tally.completed, description=f"{number} {item.source.name}")

        try:
            with closing(job.outcomes(feed, total, advance)) as outcomes:
                for outcome in outcomes:
                    tally.count(outcome)
                    _tell(job, outcome)
                    feed.heed(outcome)
                    progress.update(task, completed=tally.completed)
        except KeyboardInterrupt:
            stopped = "stopped"
        except UsageError:  # another job is at work there
            raise
        except PellucidError as error:
            # The record cannot be written, or the executor is lost: what is done is done, and can be continued.
            problem, stopped = error, "stopped"
    stopped = stopped or feed.stopped
    if stopped or len(job.items) + job.skipped > 1:
        tell(_summary(job, tally, stopped, time.monotonic() - start))
    if problem is not None:
        raise problem
    if stopped == "stopped":
        complain("interrupted")
    if stopped and not feed.full:
        return INTERRUPTED
    return FAILED if tally.failed or unread else 0


def _tell(job: Job, outcome: Outcome) -> None:
    """Prints an image's line or record."""
    restorer = job.work.restorer
    if outcome.error is not None:
        complain(outcome.error)
    elif not job.json:
        typer.echo(plain(_line(outcome, restorer.estimates_noise, restorer.way)))
    if job.json:
        as_json(_record(outcome, job.about))


def _summary(job: Job, tally: _Tally, stopped: str, seconds: float) -> str:
    """Line at the end of a job.

    Args:
        job: the job.
        tally: its counts.
        stopped: reason of an early end; "" for none.
        seconds: its time.
    """
    why = f"{stopped}: " if stopped else ""
    skips = f", {job.skipped} skipped" if job.skipped else ""
    more = "; the same command with --resume continues" if stopped and job.manifest is not None else ""
    fails, speed = counts(tally.failed, job.left), _speed(tally.done, tally.pixels, seconds)
    total = len(job.items) + job.skipped
    return f"{why}{tally.done} of {total} images done{skips}{fails}, {seconds:.1f} s{speed}{more}"


def _speed(images: int, pixels: int, seconds: float) -> str:
    """Speed of the job in brackets; empty for one image, whose line has its time."""
    if images < 2:
        return ""
    return f" ({60 * images / seconds:.3g} images a minute, {pixels / 1e6 / seconds:.2g} megapixels a second)"


def _line(outcome: Outcome, estimated: bool, way: Mapping[str, str]) -> str:
    line = f"{outcome.item.source} -> {outcome.output}  {outcome.nfe} NFE, {outcome.seconds:.1f} s"
    if outcome.nfe and way:
        line += f", {' '.join(way.values())}"
    if estimated and outcome.noise == 0:
        # An estimate is never 0: this is the task's default.
        line += ", no noise assumed"
    elif outcome.noise is not None:
        line += f", noise {outcome.noise:.4f}{' (estimated)' if estimated else ''}"
    return line if outcome.note is None else f"{line}: {outcome.note}"


def _files(item: Item, output: Path | None) -> dict[str, Any]:
    """The part of a record that names the files."""
    return {"input": str(item.source), "sample": item.sample or 1, "output": None if output is None else str(output)}


def _record(outcome: Outcome, about: dict[str, Any]) -> dict[str, Any]:
    height, width = outcome.size or (None, None)
    return {
        **_files(outcome.item, outcome.output),
        **about,
        "seed": outcome.seed,
        "nfe": outcome.nfe,
        "seconds": round(outcome.seconds, 3),
        "noise": outcome.noise,
        "note": outcome.note,
        "width": width,
        "height": height,
        "error": outcome.error,
    }
