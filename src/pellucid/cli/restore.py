"""`pellucid restore`."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import PellucidError, UsageError
from ..settings import assignments
from .output import FAILED, INTERRUPTED, as_json, bar, complain, tell

if TYPE_CHECKING:
    from ..api import Restorer
    from ..jobs import Item, Manifest, Outcome

# Options that several commands share.
Prior = Annotated[str, typer.Option("--prior", "-p", help="An embedded prior's name, or a prior's folder or file.")]
Seed = Annotated[int, typer.Option("--seed", help="The same seed gives the same bytes.")]
Device = Annotated[str | None, typer.Option("--device", help="cpu, cuda, cuda:1 ...; a GPU if there is one.")]
Settings = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A hyper-parameter.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, one line a result, to stdout.")]


def restore(
    inputs: Annotated[list[Path], typer.Argument(metavar="IN...", help="Images, or folders of images.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File, or folder for several images.")] = None,
    task: Annotated[
        str | None, typer.Option("--task", "-t", help="What to undo, if you know it; see `pellucid tasks`.")
    ] = None,
    mask: Annotated[Path | None, typer.Option("--mask", help="Image, white where pixels are missing.")] = None,
    kernel: Annotated[Path | None, typer.Option("--kernel", help="Image of how a point is blurred.")] = None,
    method: Annotated[
        str | None, typer.Option("--method", "-m", help="See `pellucid methods` (default: auto, or the task's).")
    ] = None,
    prior: Prior = "natural",
    strength: Annotated[
        str | None,
        typer.Option("--strength", "-s", help="How strong DreamClean is, 1 to 1000 (default: auto, for each image)."),
    ] = None,
    fidelity: Annotated[
        float | None,
        typer.Option("--fidelity", help="0 to 1: how near to the image to stay, where the strength is auto (0.5)."),
    ] = None,
    settings: Settings = None,
    noise: Annotated[
        float | None, typer.Option("--noise", help="The noise in [0, 1] units, for tasks (default: estimated).")
    ] = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="Make the result agree with the input: known pixels to the bit.")
    ] = False,
    seed: Seed = 0,
    tile: Annotated[
        int | None, typer.Option("--tile", help="Side of the tiles of large images, in pixels (default 512).")
    ] = None,
    device: Device = None,
    in_place: Annotated[bool, typer.Option("--in-place", help="Replace the inputs.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace outputs that exist.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a job: skip what an earlier run did to the same files alike.")
    ] = False,
    shard: Annotated[
        str | None,
        typer.Option("--shard", metavar="I/N", help="Do share I of N, such as 1/8; others do theirs elsewhere."),
    ] = None,
    time_limit: Annotated[
        float | None, typer.Option("--time-limit", help="Minutes after which no further image is begun.")
    ] = None,
    trace: Annotated[
        Path | None, typer.Option("--trace", help="Folder for what happened at each step: a table and its curves.")
    ] = None,
    save_kernel: Annotated[
        Path | None,
        typer.Option("--save-kernel", help="File, or folder for several images, for the blur's kernel that was found."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, say what would be done.")] = False,
    json: Json = False,
) -> int:
    """Restores damaged images.

    The inputs are never changed unless --in-place is said. An image that cannot be restored is named, and the others
    are done. A job that was stopped goes on with --resume.
    """
    values = assignments(settings or [])
    if strength is not None:
        if "strength" in values:
            raise UsageError("--strength and --set strength=... say the same thing: leave one out")
        values["strength"] = strength
    if fidelity is not None:
        if "fidelity" in values:
            raise UsageError("--fidelity and --set fidelity=... say the same thing: leave one out")
        values["fidelity"] = str(fidelity)

    from .. import jobs
    from ..choice import choose

    chosen = choose(method, task, values, noise=noise, mask=mask, kernel=kernel)
    method, noise = chosen.method, chosen.noise
    share = None if shard is None else jobs.Shard.parse(shard)
    _check_job(in_place, resume, time_limit)
    folder = None if output is None else jobs.output_folder(inputs, output)
    manifest = jobs.Manifest(folder, share) if folder is not None and resume else None
    owned = None if manifest is None else manifest.owns
    if chosen.several:
        if in_place or share is not None:
            raise UsageError("several exposures become one image: say -o FILE, not --in-place or --shard")
        items = jobs.plan_exposures(inputs, output, overwrite=overwrite, owned=owned)
    else:
        items = jobs.plan(inputs, output, in_place=in_place, overwrite=overwrite, shard=share, owned=owned)
    if save_kernel is not None:
        several = len(items) > 1 or share is not None
        _check_kernel(save_kernel, several, overwrite or resume)

    if trace is not None and (
        trace.is_file() or (not (overwrite or resume) and trace.is_dir() and any(trace.iterdir()))
    ):
        raise UsageError(f"--trace {trace}: is not empty; name another folder, or say --overwrite")

    from ..api import Restorer

    restorer = Restorer(
        method,
        prior,
        operator=chosen.operator,
        noise=noise,
        tile=tile,
        device=device,
        exact=exact,
        **chosen.hyper_parameters,
    )
    about = {
        "method": method,
        "hyper_parameters": asdict(restorer.method),  # type: ignore[call-overload]  # every method is a dataclass
        "prior": prior,
        "task": task,
    }
    # One image by itself leaves nothing beside it that nobody asked for.
    if folder is not None and manifest is None and (share is not None or len(items) > 1 or items[0].name):
        manifest = jobs.Manifest(folder, share)
    job = _Job(items, restorer, seed, about, json, trace, None, time_limit, manifest)
    if save_kernel is not None:
        job.kernels = partial(_kernel_of, save_kernel, several)
    if manifest is not None:
        files = {"mask": mask, "kernel": kernel}
        choices = {"noise": noise, "exact": exact, "seed": seed, "tile": restorer.tile}
        job.configuration = jobs.of_configuration(restorer.prior, {**about, **files, **choices})
    if manifest is not None and resume:
        job.items = manifest.left(items, seed, job.configuration)
        job.skipped = len(items) - len(job.items)
        if job.skipped:
            tell(f"{job.skipped} of {len(items)} images skipped: done already")
    if dry_run:
        return _dry_run(job.items, restorer, about, json)
    jobs.make_folders(job.items)
    return _run(job)


@dataclass
class _Job:
    """What `restore` is about to do.

    Attributes:
        items: the images that are left to do.
        manifest: where it is written down; None if nowhere.
        configuration: see `jobs.of_configuration`.
        skipped: how many images are done already.
    """

    items: list[Item]
    restorer: Restorer
    seed: int
    about: dict[str, Any]
    json: bool
    trace: Path | None
    kernels: Callable[[Item], Path] | None
    time_limit: float | None
    manifest: Manifest | None
    configuration: str = ""
    skipped: int = 0

    def outcomes(self, progress: Callable[[Item, int], object]) -> Iterator[Outcome]:
        from .. import jobs

        outcomes = jobs.run(self.items, self.restorer, self.seed, progress, self.trace, self.kernels)
        if self.manifest is None:
            return outcomes
        return self.manifest.record(self.items, outcomes, self.seed, self.configuration)


def _check_job(in_place: bool, resume: bool, time_limit: float | None) -> None:
    """Refuses what could not be gone on with."""
    if in_place and resume:
        raise UsageError("--in-place keeps no record of what is done, to go on from: say -o FOLDER with --resume")
    if time_limit is not None and not 0 < time_limit < math.inf:
        raise UsageError(f"--time-limit is a number of minutes above 0, not {time_limit}")


def _kernel_of(path: Path, several: bool, item: Item) -> Path:
    return path / f"{item.name or item.source.name}.png" if several else path


def _check_kernel(path: Path, several: bool, overwrite: bool) -> None:
    """Refuses a place for kernels that would cost a night's work at its end."""
    if not several and path.suffix.lower() != ".png":
        raise UsageError(f"--save-kernel {path}: a kernel is written as a PNG file: name it so")
    if several and path.is_file():
        raise UsageError(f"--save-kernel {path}: is a file; several images need a folder")
    if path.exists() and not overwrite and (path.is_file() or any(path.iterdir())):
        raise UsageError(f"--save-kernel {path}: exists; name another, or say --overwrite")


