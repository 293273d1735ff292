"""`pellucid degrade`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..settings import assignments, read
from .output import FAILED, INTERRUPTED, as_json, bar, complain, tell
from .restore import Json, Seed

if TYPE_CHECKING:
    from ..degradations import Damage
    from ..jobs import Item


def degrade(
    inputs: Annotated[list[Path], typer.Argument(metavar="IN...", help="Clean images, or folders of images.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File, or folder for several images.")],
    damage: Annotated[str, typer.Option("--damage", "-d", help="What to do to them; see `pellucid degradations`.")],
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A parameter of the damage.")
    ] = None,
    seed: Seed = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace outputs that exist.")] = False,
    json: Json = False,
) -> int:
    """Damages clean images, to try out methods on them.

    The inputs are never changed. An image that cannot be damaged is named, and the others are done.
    """
    values = assignments(settings or [])

    from .. import degradations, jobs

    chosen = read(degradations.parameters(damage), damage, values)
    apply = degradations.get(damage, **chosen)
    items = jobs.plan(inputs, output, overwrite=overwrite)
    jobs.make_folders(items)
    about = {"damage": damage, "parameters": degradations.describe(damage)["parameters"] | chosen}
    failed = done = 0
    with bar() as progress:
        task = progress.add_task("", total=len(items))
        try:
            for item in items:
                progress.update(task, description=f"{done + failed + 1}/{len(items)} {item.source.name}")
                record = _damaged(item, apply, seed)
                done, failed = done + (record["error"] is None), failed + (record["error"] is not None)
                if record["error"] is not None:
                    complain(record["error"])
                elif not json:
                    typer.echo(f"{item.source} -> {item.target}  {damage}")
                if json:
                    as_json(record | about)
                progress.advance(task)
        except KeyboardInterrupt:
            tell(f"{done} of {len(items)} images done")
            return INTERRUPTED
    if failed and len(items) > 1:
        tell(f"{done} of {len(items)} images done, {failed} failed")
    return FAILED if failed else 0


def _damaged(item: Item, apply: Damage, seed: int) -> dict[str, Any]:
    """Damages one file; what there is to say about it."""
    from .. import images, jobs
    from ..noise import derive_seed

    own = derive_seed(seed, item.name)
    height = width = None
    with jobs.caught(item) as errors:
        picture = images.read(item.source)
        height, width = picture.colour.shape[:2]
        images.check_holds(picture, item.target)
        pages = [
            page.with_tensor(apply(page.tensor(), derive_seed(own, f"page {number}" if number > 1 else "")).clamp(0, 1))
            for number, page in enumerate(picture.pages, 1)
        ]
        images.write(images.bound(pages), item.target)
    return {
        "input": str(item.source),
        "output": None if errors else str(item.target),
        "seed": own,
        "width": width,
        "height": height,
        "error": errors[0] if errors else None,
    }
