"""`pellucid restore`."""

from __future__ import annotations

import math
from dataclasses import asdict, fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from .. import apart
from ..errors import UsageError
from ..restoration import Recipe
from ..restoration.spelling import built
from . import masks
from .config import write
from .job import Job, do, dry_run
from .options import Backend, Device, Json, Label, Offline, Precision, Prior, Seed, Settings, Shard, named
from .output import FAILED, INTERRUPTED, tell

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..jobs import Item
    from .maps import Maps


def restore(
    context: typer.Context,
    inputs: Annotated[list[Path], typer.Argument(parser=named, metavar="IN...", help="Images, or folders of images.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File, or folder for several images.")] = None,
    task: Annotated[
        str | None,
        typer.Option("--task", "-t", help="Known damage to undo: see `pellucid tasks`; or FILE.py:CLASS."),
    ] = None,
    mask: Annotated[
        Path | None, typer.Option("--mask", help="Image, or folder of such, white where pixels are missing.")
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Fill damage beyond doubt without a check (task scratches).")
    ] = False,
    kernel: Annotated[Path | None, typer.Option("--kernel", help="Image of a blurred point: the kernel.")] = None,
    by: Annotated[int | None, typer.Option("--by", help="Factor 2, 3 or 4 for the task enlarge (default 2).")] = None,
    method: Annotated[
        str | None, typer.Option("--method", "-m", help="See `pellucid methods` (default: auto, or the task's).")
    ] = None,
    prior: Prior = "natural",
    label: Label = None,
    prompt: Annotated[
        str | None, typer.Option("--prompt", help="Description of the picture, for Stable Diffusion and SDXL.")
    ] = None,
    offline: Offline = False,
    preset: Annotated[
        str | None, typer.Option("--preset", help="A preset of the method, such as fast: see pellucid methods NAME.")
    ] = None,
    strength: Annotated[
        str | None,
        typer.Option("--strength", "-s", help="Strength of DreamClean, 1 to 1000 (default: auto, for each image)."),
    ] = None,
    fidelity: Annotated[
        float | None,
        typer.Option("--fidelity", help="Closeness to the image, 0 to 1, for an automatic strength (0.5)."),
    ] = None,
    settings: Settings = None,
    noise: Annotated[
        float | None, typer.Option("--noise", help="The noise in [0, 1] units, for tasks (default: estimated).")
    ] = None,
    exact: Annotated[
        bool,
        typer.Option(
            "--exact/--no-exact",
            show_default=False,
            help="Make the result agree with the input; known pixels stay exact.",
        ),
    ] = False,
    seed: Seed = 0,
    samples: Annotated[
        int, typer.Option("--samples", help="Restorations of each image, NAME-1, NAME-2 ..., with different noise.")
    ] = 1,
    maps: Annotated[
        bool,
        typer.Option(
            "--maps",
            help="The samples' mean, NAME-mean, and deviation, NAME-std, too; white is 0.25.",
        ),
    ] = False,
    tile: Annotated[
        int | None, typer.Option("--tile", help="Side of the tiles of large images, in pixels (default 512).")
    ] = None,
    device: Device = None,
    backend: Backend = "auto",
    precision: Precision = "auto",
    in_place: Annotated[bool, typer.Option("--in-place", help="Replace the inputs.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace outputs that exist.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Resume a job: skip files that an earlier run restored in the same way.")
    ] = False,
    shard: Shard = None,
    time_limit: Annotated[
        float | None, typer.Option("--time-limit", help="Minutes after which no image is started.")
    ] = None,
    trace: Annotated[Path | None, typer.Option("--trace", help="Folder for a table and curves of all steps.")] = None,
    truth: Annotated[
        Path | None,
        typer.Option(
            "--truth", help="With --trace: the clean image, or a folder of them, to compare dreamclean's latents with."
        ),
    ] = None,
    save_kernel: Annotated[
        Path | None,
        typer.Option("--save-kernel", help="File, or folder for several images, for the estimated kernel of the blur."),
    ] = None,
    save_mask: Annotated[
        Path | None,
        typer.Option(
            "--save-mask",
            help="File, or folder for several images, for the mask that the task scratches proposes; without --yes "
            "nothing else is done.",
        ),
    ] = None,
    executor: Annotated[
        str | None,
        typer.Option(
            "--executor",
            help="Executor: this, processes, ray or FILE.py:OBJECT (default: processes for much work on a CPU).",
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", help="Number of processes (default: one for each core).")
    ] = None,
    address: Annotated[str | None, typer.Option("--address", help="Address of a Ray cluster.")] = None,
    batch: Annotated[
        int, typer.Option("--batch", help="Images side by side in a process; keeps a GPU busy (default 1).")
    ] = 1,
    dry: Annotated[bool, typer.Option("--dry-run", help="Check everything and list the planned work.")] = False,
    strip_metadata: Annotated[
        bool,
        typer.Option(
            "--strip-metadata/--keep-metadata",
            show_default=False,
            help="Remove metadata about camera, place and people.",
        ),
    ] = False,
    damaged_files: Annotated[
        str, typer.Option("--damaged-files", help="Truncated JPEGs: refuse, or keep the readable part.")
    ] = "refuse",
    config: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE.toml", help="TOML file with options by name; the command line wins."),
    ] = None,
    write_config: Annotated[
        Path | None,
        typer.Option("--write-config", metavar="FILE.toml", help="Write the options of this call, for --config."),
    ] = None,
    json: Json = False,
) -> int:
    """Restores damaged images.

    The inputs never change without --in-place. An image that fails is named, and the others are done. --resume
    continues a stopped job.
    """
    said = {one.name: context.params[one.name] for one in fields(Recipe) if one.metadata and one.name != "settings"}
    recipe = built(settings or [], {"strength": strength, "fidelity": fidelity}, said)
    if write_config is not None and write_config.exists() and not (overwrite or resume):
        raise UsageError(f"--write-config {write_config}: exists; name another, or say --overwrite")

    from .. import jobs

    apart.warm()
    _check_proposal(recipe, save_mask)
    only_masks = save_mask is not None and not recipe.yes
    choice = replace(recipe, yes=True).choice if only_masks else recipe.choice
    share = None if shard is None else jobs.Shard.parse(shard)
    _check_job(in_place, resume, time_limit, batch)
    if damaged_files not in ("refuse", "keep"):
        raise UsageError(f"--damaged-files is refuse or keep, not {damaged_files!r}")
    damaged: Literal["refuse", "keep"] = "keep" if damaged_files == "keep" else "refuse"
    place = None
    if executor is not None or workers is not None or address is not None:
        place = jobs.executors.find(executor or ("ray" if address is not None else "processes"), workers, address)
    folder = None if output is None else jobs.output_folder(inputs, output)
    manifest = jobs.Manifest(folder, share) if folder is not None and resume else None
    owned = None if manifest is None else manifest.owns
    left: list[jobs.Left] = []
    if choice.several:
        if in_place or share is not None:
            raise UsageError("several exposures become one image: say -o FILE, not --in-place or --shard")
        items = jobs.plan_exposures(inputs, output, overwrite=overwrite, samples=samples, owned=owned)
    else:
        items = jobs.plan(
            inputs, output, in_place=in_place, overwrite=overwrite, shard=share, samples=samples, owned=owned, left=left
        )
    wanted = _maps(items, samples, overwrite or resume) if maps else []
    if save_kernel is not None:
        several = len(items) > 1 or share is not None
        _check_kernel(save_kernel, several, overwrite or resume)

    if save_mask is not None:
        failed = masks.save(
            items, save_mask, damaged, yes=recipe.yes, overwrite=overwrite or resume, json=json, dry=dry
        )
        if only_masks or failed:
            return FAILED if failed else 0
    if trace is not None and (
        trace.is_file() or (not (overwrite or resume) and trace.is_dir() and any(trace.iterdir()))
    ):
        raise UsageError(f"--trace {trace}: is not empty; name another folder, or say --overwrite")

    from ..priors.backends import backend_of, precision_of

    truths = None if truth is None else _truths(truth, trace, items)
    restorer = recipe.restorer()
    about = {
        "method": choice.method,
        "hyper_parameters": asdict(restorer.method),  # type: ignore[call-overload]  # every method is a dataclass
        "prior": prior,
        "backend": backend_of(restorer.prior),
        "precision": precision_of(restorer.prior),
        "task": task,
    }
    # One image by itself leaves nothing beside it that nobody asked for.
    if folder is not None and manifest is None and (share is not None or len(items) > 1 or items[0].name):
        manifest = jobs.Manifest(folder, share)
    kernels = None if save_kernel is None else partial(_kernel_of, save_kernel, several)
    work = jobs.Work(restorer, seed, trace, kernels, batch, strip_metadata, damaged, truths)
    job = Job(items, work, about, json, time_limit, manifest, executor=place, left=left)
    if manifest is not None:
        print_of = recipe.fingerprint(restorer.fingerprint)
        about_files = {"recipe": print_of, "strip": strip_metadata, "damaged": damaged_files}
        job.configuration = jobs.of_configuration(restorer.fingerprint, about_files)
    if manifest is not None and resume:
        job.items = manifest.left(items, seed, job.configuration)
        job.skipped = len(items) - len(job.items)
        if job.skipped:
            tell(f"{job.skipped} of {len(items)} images skipped: done already")
    if write_config is not None:
        write(write_config, context)
    if dry:
        return dry_run(job)
    jobs.make_folders(job.items)
    code = do(job)
    if code == INTERRUPTED:
        return code
    made = [one.write() for one in wanted]
    return code if None not in made else FAILED


