"""Files of restored pictures, and notes on what they keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .. import images
from ..images import Picture


@dataclass(frozen=True)
class Written:
    """Notes on a written file.

    Attributes:
        notes: those of reading and restoring that hold for the file.
        lost: parts of the pictures that its format lost; None if it lost nothing.
    """

    notes: tuple[str, ...]
    lost: str | None


def write(
    restored: Picture,
    notes: Sequence[str],
    originals: Sequence[Picture],
    target: Path,
    *,
    source: Path | None = None,
    new: bool = False,
    keep: bool = False,
    copy: bool = False,
) -> Written:
    """Writes a restored picture; an unchanged JPEG keeps its coded data, and an unchanged AVIF or HEIF every byte.

    Args:
        restored: the picture.
        notes: notes of reading and restoring.
        originals: the picture as it was, or its exposures.
        target: the file.
        source: file of the whole original; None if the original is a part of its file.
        new: see `images.write`.
        keep: whether the file is the whole original, which stays as it is if its pixels are unchanged.
        copy: whether the file is the whole original, which may be copied; see `images.copies`.

    Raises:
        PellucidError: see `images.write`.
    """
    alone = len(originals) == 1
    copy = copy and alone and source is not None and images.copies(source, target)
    if (keep or copy) and alone and _is_unchanged(restored, originals[0]):
        # To write it would convert inks, palettes and bits, and code it with loss, for nothing.
        if not keep:
            images.write(restored, target, source=source, new=new)
        return Written(tuple(filter(None, (_without_reading(note, originals[0]) for note in notes))), None)
    whole = source is not None and alone and images.keeps_coding(restored, originals[0], target)
    images.write(restored, target, source=source if whole else None, new=new)
    if whole and restored.coded is not None:
        notes = [restored.coded.without(note) for note in notes]
    # Pixels that are those of one exposure are no unchanged picture.
    anew = images.coded_anew(restored, originals[0], target) if alone else None
    lost = "; ".join(filter(None, (anew, images.left_out(restored, target, originals[0])))) or None
    return Written(tuple(filter(None, notes)), lost)


def _is_unchanged(restored: Picture, original: Picture) -> bool:
    pages = zip(restored.pages, original.pages, strict=True)
    return all(np.array_equal(page.colour, before.colour) for page, before in pages)


def _without_reading(note: str, original: Picture) -> str:
    """Removes what reading left out or converted, as the file still has it."""
    for said in filter(None, (page.note for page in original.pages)):
        note = note.replace(f"{said}; ", "").replace(said, "")
    return note
