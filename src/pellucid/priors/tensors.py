"""Files of tensors, read without running code in them, and written.

`.pt`, `.pth`, `.ckpt` and `.bin` are read as tensors and plain containers only; `.safetensors` can hold nothing else.
Files are mapped, not copied, so weights are read on first use. Messages do not name the file.
"""

from __future__ import annotations

import json
import os
import pickle
import pickletools
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from ..errors import PellucidError
from . import limits

SUFFIXES = (".pt", ".pth", ".ckpt", ".bin", ".safetensors")
"""Suffixes of files that `read` can read."""

PICKLES = (".pkl", ".pickle")
"""Suffixes of files that are rejected in any case."""


def read(path: Path) -> Any:
    """Reads a file of tensors: by name from safetensors, as nested content from other files.

    Raises:
        PellucidError: the file is damaged, of another kind, or holds more than tensors.
    """
    suffix = path.suffix.lower()
    if suffix in PICKLES:
        raise PellucidError(
            "refused: it is a pickle of code, which would be run; load it with the code that wrote it, and give the "
            "network itself, as priors.EDM(network) or MODULE:OBJECT"
        )
    if suffix not in SUFFIXES:
        raise PellucidError(f"is no folder and no checkpoint ({', '.join(SUFFIXES)})")
    limits.regular(path)
    return _safetensors(path) if suffix == ".safetensors" else _unpickled(path)


def _safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError, safe_open
    from safetensors.torch import load_file

    try:
        with safe_open(path, "pt") as file:
            limits.check_number(len(file.keys()))
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise PellucidError(f"is no whole safetensors file ({error})") from None


def _unpickled(path: Path) -> Any:
    with limits.opened(path) as file:
        zipped = file.read(2) == b"PK"
    if zipped and not zipfile.is_zipfile(path):
        raise PellucidError("is damaged: its end is missing; fetch it again")
    try:
        if zipped:
            _check_archive(path)
        else:
            with limits.opened(path) as file:
                for _ in range(_INDICES):
                    if file.peek(1):  # type: ignore[attr-defined]
                        _check_index(file)
        # Files from before torch 1.6 are no archives and cannot be mapped.
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except PellucidError:
        raise
    except pickle.UnpicklingError as error:
        foreign = re.search(r"(?:GLOBAL |Unsupported (?:global|class|operand).*?)([\w.]*\w\.\w+)", str(error))
        if foreign is None:
            raise PellucidError("is damaged, or no checkpoint at all") from None
        raise PellucidError(f"refused: it holds more than tensors, and {foreign[1]} would be run") from None
    # A damaged file breaks the reader anywhere.
    except Exception as error:
        raise PellucidError(f"is damaged, or no checkpoint at all ({str(error).partition(chr(10))[0][:80]})") from None


def _check_archive(path: Path) -> None:
    """Rejects an archive with code, or one that expands beyond its size."""
    with zipfile.ZipFile(path) as archive:
        records = archive.infolist()
        _check_records(records, path.stat().st_size)
        for record in records:
            if record.filename.endswith(".pkl"):
                with archive.open(record) as index:
                    _check_index(index)


def _check_records(records: Sequence[zipfile.ZipInfo], size: int) -> None:
    # TorchScript leaves this beside its weights.
    if any(record.filename.endswith("/constants.pkl") for record in records):
        raise PellucidError("refused: it is a TorchScript program, which would be run; give its weights alone")
    # torch.save compresses nothing.
    if sum(record.file_size for record in records) > size:
        raise PellucidError("refused: it expands beyond its size, which torch.save never writes")
    index = max((record.file_size for record in records if record.filename.endswith(".pkl")), default=0)
    if index > limits.TEXT:
        raise PellucidError(f"refused: its index of tensors has {index:,} bytes; {limits.TEXT:,} at most are read")


_INDICES = 5
"""Pickles at the beginning of a file from before torch 1.6."""

_OPERATIONS = 100 * limits.TENSORS
_DEEP = 1000

_COSTLY = {"builtins bytearray", "__builtin__ bytearray"}
"""Calls in torch's reader whose cost is set by a number in the file."""


def _check_index(index: IO[bytes]) -> None:
    """Rejects a pickle whose reading costs far more than its size; reads up to its end.

    Raises:
        PellucidError: the pickle is too costly.
    """
    depth = 0
    begin = index.tell()
    for number, (operation, argument, place) in enumerate(pickletools.genops(index)):
        depth += (operation.name == "MARK") - (pickletools.markobject in operation.stack_before)
        # A codec whose cost grows with the square of a text.
        if (operation.name == "GLOBAL" and argument in _COSTLY) or argument == "punycode":
            named = str(argument).replace(" ", ".")
            raise PellucidError(f"refused: it holds more than tensors, and {named} would be run")
        if depth > _DEEP or number > _OPERATIONS or (place or 0) - begin > limits.TEXT:
            raise PellucidError("refused: its index of tensors is longer or deeper than any training writes")


def states(content: Any) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Dictionaries of tensors by name in nested containers, each once, with its first place.

    Raises:
        PellucidError: there are too many containers, or a tensor contradicts its shape; see `limits`.
    """
    seen: set[int] = set()
    left = [("", content)]
    while left:
        place, part = left.pop()
        if not isinstance(part, dict | list | tuple) or id(part) in seen:
            continue
        seen.add(id(part))
        if len(seen) > limits.TENSORS or len(place) > _DEEPEST:
            raise PellucidError("holds containers in containers beyond what any training writes")
        if isinstance(part, dict):
            named = {k: v for k, v in part.items() if isinstance(k, str) and isinstance(v, Tensor)}
            if named:
                limits.check_tensors(named)
                yield place, named
        items = part.items() if isinstance(part, dict) else enumerate(part)
        inner = [(key, value) for key, value in items if isinstance(value, dict | list | tuple)]
        left += [(f"{place}.{key}".lstrip("."), value) for key, value in reversed(inner)]


_DEEPEST = 4096
"""Largest length of a place's name, which grows with its depth."""


_NAMES = {torch.float32: "F32", torch.float16: "F16", torch.int64: "I64"}
LINE = 64
"""Size of a processor's cache line in bytes. Tensors aligned to it are multiplied in the same order in any place."""


def write_safetensors(path: Path, weights: Mapping[str, Tensor]) -> None:
    """Writes a safetensors file whose tensors begin on cache lines, as far as their sizes permit.

    The format's library packs tensors in the order of their names. Mapped into memory, those after one of odd size are
    misaligned and need a copy for exactly the same results. Here the odd ones come last. The format:
    https://huggingface.co/docs/safetensors

    Args:
        path: the file.
        weights: by name, of float32, float16 or int64.
    """
    order = sorted(weights, key=lambda name: (weights[name].nbytes % LINE != 0, name))
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name in order:
        weight, start = weights[name], end
        end += weight.nbytes
        header[name] = {"dtype": _NAMES[weight.dtype], "shape": list(weight.shape), "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-(len(text) + 8) % LINE)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in order:
            file.write(weights[name].detach().cpu().contiguous().reshape(-1).numpy().tobytes())
        file.flush()
        os.fsync(file.fileno())