def _dry_run(items: list[Item], restorer: Restorer, about: dict[str, Any], json: bool) -> int:
    from .. import images

    failed = 0
    for item in items:
        try:
            height, width = images.size_of(item.source)
        except PellucidError as error:
            failed += 1
            complain(str(error))
            continue
        tiles, nfe = restorer.tiles(height, width).number, restorer.nfe()
        if json:
            plan = {"width": width, "height": height, "nfe": nfe, "tiles": tiles}
            as_json({"input": str(item.source), "output": str(item.target), **about, **plan})
        else:
            typer.echo(f"{item.source} -> {item.target}  {width}x{height}, {nfe} evaluations of {tiles} tile(s)")
    return FAILED if failed else 0


def _run(job: _Job) -> int:
    items, restorer = job.items, job.restorer
    done = failed = over = 0
    start = time.monotonic()
    stopped = ""
    work = [_work(item, restorer) for item in items]
    with bar() as progress:
        task = progress.add_task("", total=sum(work) or 1)

        def advance(item: Item, pixels: int) -> None:
            progress.update(task, advance=pixels, description=f"{done + failed + 1}/{len(items)} {item.source.name}")

        try:
            for outcome, planned in zip(job.outcomes(advance), work, strict=True):
                if outcome.error is None:
                    done += 1
                    if not job.json:
                        typer.echo(_line(outcome, restorer.estimates_noise))
                else:
                    failed += 1
                    complain(outcome.error)
                if job.json:
                    as_json(_record(outcome, job.about))
                # A failed image's share is over, too.
                over += planned
                progress.update(task, completed=over)
                late = job.time_limit is not None and time.monotonic() - start >= 60 * job.time_limit
                if late and done + failed < len(items):
                    stopped = "time limit reached: "
                    break
        except KeyboardInterrupt:
            stopped = "stopped: "
    total = len(items) + job.skipped
    if stopped or total > 1:
        more = "; the same command with --resume goes on" if stopped and job.manifest is not None else ""
        skips = f", {job.skipped} skipped" if job.skipped else ""
        fails = f", {failed} failed" if failed else ""
        tell(f"{stopped}{done} of {total} images done{skips}{fails}, {time.monotonic() - start:.1f} s{more}")
    if stopped:
        return INTERRUPTED
    return FAILED if failed else 0


def _work(item: Item, restorer: Restorer) -> int:
    from .. import images

    try:
        # A method that evaluates nothing is one step for each image.
        return restorer.work(*images.size_of(item.source)) or 1
    except PellucidError:
        return 0  # it is going to fail, and to say so, when its turn comes


def _line(outcome: Outcome, estimated: bool) -> str:
    line = f"{outcome.item.source} -> {outcome.item.target}  {outcome.nfe} NFE, {outcome.seconds:.1f} s"
    if outcome.noise is not None:
        line += f", noise {outcome.noise:.4f}{' (estimated)' if estimated else ''}"
    return line if outcome.note is None else f"{line}: {outcome.note}"


def _record(outcome: Outcome, about: dict[str, Any]) -> dict[str, Any]:
    height, width = outcome.size or (None, None)
    return {
        "input": str(outcome.item.source),
        "output": str(outcome.item.target) if outcome.error is None else None,
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
