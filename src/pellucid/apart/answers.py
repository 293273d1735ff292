"""Questions and answers through pipes, each of a stated length; arrays go as they lie in memory."""

from __future__ import annotations

import io
import pickle
import struct
from collections.abc import Sequence
from typing import IO, Any

_HEAD = struct.Struct("<I")
_LENGTH = struct.Struct("<Q")

_KNOWN = {
    ("PIL.PngImagePlugin", "iTXt"),
    ("pellucid.images.picture", "JpegCoding"),
    ("pellucid.images.picture", "Coded"),
    ("pellucid.images.picture", "Picture"),
    *((f"numpy.{core}.multiarray", "_reconstruct") for core in ("core", "_core")),
    *((f"numpy.{core}.numeric", "_frombuffer") for core in ("core", "_core")),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
}
"""The types that an answer may consist of, beside those without a class: a captured decoder can send nothing else."""


class _Answer(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _KNOWN:
            raise pickle.UnpicklingError(f"{module}.{name} is no part of an answer")
        return super().find_class(module, name)


def send(stream: IO[bytes], value: object) -> None:
    """Writes a value."""
    buffers: list[pickle.PickleBuffer] = []
    pieces = [memoryview(pickle.dumps(value, 5, buffer_callback=buffers.append)), *(one.raw() for one in buffers)]
    stream.write(_HEAD.pack(len(pieces)))
    for piece in pieces:
        stream.write(_LENGTH.pack(piece.nbytes))
    for piece in pieces:
        stream.write(piece)
    stream.flush()


def question(stream: IO[bytes]) -> Any:
    """Reads a value from a trusted process.

    Raises:
        EOFError: there is none.
    """
    content, *buffers = _pieces(stream, None)
    return pickle.loads(content, buffers=buffers)


def answer(stream: IO[bytes], most: int | None) -> Any:
    """Reads a value from an untrusted process.

    Args:
        stream: the pipe to read.
        most: largest size in bytes; None for no limit.

    Raises:
        EOFError: there is none.
        pickle.UnpicklingError: the value has a type that no answer has, or too many bytes.
    """
    content, *buffers = _pieces(stream, most)
    return _Answer(io.BytesIO(content), buffers=buffers).load()


def _pieces(stream: IO[bytes], most: int | None) -> Sequence[bytearray]:
    (number,) = _HEAD.unpack(_exactly(stream, _HEAD.size))
    if number > 100_000:
        raise pickle.UnpicklingError("an answer of too many parts")
    sizes = [size for (size,) in _LENGTH.iter_unpack(_exactly(stream, number * _LENGTH.size))]
    if most is not None and sum(sizes) > most:
        raise pickle.UnpicklingError(f"an answer of {sum(sizes)} bytes")
    return [_exactly(stream, size) for size in sizes]


def _exactly(stream: IO[bytes], size: int) -> bytearray:
    content = bytearray(size)
    view, filled = memoryview(content), 0
    while filled < size:
        read = stream.readinto(view[filled:])  # type: ignore[attr-defined]
        if not read:
            raise EOFError
        filled += read
    return content
