"""A small whole file of every kind that can be read."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms, features
from PIL.TiffImagePlugin import IFDRational

ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b"""<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" dc:source="a box in the attic"/>
</rdf:RDF></x:xmpmeta><?xpacket end="w"?>"""


def noise(*shape: int, dtype: Any = np.uint8, seed: int = 0) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(seed)
    if np.issubdtype(dtype, np.floating):
        return rng.random(shape).astype(dtype)
    return rng.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def exif() -> Image.Exif:
    """Of camera, exposure and place."""
    tags = Image.Exif()
    tags[0x010E] = "a lake"
    tags[0x010F] = "Zeiss"
    tags[0x013B] = "Jörg".encode()
    tags.get_ifd(0x8769)[0x829A] = IFDRational(1, 200)
    tags.get_ifd(0x8769)[0xA434] = "Tessar 50mm"
    tags.get_ifd(0x8825)[1] = "N"
    tags.get_ifd(0x8825)[2] = (47.0, 22.0, 30.0)
    return tags


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def tiff(*pages: np.ndarray[Any, Any], **options: Any) -> bytes:
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for page in pages:
            writer.write(page, metadata=None, **options)
    return file.getvalue()


def dng() -> bytes:
    """What a camera with an RGGB sensor of 24 x 22 pixels writes."""
    matrix = tuple(v for row in np.eye(3, dtype=int) * 10_000 for value in row for v in (int(value), 10_000))
    tags = [
        (33421, "H", 2, (2, 2), True),
        (33422, "B", 4, bytes([0, 1, 1, 2]), True),
        (50706, "B", 4, bytes([1, 4, 0, 0]), True),
        (50708, "s", 0, "Nobody's Camera", True),
        (50717, "H", 1, 65535, True),
        (50721, "2i", 9, matrix, True),
        (50728, "2I", 3, (1, 1, 1, 1, 1, 1), True),
        (50778, "H", 1, 21, True),
        (271, "s", 0, "Nobody", True),
        (272, "s", 0, "Camera", True),
    ]
    return tiff(noise(22, 24, dtype=np.uint16), photometric=32803, extratags=tags)


def files() -> dict[str, bytes]:
    colour = Image.fromarray(noise(12, 16, 3))
    whole: dict[str, Any] = {"exif": exif().tobytes(), "icc_profile": ICC}
    found = {
        "grey.png": saved(colour.convert("L"), "PNG"),
        "colour.png": saved(colour, "PNG", dpi=(300, 300), **whole),
        "palette.png": saved(colour.quantize(8), "PNG", transparency=0),
        "alpha.png": saved(Image.fromarray(noise(12, 16, 4)), "PNG"),
        "deepgrey.png": saved(Image.fromarray(noise(12, 16, dtype=np.uint16)), "PNG"),
        "photo.jpg": saved(colour, "JPEG", xmp=XMP, **whole),
        "progressive.jpg": saved(colour, "JPEG", progressive=True),
        "cmyk.jpg": saved(colour.convert("CMYK"), "JPEG"),
        "colour.webp": saved(colour, "WEBP", xmp=XMP, **whole),
        "lossless.webp": saved(Image.fromarray(noise(12, 16, 4)), "WEBP", lossless=True),
        "colour.bmp": saved(colour, "BMP"),
        "still.gif": saved(colour.quantize(8), "GIF"),
        "scan.jp2": saved(colour, "JPEG2000"),
        "map.ppm": saved(colour, "PPM"),
        "old.tif": saved(colour, "TIFF", **whole),
        "lzw.tif": saved(colour, "TIFF", compression="tiff_lzw"),
        "deep.tif": tiff(noise(12, 16, 3, dtype=np.uint16), photometric="rgb", compression="adobe_deflate"),
        "float.tif": tiff(noise(12, 16, dtype=np.float32), photometric="minisblack"),
        "pages.tif": tiff(noise(12, 16, 3), noise(9, 7, 3, dtype=np.uint16), photometric="rgb"),
    }
    if features.check("avif"):
        found["photo.avif"] = saved(colour, "AVIF", **whole)
    return found | _of_extras(colour, whole)


def _of_extras(colour: Image.Image, whole: dict[str, Any]) -> dict[str, bytes]:
    found = {}
    try:
        import imagecodecs

        found["deep.png"] = bytes(imagecodecs.png_encode(noise(12, 16, 4, dtype=np.uint16)))
    except ImportError:
        pass
    try:
        import pillow_heif

        pillow_heif.register_heif_opener()
        found["phone.heic"] = saved(colour, "HEIF", **whole)
    except ImportError:
        pass
    try:
        import rawpy  # noqa: F401

        found["raw.dng"] = dng()
    except ImportError:
        pass
    return found


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The files by name."""
    folder = tmp_path_factory.mktemp("corpus")
    for name, content in files().items():
        (folder / name).write_bytes(content)
    return {path.name: path for path in sorted(folder.iterdir())}
