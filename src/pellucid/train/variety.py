"""Crops beyond well-exposed colour photographs: grey, dark, faded and tinted ones, text, line drawings and screens.

A prior trained only on good photographs takes parts of a grey scan, a dark room or a letter for noise. So a small share
of the crops shows these.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from ..operators.jpeg import LUMA

Pixels = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]

_FONT_FOLDERS = (
    "/usr/share/fonts",
    "/usr/local/share/fonts",
    "/Library/Fonts",
    "/System/Library/Fonts",
    "C:/Windows/Fonts",
)
# As Pillow's "L".
_LUMA = np.array(LUMA)


def grey(pixels: Pixels) -> Pixels:
    """Replaces the colours of an image (H, W, 3) by its luma, three equal channels, like a grey scan in colour."""
    if pixels.shape[-1] == 1:
        return pixels
    return np.repeat((pixels @ _LUMA).round().astype(np.uint8)[..., None], 3, axis=-1)


def relit(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Changes an image's light: gamma, exposure, a lifted black as in faded prints, and the colour balance.

    Args:
        pixels: (H, W, C).
        rng: source of chance.

    Returns:
        The image at the same size, 8 bits.
    """
    gamma = np.exp(rng.normal(0, 0.35))
    gain = rng.uniform(0.1, 1.0) if rng.random() < 0.6 else 1.0
    lift = rng.uniform(0, 0.35) if rng.random() < 0.3 else 0.0
    balance = np.exp(rng.normal(0, 0.08, pixels.shape[-1]))
    light = gain * np.linspace(0, 1, 256)[:, None] ** gamma * balance
    table = np.clip(255 * (lift + (1 - lift) * light), 0, 255).round().astype(np.uint8)
    return np.stack([table[:, channel][pixels[..., channel]] for channel in range(pixels.shape[-1])], -1)


def drawn(size: int, channels: int, rng: np.random.Generator) -> Pixels:
    """Draws a page of text, a line drawing, or a screen's controls.

    Half of them are drawn larger and reduced, like scans; the others have a screen's anti-aliasing.

    Args:
        size: height and width.
        channels: 3 or 1.
        rng: source of chance.

    Returns:
        (size, size, channels), 8 bits.
    """
    kinds = ("text", "text", "lines", "screen")
    pixels = page(kinds, size, rng)
    if channels == 1:
        return np.asarray(Image.fromarray(pixels).convert("L"))[..., None]
    return pixels


def page(kinds: str | Sequence[str], size: int, rng: np.random.Generator) -> Pixels:
    """Draws one page of a kind, or of a random one of several kinds.

    Args:
        kinds: of "text", "lines" and "screen".
        size: height and width.
        rng: source of chance.

    Returns:
        (size, size, 3), 8 bits.
    """
    scale = float(rng.uniform(1.5, 3)) if rng.random() < 0.5 else 1.0
    side = round(size * scale)
    paper, ink = _colours(rng)
    sheet = Image.new("RGB", (side, side), paper)
    kind = kinds if isinstance(kinds, str) else kinds[int(rng.integers(len(kinds)))]
    _DRAWING[kind](ImageDraw.Draw(sheet), side, ink, scale, rng)
    if side != size:
        sheet = sheet.resize((size, size), Image.Resampling.BOX)
    return np.asarray(sheet)


def _colours(rng: np.random.Generator) -> tuple[Colour, Colour]:
    """Draws a paper and an ink of sufficient contrast: mostly dark on light, some light on dark, some coloured."""
    chance = rng.random()
    if chance < 0.4:
        return _grey_level(rng, 245, 256), _grey_level(rng, 0, 30)
    if chance < 0.65:
        return (int(rng.integers(215, 256)), int(rng.integers(205, 250)), int(rng.integers(180, 240))), _any(rng, 0, 90)
    if chance < 0.85:
        return _any(rng, 0, 70), _any(rng, 170, 256)
    return _any(rng, 120, 256), _any(rng, 0, 110)


