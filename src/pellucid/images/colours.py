"""Colour spaces by numbers, as in PNG, AVIF and HEIF, as ICC profiles for formats that hold only these."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

_D65 = (0.3127, 0.3290)
_PRIMARIES = {
    1: (0.640, 0.330, 0.300, 0.600, 0.150, 0.060),
    5: (0.640, 0.330, 0.290, 0.600, 0.150, 0.060),
    6: (0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    9: (0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    12: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
}
"""x and y of red, green and blue by their numbers in ITU-T H.273: BT.709, both of BT.601, BT.2020, P3; all with D65."""

_SRGB = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
_BT709 = (1 / 0.45, 1 / 1.0993, 0.0993 / 1.0993, 1 / 4.5, 0.0812)
_CURVES = {1: _BT709, 4: (2.2,), 5: (2.8,), 6: _BT709, 8: (1.0,), 13: _SRGB, 14: _BT709, 15: _BT709}
"""Curves by the numbers of H.273: an exponent, or the parameters of ICC's third kind. PQ and HLG (16, 18) are none."""

_D50 = np.array([0.9642, 1.0, 0.8249])
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def numbered(primaries: int, transfer: int) -> dict[bytes, bytes]:
    """The PNG chunk for other files' colour numbers; empty if they are unspecified (2) or sRGB."""
    told = (1 if primaries == 2 else primaries, 13 if transfer == 2 else transfer)
    return {} if told == (1, 13) or max(told) > 255 else {b"cICP": bytes([*told, 0, 1])}


def profile(chunks: Mapping[bytes, bytes]) -> bytes | None:
    """The ICC profile of the colours in a PNG's chunks: a matrix and a curve.

    Args:
        chunks: their contents by kind. `cICP` precedes `gAMA` and `cHRM`; a missing one of these counts as sRGB's.

    Returns:
        None if no such profile exists: for high dynamic range or invalid numbers.
    """
    try:
        if b"cICP" in chunks:
            primaries, transfer, matrix, full = chunks[b"cICP"]
            return None if (matrix, full) != (0, 1) else _profile(_D65, _PRIMARIES[primaries], _CURVES[transfer])
        x, y, *rgb = (*_D65, *_PRIMARIES[1])
        if b"cHRM" in chunks:
            x, y, *rgb = (number / 100_000 for number in struct.unpack(">8I", chunks[b"cHRM"]))
        curve: Sequence[float] = _SRGB
        if b"gAMA" in chunks:
            curve = (100_000 / struct.unpack(">I", chunks[b"gAMA"])[0],)
        return _profile((x, y), rgb, curve)
    except (KeyError, ValueError, ZeroDivisionError, struct.error, np.linalg.LinAlgError):
        return None


def _profile(white: Sequence[float], rgb: Sequence[float], curve: Sequence[float]) -> bytes:
    """Makes a display profile: https://www.color.org/specification/ICC.1-2022-05.pdf, sections 7.2, 8.3 and 10."""
    light, primaries = _xyz(white)[:, 0], _xyz(rgb)
    adapted = np.diag((_BRADFORD @ _D50) / (_BRADFORD @ light))
    adaptation = np.linalg.solve(_BRADFORD, adapted @ _BRADFORD)
    columns = adaptation @ primaries @ np.diag(np.linalg.solve(primaries, light))
    name = "colours by numbers".encode("utf-16-be")
    text = b"mluc" + struct.pack(">3I4s2I", 0, 1, 12, b"enUS", len(name), 28) + name
    tone = b"para" + struct.pack(">IHH", 0, 0 if len(curve) == 1 else 3, 0) + _fixed(curve)
    tags = {b"desc": text, b"cprt": text, b"wtpt": b"XYZ \0\0\0\0" + _fixed(_D50)}
    tags[b"chad"] = b"sf32\0\0\0\0" + _fixed(adaptation.ravel())
    for letter, column in zip((b"r", b"g", b"b"), columns.T, strict=True):
        tags |= {letter + b"XYZ": b"XYZ \0\0\0\0" + _fixed(column), letter + b"TRC": tone}
    index, data = struct.pack(">I", len(tags)), b""
    for kind, content in tags.items():
        index += struct.pack(">4s2I", kind, 132 + 12 * len(tags) + len(data), len(content))
        data += content + bytes(-len(content) % 4)
    # No date, so that the same numbers give the same bytes.
    size = 128 + len(index + data)
    head = struct.pack(">3I12s12s", size, 0, 0x04300000, b"mntrRGB XYZ ", b"") + b"acsp" + bytes(28) + _fixed(_D50)
    return head.ljust(128, b"\0") + index + data


def _xyz(points: Sequence[float]) -> Matrix:
    """Columns of X, Y and Z with Y = 1, from x and y in turn."""
    columns = [(x / y, 1.0, (1 - x - y) / y) for x, y in zip(points[::2], points[1::2], strict=True)]
    xyz: Matrix = np.array(columns).T
    return xyz


def _fixed(numbers: Sequence[float] | Matrix) -> bytes:
    """Encodes numbers as 16.16 fixed point; numbers out of range raise `struct.error`, non-numbers `ValueError`."""
    return struct.pack(f">{len(numbers)}i", *(round(float(number) * 65536) for number in numbers))