def _maps(items: Sequence[Item], samples: int, replace: bool) -> list[Maps]:
    """Makes the maps of each image's samples; rejects impossible ones before any work."""
    from .maps import of_items

    if samples < 2:
        raise UsageError("--maps are of several samples: say --samples N, too")
    return of_items(items, samples, replace=replace)


def _check_proposal(recipe: Recipe, save_mask: Path | None) -> None:
    """Rejects saving a mask where none is proposed."""
    from .. import tasks

    if save_mask is None:
        return
    if recipe.task is None or tasks.find(recipe.task).propose is None:
        raise UsageError("--save-mask goes with the task scratches, which proposes a mask")
    if recipe.mask is not None:
        raise UsageError("--mask is taken as it is: leave --save-mask out")


def _truths(truth: Path, trace: Path | None, items: Sequence[Item]) -> Callable[[Item], Path]:
    """Finds each image's truth; rejects missing files."""
    if trace is None:
        raise UsageError("--truth goes with --trace FOLDER")
    find = partial(_truth_of, truth)
    if truth.is_file() and len({item.source for item in items}) > 1:
        raise UsageError(f"--truth {truth}: is one image; several inputs need a folder, with their names")
    missing = next((find(item) for item in items if not find(item).is_file()), None)
    if missing is not None:
        raise UsageError(f"--truth {truth}: there is no {missing}")
    return find