def _grey_level(rng: np.random.Generator, low: int, high: int) -> Colour:
    level = int(rng.integers(low, high))
    return level, level, level


def _any(rng: np.random.Generator, low: int, high: int) -> Colour:
    red, green, blue = (int(value) for value in rng.integers(low, high, 3))
    return red, green, blue


def _text(page: ImageDraw.ImageDraw, side: int, ink: Colour, scale: float, rng: np.random.Generator) -> None:
    height = scale * float(np.exp(rng.uniform(np.log(7), np.log(40))))
    font = _font(height, rng)
    left, top = rng.uniform(-0.3, 0.3) * side, rng.uniform(-1, 0.5) * height
    while top < side:
        page.text((left, top), _words(rng), ink, font)
        top += height * rng.uniform(1.1, 1.6)


def _lines(page: ImageDraw.ImageDraw, side: int, ink: Colour, scale: float, rng: np.random.Generator) -> None:
    for _ in range(int(rng.integers(2, 12))):
        width = max(1, round(scale * rng.uniform(0.5, 3.5)))
        points = [tuple(point) for point in rng.uniform(-0.2, 1.2, (int(rng.integers(2, 6)), 2)) * side]
        chance = rng.random()
        if chance < 0.45:
            page.line(points, ink, width, joint="curve")
        elif chance < 0.75:
            (left, top), (right, bottom) = np.sort(np.array(points[:2]), axis=0)
            (page.ellipse if rng.random() < 0.6 else page.rectangle)((left, top, right, bottom), None, ink, width)
        else:
            step = scale * rng.uniform(2.5, 9)
            for offset in np.arange(rng.uniform(0, side), side, step):
                page.line([(offset, points[0][1]), (offset + side / 4, points[1][1])], ink, max(1, width // 2))


def _screen(page: ImageDraw.ImageDraw, side: int, ink: Colour, scale: float, rng: np.random.Generator) -> None:
    for _ in range(int(rng.integers(2, 7))):
        left, top = rng.uniform(-0.2, 0.9, 2) * side
        width, height = rng.uniform(0.15, 0.8) * side, rng.uniform(0.08, 0.4) * side
        box = (left, top, left + width, top + height)
        edge = ink if rng.random() < 0.5 else None
        # Pillow refuses corners that leave less than a pixel between them.
        radius = min(float(rng.uniform(0, 8)) * scale, max(0.0, min(width, height) / 2 - 2))
        page.rounded_rectangle(box, radius, _any(rng, 0, 256), edge, max(1, round(scale)))
        size = scale * float(rng.uniform(8, 16))
        page.text((left + size / 2, top + size / 3), _words(rng), _any(rng, 0, 256), _font(size, rng))


_DRAWING: Mapping[str, Callable[..., None]] = {"text": _text, "lines": _lines, "screen": _screen}


def _words(rng: np.random.Generator) -> str:
    letters = string.ascii_lowercase * 4 + string.ascii_uppercase + string.digits + ".,;:-!?()'"
    lengths = rng.integers(1, 10, 14)
    return " ".join("".join(rng.choice(list(letters), length)) for length in lengths)


def _font(height: float, rng: np.random.Generator) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    places = _fonts()
    # Pillow brings one font, so that a machine without any has letters, too.
    return _sized(places[int(rng.integers(len(places)))] if places else None, max(5, round(height)))


@cache
def _sized(path: str | None, height: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    try:
        return ImageFont.load_default(height) if path is None else ImageFont.truetype(path, height)
    except OSError:
        return ImageFont.load_default(height)


@cache
def _fonts() -> tuple[str, ...]:
    files = (path for folder in _FONT_FOLDERS for path in Path(folder).rglob("*") if path.suffix in (".ttf", ".otf"))
    return tuple(sorted(str(path) for path in files))
