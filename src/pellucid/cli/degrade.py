"""`pellucid degrade`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .. import catalogue
from ..errors import PellucidError
from ..support.settings import assignments, read
from .options import Json, Seed, named
from .output import FAILED, as_json, bar, complain, left_out, plain, tell

if TYPE_CHECKING:
    from ..degradations import Damage
    from ..images import Picture
    from ..jobs import Item


def degrade(
    inputs: Annotated[
        list[Path], typer.Argument(parser=named, metavar="IN...", help="Clean images, or folders of images.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", parser=named, help="File, or folder for several images.")],
    damages: Annotated[
        list[str],
        typer.Option(
            "--damage",
            "-d",
            help="What to do: see `pellucid degradations`; or several, as in sr4+noise:0.05|jpeg:10. Said again, each "
            "is done after the one before.",
        ),
    ],
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A parameter of the damage.")
    ] = None,
    seed: Seed = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace outputs that exist.")] = False,
    json: Json = False,
) -> int:
    """Damages clean images, to test methods on them.

    The inputs never change. Each of several exposures becomes a file: OUT-1, OUT-2 and so on. An image that fails is
    named, and the others are done.
    """
    values, damage = assignments(settings or []), catalogue.damage("|".join(damages))

    from .. import degradations, jobs

    chosen = read(degradations.parameters(damage), damage, values)
    apply = degradations.get(damage, **chosen)
    left: list[jobs.Left] = []
    items = jobs.plan(inputs, output, overwrite=overwrite, left=left)
    jobs.make_folders(items)
    unread = left_out(left, json)
    about = {"damage": damage, "parameters": degradations.describe(damage)["parameters"] | chosen}
    failed = done = 0
    with bar() as progress:
        task = progress.add_task("", total=len(items))
        try:
            for item in items:
                progress.update(task, description=f"{done + failed + 1}/{len(items)} {item.source.name}")
                records = _damaged(item, apply, seed, overwrite)
                error = records[0]["error"]
                done, failed = done + (error is None), failed + (error is not None)
                if error is not None:
                    complain(error)
                for record in records:
                    if json:
                        as_json(record | about)
                    elif error is None:
                        typer.echo(plain(f"{item.source} -> {record['output']}  {damage}"))
                progress.advance(task)
        except KeyboardInterrupt:
            tell(f"{done} of {len(items)} images done")
            raise
    if failed and len(items) > 1:
        tell(f"{done} of {len(items)} images done, {failed} failed")
    return FAILED if failed or unread else 0


def _damaged(item: Item, apply: Damage, seed: int, overwrite: bool) -> list[dict[str, Any]]:
    """Damages one file; returns a record for each file made of it, or one of the failure."""
    from .. import images, jobs
    from ..maths.noise import derive_seed

    own = derive_seed(seed, item.name)
    height = width = None
    outputs: list[Path] = []
    with jobs.caught(str(item.source)) as errors:
        picture = images.read(item.source)
        height, width = picture.colour.shape[:2]
        output, _ = images.fitting(picture, item.names)
        pages = [
            _exposed(page, apply, derive_seed(own, f"page {number}" if number > 1 else ""))
            for number, page in enumerate(picture.pages, 1)
        ]
        targets = _targets(output, len(pages[0]), overwrite)
        for each, target in zip(zip(*pages, strict=True), targets, strict=True):
            images.write(images.bound(each), target, new=not (overwrite or output in item.replaces))
        outputs = targets
    record = {"input": str(item.source), "seed": own, "width": width, "height": height}
    if errors:
        return [record | {"output": None, "error": errors[0]}]
    return [record | {"output": str(output), "error": None} for output in outputs]


def _exposed(page: Picture, apply: Damage, seed: int) -> list[Picture]:
    """Damages a page; the result is several pages if the damage makes several exposures."""
    clean = page.tensor()
    damaged = apply(clean, seed).clamp(0, 1)
    return [page.with_tensor(part) for part in damaged.split(clean.shape[1], 1)]


def _targets(target: Path, number: int, overwrite: bool) -> list[Path]:
    """Output files for the images made from one file.

    Raises:
        PellucidError: an output exists and must not be replaced.
    """
    if number == 1:
        return [target]
    targets = [target.with_stem(f"{target.stem}-{index}") for index in range(1, number + 1)]
    for each in targets:
        if each.exists() and not overwrite:
            raise PellucidError(f"{each}: exists; say --overwrite to replace it")
    return targets
