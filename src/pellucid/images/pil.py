"""Conversion of pictures from Pillow's images and back."""

from __future__ import annotations

import io
from dataclasses import replace
from functools import cache

import numpy as np
from PIL import Image, ImageCms

from ..errors import PellucidError
from . import metadata
from .picture import Coded, JpegCoding, Picture, from_array


def transparent(image: Image.Image) -> int | None:
    """Value of transparency in a grey image, on the scale of its pixels; None if there is none.

    A PNG of 2 or 4 bits states it on the file's scale, which is known before decoding and from the header.
    """
    key = image.info.get("transparency")
    if not isinstance(key, int) or image.mode not in ("1", "L", "I;16", "I;16B"):
        return None
    if image.format != "PNG" or image.mode != "L":
        return key
    tiles = getattr(image, "tile", None)
    depth = {"L;2": 2, "L;4": 4}.get(str(tiles[0][3]), 8) if tiles else _png_depth(getattr(image, "filename", ""))
    return key * 255 // ((1 << depth) - 1)


def _png_depth(name: object) -> int:
    """Bits of a PNG's samples; 8 if the file is no longer available."""
    try:
        with open(str(name), "rb") as file:  # noqa: PTH123
            return {2: 2, 4: 4}.get(file.read(25)[24], 8)
    except (OSError, ValueError, IndexError):
        return 8


def from_pil(image: Image.Image, key: int | None = None) -> Picture:
    """Converts a Pillow image: 1, L, LA, P, RGB, RGBA, CMYK or 16-bit grey.

    Palettes become RGB (RGBA if transparent), bilevel becomes grey, CMYK becomes sRGB by its profile, with a note.
    Orientation is *not* applied.

    Args:
        image: the image.
        key: grey value of transparency, if already known; see `transparent`.

    Raises:
        PellucidError: another mode (Lab, 32-bit), which could not be written back unchanged.
    """
    kept, note = metadata.of_pil(image)
    jpeg, coded = jpeg_coding(image), None
    mode = image.mode
    key = transparent(image) if key is None else key
    if key is not None and mode in ("1", "L", "I;16", "I;16B"):
        grey = np.array(image.convert("L") if mode == "1" else image)
        grey = grey.astype(np.uint16) if mode.startswith("I") else grey
        alpha = np.where(grey == key, 0, np.iinfo(grey.dtype).max).astype(grey.dtype)
        return from_array(np.stack([grey, alpha], 2), kept).noted(note)
    if mode == "1":
        image = image.convert("L")
    elif mode in ("P", "PA"):
        image = image.convert("RGBA" if mode == "PA" or "transparency" in image.info else "RGB")
    elif mode == "RGB" and "transparency" in image.info:
        image = image.convert("RGBA")
    elif mode == "CMYK":
        image, said = _to_srgb(image, kept.get("icc_profile"))
        coded = Coded(converted=said, profile=kept.get("icc_profile"))
        kept["icc_profile"] = srgb()
        note = said if note is None else f"{said}; {note}"
    elif mode.startswith("I;16"):
        return from_array(np.array(image).astype(np.uint16), kept).noted(note)
    elif mode not in ("L", "LA", "RGB", "RGBA"):
        # Pillow would cut off what lies outside 0 to 255, and make fractions black.
        hint = "give an array of uint16, or of floats in [0, 1]" if mode in ("I", "F") else "convert to RGB first"
        raise PellucidError(f"images of mode {mode} cannot be restored as they are: {hint}")
    return replace(from_array(np.array(image), kept), jpeg=jpeg, coded=coded).noted(note)


def orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 to 8; 1 if EXIF has none or is unreadable, since the pixels are sound."""
    try:
        return int(image.getexif().get(0x0112, 1))
    except Exception:
        return 1


def jpeg_coding(image: Image.Image, *, upright: bool = False) -> JpegCoding | None:
    """Compression of an opened JPEG, from its header.

    Args:
        image: as opened by Pillow; copies have lost this information.
        upright: whether the EXIF orientation has been applied to the pixels.

    Returns:
        None for other formats, for colours other than YCbCr, for two colours with different reductions, and for a
        picture decoded at a smaller size.
    """
    if image.format not in ("JPEG", "MPO") or image.mode not in ("L", "RGB"):
        return None
    # Each component: name, its share of columns and rows, number of its table.
    components: list[tuple[int, int, int, int]] | None = getattr(image, "layer", None)
    stored: dict[int, list[int]] | None = getattr(image, "quantization", None)
    if not components or not stored or any(table not in stored for *_, table in components):
        return None
    if image.mode == "RGB" and (len(components) != 3 or _is_rgb(image, components)):
        return None
    if getattr(image, "decoderconfig", (1,))[:1] not in ((), (1,)):
        return None
    (_, columns, rows, _), *colours = components
    reduced = {(rows / tall, columns / wide) for _, wide, tall, _ in colours} or {(1.0, 1.0)}
    if len(reduced) > 1 or any(by not in (1, 2, 4) for by in next(iter(reduced))):
        return None
    tall, wide = (int(by) for by in reduced.pop())
    tables = tuple(tuple(stored[table]) for *_, table in components)
    return JpegCoding(tables, (tall, wide), orientation(image) if upright else 1)


def _is_rgb(image: Image.Image, components: list[tuple[int, int, int, int]]) -> bool:
    """True if a JPEG holds plain red, green and blue, by Adobe's marker or the names of its components."""
    if "adobe_transform" in image.info:
        return bool(image.info["adobe_transform"] == 0)
    return "jfif" not in image.info and [name for name, *_ in components] == [82, 71, 66]


def to_pil(picture: Picture) -> Image.Image:
    """Converts the picture to a Pillow image, with metadata in `info` (and EXIF for `getexif`).

    Raises:
        PellucidError: 16-bit colour, floats or several pages, which a Pillow image cannot hold.
    """
    if picture.more:
        raise PellucidError(f"a Pillow image holds one page, not {1 + len(picture.more)}: use pellucid restore")
    pixels = picture.pixels
    if pixels.dtype != np.uint8 and not (pixels.dtype == np.uint16 and pixels.ndim == 2):
        raise PellucidError("Pillow holds no 16-bit colour and no float colour: pass a numpy array instead")
    image = Image.fromarray(np.ascontiguousarray(pixels))
    image.info.update(picture.metadata)
    return image


@cache
def srgb() -> bytes:
    """Profile of sRGB without its date, so that the same image gives the same bytes."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile[:24] + bytes(12) + profile[36:]


def _to_srgb(image: Image.Image, profile: bytes | None) -> tuple[Image.Image, str]:
    """Converts CMYK; returns the picture and a note."""
    if profile is not None:
        try:
            converted = ImageCms.profileToProfile(
                image,
                ImageCms.ImageCmsProfile(io.BytesIO(profile)),
                ImageCms.ImageCmsProfile(io.BytesIO(srgb())),
                ImageCms.Intent.RELATIVE_COLORIMETRIC,
                outputMode="RGB",
                flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
            )
            assert converted is not None
            return converted, "CMYK was converted to sRGB by its profile"
        except (ImageCms.PyCMSError, OSError):
            return image.convert("RGB"), "CMYK was converted to sRGB by a plain formula, as its profile is damaged"
    return image.convert("RGB"), "CMYK was converted to sRGB by a plain formula, as it has no profile"