def _truth_of(truth: Path, item: Item) -> Path:
    return truth / (item.name or item.source.name) if truth.is_dir() else truth


def _check_job(in_place: bool, resume: bool, time_limit: float | None, batch: int) -> None:
    """Rejects options that cannot be started or resumed."""
    if batch < 1:
        raise UsageError(f"--batch is a number of images, 1 or more, not {batch}")
    if in_place and resume:
        raise UsageError("--in-place keeps no record of what is done, to go on from: say -o FOLDER with --resume")
    if time_limit is not None and not 0 < time_limit < math.inf:
        raise UsageError(f"--time-limit is a number of minutes above 0, not {time_limit}")


def _kernel_of(path: Path, several: bool, item: Item) -> Path:
    return path / f"{item.label}.png" if several else path


def _check_kernel(path: Path, several: bool, overwrite: bool) -> None:
    """Rejects an impossible place for kernels before the work, not after a night of it."""
    if not several and path.suffix.lower() != ".png":
        raise UsageError(f"--save-kernel {path}: a kernel is written as a PNG file: name it so")
    if several and path.is_file():
        raise UsageError(f"--save-kernel {path}: is a file; several images need a folder")
    if path.exists() and not overwrite and (path.is_file() or any(path.iterdir())):
        raise UsageError(f"--save-kernel {path}: exists; name another, or say --overwrite")
