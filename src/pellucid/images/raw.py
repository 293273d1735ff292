"""Camera raw files, developed by LibRaw through rawpy; read only."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from ..errors import PellucidError
from . import metadata
from .formats import check_room, check_size
from .picture import Picture, from_array
from .pil import srgb


def sizes(path: Path) -> list[tuple[int, int]]:
    """See `formats.Codec`."""
    with _opened(path) as raw:
        return [_size(raw)]


def read(path: Path, keep: bool = False) -> Picture:
    """See `formats.Codec`. 16-bit sRGB with the camera's white balance and the original brightness."""
    with _opened(path) as raw:
        size = _size(raw)
        pixels = raw.postprocess(output_bps=16, use_camera_wb=True, no_auto_bright=True)
    if pixels.shape[:2] != size:
        raise PellucidError("is damaged, it holds another size than its header says")
    with path.open("rb") as file:
        # Raw files are TIFF, most of them; of the others the pixels alone are kept.
        kept, _ = metadata.of_tiff(file, None, None, icc_profile=srgb())
    return replace(from_array(pixels, kept), note="developed from camera raw by its own white balance")


def write(picture: Picture, file: IO[bytes], saving: Mapping[str, Any]) -> None:
    """Never called, since the table has no writing for this format."""
    raise NotImplementedError


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        import rawpy
    except ImportError:
        raise PellucidError('camera raw files need rawpy: pip install "pellucid[raw]"') from None
    try:
        with rawpy.imread(str(path)) as raw:
            check_size((raw.sizes.raw_height, raw.sizes.raw_width))
            yield raw
    except rawpy.LibRawError as error:
        said = error.args[0] if error.args else error
        raise PellucidError(f"cannot be developed ({said.decode() if isinstance(said, bytes) else said})") from None


def _size(raw: Any) -> tuple[int, int]:
    """Height and width after development, upright."""
    sizes = raw.sizes
    check_size((sizes.iheight, sizes.iwidth))
    check_room("raw", (sizes.iheight, sizes.iwidth))
    return (sizes.iwidth, sizes.iheight) if sizes.flip in (5, 6) else (sizes.iheight, sizes.iwidth)
