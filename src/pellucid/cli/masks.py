"""Masks proposed by `pellucid restore --task scratches --save-mask`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ..errors import PellucidError, UsageError
from ..support.ranges import percent
from .output import as_json, complain, plain, tell

if TYPE_CHECKING:
    from ..images import Damaged
    from ..jobs import Item


def save(
    items: Sequence[Item], place: Path, damaged: Damaged, *, yes: bool, overwrite: bool, json: bool, dry: bool
) -> bool:
    """Writes the proposed mask of each picture; an unreadable picture is named, and the others are done.

    Args:
        items: the pictures. With several pictures, each mask is named like its picture, with .png added.
        place: a file, or a folder for several pictures.
        damaged: see `images.read`.
        yes: whether to mark only damage beyond doubt, which can be filled unseen.
        overwrite: whether existing files are replaced.
        json: whether records are printed in place of lines.
        dry: whether to write nothing.

    Returns:
        True if any picture failed.

    Raises:
        UsageError: the place is a file for several pictures, a folder for one, no PNG, or exists.
    """
    from .. import images
    from ..catalogue.tasks import certain, proposed
    from ..restoration.spelling import word

    # Samples of one picture have one mask.
    sources = {item.source: item for item in items}
    several = any(item.name for item in items) or len(sources) > 1
    names = {source: f"{item.name or source.name}.png" for source, item in sources.items()}
    targets = {source: place / name if several else place for source, name in names.items()}
    _check(place, several, list(targets.values()), overwrite)
    failed = marked = False
    for source, target in targets.items():
        try:
            picture = images.read(source, damaged)
            if picture.more:
                way = "its mask is not saved" if yes else "say --yes"
                raise PellucidError(f"{source}: a mask is of one page, this file has {len(picture.pages)}: {way}")
            mask = images.from_tensor(1 - (certain if yes else proposed)(picture).known)
            share = float(mask.colour.mean()) / 255
            if not dry:
                target.parent.mkdir(parents=True, exist_ok=True)
                images.write(mask, target, new=not overwrite)
        except PellucidError as error:
            complain(str(error))
            failed = True
            continue
        if json:
            as_json({"input": source, "mask": target, "share": share})
        else:
            amount = percent(share) if share else "nothing"
            typer.echo(plain(f"{target}: {amount} of {source} marked as scratches and specks"))
        marked = marked or share > 0
    if marked and not (dry or yes):
        tell(f"look at it and correct it with any painting program, then say --mask {word(str(place))}")
    return failed


def _check(place: Path, several: bool, targets: Sequence[Path], overwrite: bool) -> None:
    if several and place.is_file():
        raise UsageError(f"--save-mask {place}: is a file; several images need a folder")
    if not several and place.suffix.lower() != ".png":
        raise UsageError(f"--save-mask {place}: a mask is written as a PNG file: name it so")
    if len(set(targets)) < len(targets):
        raise UsageError(f"--save-mask {place}: two images have the same name: save their masks one by one")
    there = next((target for target in targets if target.exists()), None)
    if there is not None and (there.is_dir() or not overwrite):
        raise UsageError(f"--save-mask {there}: exists; name another, or say --overwrite")
