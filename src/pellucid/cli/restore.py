"""`pellucid restore`."""

from __future__ import annotations

import math
from dataclasses import fields, replace
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
from .job import Job, about, do, dry_run
from .options import Backend, Device, Json, Label, Offline, Precision, Prior, Seed, Settings, Shard, named, typed, whole
from .output import FAILED, INTERRUPTED, left_out

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..jobs import Item, Left
    from ..jobs import Shard as Share
    from ..jobs.executors import Executor
    from .maps import Maps


def restore(
    context: typer.Context,
    inputs: Annotated[list[Path], typer.Argument(parser=named, metavar="IN...", help="Images, or folders of images.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", parser=named, help="File, or folder for several images.")
    ] = None,
    task: Annotated[
        str | None,
        typer.Option("--task", "-t", help="Known damage to undo: see `pellucid tasks`; or FILE.py:CLASS."),
    ] = None,
    mask: Annotated[
        Path | None,
        typer.Option("--mask", parser=named, help="Image, or folder of such, white where pixels are missing."),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Fill damage beyond doubt without a check (task scratches).")
    ] = False,
    kernel: Annotated[
        Path | None, typer.Option("--kernel", parser=named, help="Image of a blurred point: the kernel.")
    ] = None,
    by: Annotated[
        int | None, typer.Option("--by", parser=whole, help="Factor 2, 3 or 4 for the task enlarge (default 2).")
    ] = None,
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
        typer.Option(
            "--fidelity", parser=typed, help="Closeness to the image, 0 to 1, for an automatic strength (0.5)."
        ),
    ] = None,
    settings: Settings = None,
    noise: Annotated[
        float | None,
        typer.Option(
            "--noise", parser=typed, help="The noise in [0, 1] units, such as 10/255, for tasks (default: estimated)."
        ),
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
        int,
        typer.Option(
            "--samples", parser=whole, help="Restorations of each image, NAME-1, NAME-2 ..., with different noise."
        ),
    ] = 1,
    maps: Annotated[
        bool,
        typer.Option(
            "--maps",
            help="The samples' mean, NAME-mean, and deviation, NAME-std, too; white is 0.25.",
        ),
    ] = False,
    tile: Annotated[
        int | None,
        typer.Option(
            "--tile",
            parser=whole,
            help="Side of the tiles of large images, in pixels (default 1056; other networks 512).",
        ),
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
    trace: Annotated[
        Path | None, typer.Option("--trace", parser=named, help="Folder for a table and curves of all steps.")
    ] = None,
    truth: Annotated[
        Path | None,
        typer.Option(
            "--truth",
            parser=named,
            help="With --trace: the clean image, or a folder of them, to compare dreamclean's latents with.",
        ),
    ] = None,
    save_kernel: Annotated[
        Path | None,
        typer.Option(
            "--save-kernel",
            parser=named,
            help="File, or folder for several images, for the estimated kernel of the blur.",
        ),
    ] = None,
    save_mask: Annotated[
        Path | None,
        typer.Option(
            "--save-mask",
            parser=named,
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
        int | None, typer.Option("--workers", parser=whole, help="Number of processes (default: one for each core).")
    ] = None,
    address: Annotated[str | None, typer.Option("--address", help="Address of a Ray cluster.")] = None,
    batch: Annotated[
        int,
        typer.Option("--batch", parser=whole, help="Images side by side in a process; keeps a GPU busy (default 1)."),
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
        typer.Option(
            "--config", metavar="FILE.toml", parser=named, help="TOML file with options by name; the command line wins."
        ),
    ] = None,
    write_config: Annotated[
        Path | None,
        typer.Option(
            "--write-config", metavar="FILE.toml", parser=named, help="Write the options of this call, for --config."
        ),
    ] = None,
    json: Json = False,
) -> int:
    """Restores damaged images.

    The inputs never change without --in-place. An image that fails is named, and the others are done. --resume
    continues a stopped job.
    """
    said = {one.name: context.params[one.name] for one in fields(Recipe) if one.metadata and one.name != "settings"}
    recipe, replaced = built(settings or [], {"strength": strength, "fidelity": fidelity}, said), overwrite or resume
    if write_config is not None and write_config.exists() and not replaced:
        raise UsageError(f"--write-config {write_config}: exists; name another, or say --overwrite")

    from .. import jobs

    apart.warm()
    _check_proposal(recipe, save_mask)
    only_masks = save_mask is not None and not recipe.yes
    several = (replace(recipe, yes=True) if only_masks else recipe).choice.several
    share = None if shard is None else jobs.Shard.parse(shard)
    _check_job(in_place, resume, time_limit, batch)
    damaged, place = _damaged(damaged_files), _place(executor, workers, address)
    folder = None if output is None else jobs.output_folder(inputs, output)
    manifest = jobs.Manifest(folder, share) if folder is not None and resume else None
    left: list[jobs.Left] = []
    # Masks alone leave nothing at -o, so they need none.
    nowhere = only_masks and output is None and not in_place
    items = _planned(
        inputs, save_mask if nowhere else output, several, in_place=in_place, overwrite=overwrite or nowhere,
        shard=share, samples=samples, owned=None if manifest is None else manifest.owns, left=left,
    )  # fmt: skip
    wanted = _maps(items, samples, replaced) if maps else []
    kernels = None if save_kernel is None else _kernels(save_kernel, len(items) > 1 or share is not None, replaced)
    unmasked = False
    if save_mask is not None:
        unmasked = masks.save(items, save_mask, damaged, yes=recipe.yes, overwrite=replaced, json=json, dry=dry)
        if only_masks:
            return FAILED if left_out(left, json) or unmasked else 0
    truths = _truths(truth, trace, items, replaced)
    restorer = recipe.restorer()
    # One image by itself leaves nothing beside it that nobody asked for.
    if folder is not None and manifest is None and (share is not None or len(items) > 1 or items[0].name):
        manifest = jobs.Manifest(folder, share)
    work = jobs.Work(restorer, seed, trace, kernels, batch, strip_metadata, damaged, truths)
    job = Job(items, work, about(restorer), json, time_limit, manifest, executor=place, left=left)
    if manifest is not None:
        files = {"recipe": recipe.fingerprint(restorer.fingerprint), "strip": strip_metadata, "damaged": damaged_files}
        job.configuration = jobs.of_configuration(restorer.fingerprint, files)
    if resume:
        job.leave_out_done()
    if write_config is not None:
        write(write_config, context)
    if dry:
        return dry_run(job) or (FAILED if unmasked else 0)
    jobs.make_folders(job.items)
    code = do(job)
    made = [] if code == INTERRUPTED else [one.write() for one in wanted]
    return code or (FAILED if None in made or unmasked else 0)


def _damaged(said: str) -> Literal["refuse", "keep"]:
    if said not in ("refuse", "keep"):
        raise UsageError(f"--damaged-files is refuse or keep, not {said!r}")
    return "keep" if said == "keep" else "refuse"


def _place(executor: str | None, workers: int | None, address: str | None) -> Executor | None:
    """Executor of a name; None for the usual one."""
    from ..jobs import executors

    if executor is None and workers is None and address is None:
        return None
    return executors.find(executor or ("ray" if address is not None else "processes"), workers, address)


def _planned(
    inputs: Sequence[Path],
    output: Path | None,
    several: bool,
    *,
    in_place: bool,
    overwrite: bool,
    shard: Share | None,
    samples: int,
    owned: Callable[[Path], bool] | None,
    left: list[Left],
) -> list[Item]:
    """The job's images; all inputs become one where they are exposures of it."""
    from .. import jobs

    if not several:
        return jobs.plan(
            inputs, output, in_place=in_place, overwrite=overwrite, shard=shard, samples=samples, owned=owned, left=left
        )
    if in_place or shard is not None:
        raise UsageError("several exposures become one image: say -o FILE, not --in-place or --shard")
    return jobs.plan_exposures(inputs, output, overwrite=overwrite, samples=samples, owned=owned)


def _maps(items: Sequence[Item], samples: int, replace: bool) -> list[Maps]:
    """Makes the maps of each image's samples; rejects impossible ones before any work."""
    from .maps import of_items

    if samples < 2:
        raise UsageError("--maps are of several samples: say --samples N, too")
    return of_items(items, samples, replace=replace)


def _check_proposal(recipe: Recipe, save_mask: Path | None) -> None:
    """Rejects saving a mask where none is proposed."""
    from ..catalogue import tasks

    if save_mask is None:
        return
    if recipe.task is None or tasks.find(recipe.task).propose is None:
        raise UsageError("--save-mask goes with the task scratches, which proposes a mask")
    if recipe.mask is not None:
        raise UsageError("--mask is taken as it is: leave --save-mask out")


def _truths(
    truth: Path | None, trace: Path | None, items: Sequence[Item], replace: bool
) -> Callable[[Item], Path] | None:
    """Paths of the images' truths, if there are any; refuses missing ones, and a trace that would be lost."""
    if trace is not None and (trace.is_file() or (not replace and trace.is_dir() and any(trace.iterdir()))):
        raise UsageError(f"--trace {trace}: is not empty; name another folder, or say --overwrite")
    if truth is None:
        return None
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


def _kernels(path: Path, several: bool, overwrite: bool) -> Callable[[Item], Path]:
    """The place of each image's kernel; refuses one that would cost a night's work at its end."""
    if not several and path.suffix.lower() != ".png":
        raise UsageError(f"--save-kernel {path}: a kernel is written as a PNG file: name it so")
    if several and path.is_file():
        raise UsageError(f"--save-kernel {path}: is a file; several images need a folder")
    if path.exists() and not overwrite and (path.is_file() or any(path.iterdir())):
        raise UsageError(f"--save-kernel {path}: exists; name another, or say --overwrite")
    return partial(_kernel_of, path, several)
