"""HEIF, the format of many phones, through pillow-heif."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np

from ..errors import PellucidError
from . import pillow
from .picture import Picture, from_array
from .pil import to_pil


def sizes(path: Path) -> list[tuple[int, int]]:
    """See `formats.Codec`."""
    _library()
    with pillow.opened(path, ("HEIF",)) as image:
        return [pillow.size_of(image)]


def read(path: Path, keep: bool = False) -> Picture:
    """See `formats.Codec`; 10 and 12 bits become 16."""
    library = _library()
    with pillow.opened(path, ("HEIF",)) as image:
        picture = pillow.decoded(image)
        if image.info.get("bit_depth", 8) == 8:
            return picture
    deep = np.asarray(library.open_heif(path, convert_hdr_to_8bit=False))
    return replace(from_array(deep), metadata=picture.metadata, note=picture.note)


def write(picture: Picture, file: IO[bytes], saving: Mapping[str, Any]) -> None:
    """See `formats.Codec`."""
    _library()
    pillow.save(to_pil(picture), picture.metadata, file, saving)


def _library() -> Any:
    try:
        import pillow_heif
    except ImportError:
        raise PellucidError('HEIF needs pillow-heif: pip install "pellucid[heif]"') from None
    pillow_heif.register_heif_opener()
    return pillow_heif
