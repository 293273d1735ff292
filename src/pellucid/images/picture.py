"""An image in memory with everything that a restoration must keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from ..support.ranges import percent
from . import metadata as fields

if TYPE_CHECKING:
    from torch import Tensor

Pixels = NDArray[Any]

_AT_ONCE = 1 << 15
"""Numbers that are rounded at once."""

_FULL = {np.dtype(np.uint8): 255, np.dtype(np.uint16): 65535}
"""Value of white in each integer type."""


@dataclass(frozen=True)
class JpegCoding:
    """Compression of a JPEG file, to undo it.

    Attributes:
        tables: the steps of brightness and, in colour files, of the two colours: 64 numbers each, row by row.
        shrunk: reduction of the colours, (rows, columns).
        orientation: EXIF orientation, 1 to 8, applied to the pixels after decoding.
        offset: row and column of the stored picture at which a block begins, for pictures cropped after decoding.
    """

    tables: tuple[tuple[int, ...], ...]
    shrunk: tuple[int, int] = (1, 1)
    orientation: int = 1
    offset: tuple[int, int] = (0, 0)

    @property
    def brightness(self) -> JpegCoding:
        """The compression of the brightness alone, which is all that a grey picture has."""
        row, column = self.offset
        return replace(self, tables=self.tables[:1], shrunk=(1, 1), offset=(row % 8, column % 8))


@dataclass(frozen=True)
class Coded:
    """A whole JPEG file's properties that upright pixels in sRGB do not show; see `Picture.has_coding_of`.

    Attributes:
        orientation: EXIF orientation, 1 to 8.
        converted: note on the conversion of its inks to sRGB; "" if it has none.
        profile: colour profile of the inks, if they were converted and have one.
    """

    orientation: int = 1
    converted: str = ""
    profile: bytes | None = None

    def without(self, note: str) -> str:
        """Removes the conversion from notes that "; " joins, for a file that keeps its inks."""
        return "; ".join(part for part in note.split("; ") if part != self.converted)


def turns(orientation: int) -> tuple[bool, bool, bool]:
    """Turns that bring a stored image upright, by its TIFF or EXIF orientation, 1 to 8.

    Returns:
        Three flags: swap rows and columns; then reverse the rows; reverse the columns.
    """
    return orientation >= 5, orientation in (3, 4, 7, 8), orientation in (2, 3, 6, 7)


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """Applies a TIFF or EXIF orientation, 1 to 8."""
    swapped, rows, columns = turns(orientation)
    if swapped:
        pixels = pixels.swapaxes(0, 1)
    return np.ascontiguousarray(pixels[:: -1 if rows else 1, :: -1 if columns else 1])


@dataclass(frozen=True)
class Picture:
    """Pixels as in the file, with transparency and metadata.

    Attributes:
        colour: (H, W, 1) grey or (H, W, 3) RGB; uint8, uint16, or a float type in [0, 1].
        alpha: (H, W) of the same type, or None.
        metadata: `icc_profile`, `exif`, `xmp`, `dpi` and `comment` as Pillow's `save` takes them; `iptc`, its records;
            `texts`, a PNG's texts by key; `chunks`, its colour chunks beside a profile, by kind.
        jpeg: compression of the file, if it was a JPEG.
        coded: of the file, if it was a whole JPEG, in any colours.
        note: parts that could not be kept, in one line; None if all were.
        name: name of the file, in a job its path within its folder; "" without a file. It selects the mask in a folder.
        more: further pages of a file.
    """

    colour: Pixels
    alpha: Pixels | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    jpeg: JpegCoding | None = None
    coded: Coded | None = None
    note: str | None = None
    more: tuple[Picture, ...] = ()
    name: str = field(default="", compare=False)

    @property
    def pages(self) -> tuple[Picture, ...]:
        """Pages of the file, one picture each; `bound` is the inverse."""
        return (replace(self, more=()), *(replace(page, name=self.name) for page in self.more))

    def marked(self, line: str) -> Picture:
        """Copy with a further line in the description that records the restoration; see `metadata.MARK`."""
        return bound([replace(page, metadata=fields.marked(page.metadata, line)) for page in self.pages])

    def sized(self) -> Picture:
        """Copy with its size in EXIF; see `metadata.sized`."""
        pages = [replace(one, metadata=dict(fields.sized(one.metadata, *one.colour.shape[:2]))) for one in self.pages]
        return bound(pages)

    def stripped(self) -> Picture:
        """Copy without metadata, except the colour profile and the records of earlier restorations."""
        return bound([replace(page, metadata=fields.stripped(page.metadata)) for page in self.pages])

    def tensor(self, channels: int | None = None) -> Tensor:
        """The colours as (1, C, H, W), float32 in [0, 1].

        Args:
            channels: 1 for the mean of the colours, 3 for three channels also for grey; None to keep their number.
        """
        import torch  # here alone: files are read without it

        full = _FULL.get(self.colour.dtype, 1)
        # Channel by channel at once: to turn numbers afterwards takes three times as long as to make them.
        planes = self.colour.transpose(2, 0, 1)
        scaled = np.divide(planes, np.float32(full), out=np.empty(planes.shape, np.float32), dtype=np.float32)
        colours = torch.from_numpy(scaled)[None]
        if channels == 1:
            colours = colours.mean(1, keepdim=True)
        elif channels is not None:
            colours = colours.expand(-1, channels, -1, -1)
        return colours.contiguous()

    def filled(self) -> Picture:
        """Copy to look at and to restore: its wholly transparent pixels continue the visible ones as in a mirror.

        Their own colours are anything, mostly black. Noise that ends at a black ground was taken for none.
        """
        if self.alpha is None or self.alpha.all() or not self.alpha.any():
            return self
        return replace(self, colour=_continued(self.colour, self.alpha == 0))

    def with_tensor(self, colours: Tensor) -> Picture:
        """Copy with other colours, in the original type.

        Transparency and metadata stay. Wholly transparent pixels also keep their colours exactly: they are invisible,
        and some programs keep data there. For colours of another size the transparency is interpolated.

        Args:
            colours: (1, C, H, W) in [0, 1].
        """
        pixels = _to_pixels(colours, self.colour.dtype)
        if self.alpha is not None and pixels.shape[:2] != self.alpha.shape:
            return replace(self, colour=pixels, alpha=_resized(self.alpha, pixels.shape[:2]), jpeg=None)
        if self.alpha is not None:
            pixels = np.where(self.alpha[..., None] == 0, self.colour, pixels)
        return replace(self, colour=pixels, jpeg=None)

    def has_coding_of(self, original: Picture) -> bool:
        """True if a JPEG of it could have the coded data of the original: that is a whole one, of equal pixels."""
        return original.coded is not None and np.array_equal(self.colour, original.colour)

    def noted(self, *notes: str | None) -> Picture:
        """Copy with further notes before its own."""
        said = dict.fromkeys(filter(None, (*notes, self.note)))
        return replace(self, note="; ".join(said) or None)

    @property
    def pixels(self) -> Pixels:
        """Colour and alpha in one array, (H, W) for plain grey, else (H, W, 2, 3 or 4), row by row in memory."""
        pixels = self.colour[..., 0] if self.colour.shape[2] == 1 else self.colour
        if self.alpha is not None:
            pixels = np.concatenate([self.colour, self.alpha[..., None]], axis=2)
        # Some encoders refuse a restored picture as it lies in memory, channel by channel.
        return np.ascontiguousarray(pixels)


def _resized(alpha: Pixels, size: tuple[int, ...]) -> Pixels:
    """Interpolates transparency linearly."""
    from torch.nn.functional import interpolate

    values = Picture(alpha[..., None]).tensor()
    return _to_pixels(interpolate(values, size, mode="bilinear", antialias=True).clamp(0, 1), alpha.dtype)[..., 0]


def _continued(colour: Pixels, hidden: Pixels) -> Pixels:
    """Mirrors visible pixels into hidden ones, row by row and column by column, until all are filled."""
    colour, hidden, left = colour.copy(), hidden.copy(), -1
    mean = np.mean(colour[~hidden], 0, dtype=np.float64)
    while left != (left := int(np.count_nonzero(hidden))):
        _mirror(colour, hidden)
        _mirror(colour.swapaxes(0, 1), hidden.T)
    colour[hidden] = mean
    return colour


def _mirror(colour: Pixels, hidden: Pixels) -> None:
    """Mirrors visible pixels into hidden ones of their row, in place, at the nearest visible one."""
    at = np.arange(hidden.shape[1], dtype=np.int32)
    rows = np.flatnonzero(hidden.any(1) & ~hidden.all(1))
    # Some rows at a time stay in a processor's cache.
    for some in np.array_split(rows, -(-len(rows) * len(at) // _AT_ONCE) or 1):
        own, pixels = (np.ascontiguousarray(plane[some]) for plane in (hidden, colour))
        before = np.maximum.accumulate(np.where(own, -len(at), at), 1)
        behind = np.minimum.accumulate(np.where(own, 2 * len(at), at)[:, ::-1], 1)[:, ::-1]
        source = 2 * np.where(at - before <= behind - at, before, behind) - at
        places = np.flatnonzero(own & (source >= 0) & (source < len(at)))
        sources = places + (source - at).ravel()[places]
        shown = ~own.ravel()[sources]
        places, sources = places[shown], sources[shown]
        flat = pixels.reshape(-1, pixels.shape[-1])
        flat[places] = flat[sources]
        own.ravel()[places] = False
        hidden[some], colour[some] = own, pixels


def bound(pages: Sequence[Picture]) -> Picture:
    """Combines pages into one picture."""
    return replace(pages[0], more=tuple(pages[1:]))


def from_array(pixels: Pixels, metadata: dict[str, Any] | None = None) -> Picture:
    """Makes a picture of an array: grey, grey and alpha, RGB or RGBA.

    Args:
        pixels: (H, W) or (H, W, 1 to 4); uint8, uint16, or a float type in [0, 1], in any byte order. Noise may exceed
            the range; if it exceeds it noticeably, the picture has a note.
        metadata: see `Picture`.

    Raises:
        UsageError: another shape or type, floats on another scale than [0, 1], or masked pixels.
    """
    if isinstance(pixels, np.ma.MaskedArray):
        if np.ma.is_masked(pixels):
            raise UsageError("an array with masked pixels: fill them, or restore them by the task inpaint with a mask")
        pixels = pixels.data
    pixels = np.asarray(pixels)  # a matrix would keep two axes whatever is made of it
    if not pixels.dtype.isnative:
        pixels = pixels.astype(pixels.dtype.newbyteorder("="))
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.ndim != 3 or not 1 <= pixels.shape[2] <= 4 or 0 in pixels.shape:
        raise UsageError(f"an image is (H, W) or (H, W, 1 to 4), not {pixels.shape}")
    if pixels.dtype not in _FULL and not np.issubdtype(pixels.dtype, np.floating):
        raise UsageError(f"an image is uint8, uint16 or float in [0, 1], not {pixels.dtype}")
    note = _few_bits(pixels) if pixels.dtype in _FULL else check_floats(pixels)
    if pixels.shape[2] in (2, 4):
        return Picture(pixels[..., :-1], pixels[..., -1], metadata or {}, note=note)
    return Picture(pixels, None, metadata or {}, note=note)


def _few_bits(pixels: Pixels) -> str | None:
    """Returns a note on 16-bit pixels on the scale of 10 or 12 bits, as of a camera or an X-ray: they count as dark."""
    top = int(pixels.max()) if pixels.dtype == np.uint16 else 0
    bits = next((bits for bits in (10, 12) if top < 1 << bits), None)
    if bits is None or top <= _FULL[np.dtype(np.uint8)]:
        return None
    return f"its values end at {top} of 65535, as those of {bits} bits do: multiply them by {1 << (16 - bits)}"


_TRACE = 0.005
"""Mean excess over [0, 1] above which there is a note."""


def check_floats(pixels: Pixels) -> str | None:
    """Rejects floats on another scale; returns a note if they exceed [0, 1] noticeably.

    Raises:
        UsageError: the floats are on another scale.
    """
    low, high = float(np.fmin.reduce(pixels, None)), float(np.fmax.reduce(pixels, None))
    _check_unit_range(low, high)
    # Of pixels none of which is a number nothing is clipped: they are refused where they are restored.
    if (low >= 0 and high <= 1) or np.isnan(low):
        return None
    # Noise would reach beyond 1 as it does below -0.5.
    if -1.02 <= low < -0.5 and high <= 1.02 and np.mean(pixels < -0.05) > 0.02:
        raise UsageError(
            f"float images are in [0, 1], this one seems to be in [-1, 1] (from {low:.3g} to {high:.3g}): add 1, halve"
        )
    beyond = float(np.nanmean(np.abs(pixels - np.clip(pixels, 0, 1)), dtype=np.float64))
    if beyond <= _TRACE and np.mean((pixels < -0.25) | (pixels > 1.25)) <= 0.001:
        return None
    share = percent(float(np.mean((pixels < 0) | (pixels > 1))))
    return f"{share} of its values are beyond [0, 1], from {low:.3g} to {high:.3g}: the result is cut to that range"


def from_tensor(colours: Tensor) -> Picture:
    """Converts one image (1, C, H, W) in [0, 1], grey or RGB, to 8-bit pixels; values beyond the range are clamped."""
    return from_array(_to_pixels(colours.clamp(0, 1), np.dtype(np.uint8)))


def _to_pixels(colours: Tensor, dtype: np.dtype[Any]) -> Pixels:
    values = colours[0].permute(1, 2, 0).cpu().numpy()
    if dtype not in _FULL:
        return values.astype(dtype)
    pixels = np.empty(values.shape, dtype)
    # Some rows at a time stay in a processor's cache.
    rows = max(1, _AT_ONCE // max(1, values[:1].size))
    for top in range(0, len(values), rows):
        exact = values[top : top + rows].astype(np.float64)
        np.rint(np.multiply(exact, _FULL[dtype], out=exact), out=exact)
        pixels[top : top + rows] = exact
    return pixels


def _check_unit_range(low: float, high: float) -> None:
    """Rejects floats that are clearly on another scale, mostly 0 to 255.

    Raises:
        UsageError: the scale is wrong.
    """
    if low < -8 or high > 8:
        raise UsageError(f"float images are in [0, 1], this one goes from {low:.3g} to {high:.3g}: divide it first")
