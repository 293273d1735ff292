"""Files of tensors, read without running anything in them.

`.pt`, `.pth`, `.ckpt` and `.bin` are read as tensors and plain containers alone, and `.safetensors` can hold nothing
else. Files are mapped, not copied: weights are read as they are first needed. Messages do not name the file.
"""

from __future__ import annotations

import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import PellucidError

SUFFIXES = (".pt", ".pth", ".ckpt", ".bin", ".safetensors")
"""Of the files that `read` reads."""

PICKLES = (".pkl", ".pickle")
"""Of files that are refused, whatever they hold."""


def read(path: Path) -> Any:
    """Reads a file of tensors: those of safetensors by name, the content of other files as it is.

    Raises:
        PellucidError: it is damaged, of another kind, or holds more than tensors.
    """
    suffix = path.suffix.lower()
    if suffix in PICKLES:
        raise PellucidError(
            "refused: it is a pickle of code, which would be run; load it with the code that wrote it, and give the "
            "network itself, as priors.EDM(network) or MODULE:OBJECT"
        )
    if suffix not in SUFFIXES:
        raise PellucidError(f"is no folder and no checkpoint ({', '.join(SUFFIXES)})")
    return read_safetensors(path) if suffix == ".safetensors" else _unpickled(path)


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Reads a safetensors file.

    Raises:
        PellucidError: it is damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise PellucidError(f"is no whole safetensors file ({error})") from None


def _unpickled(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            zipped = file.read(2) == b"PK"
    except OSError as error:
        raise PellucidError(f"cannot be read ({error.strerror or error})") from None
    if zipped and not zipfile.is_zipfile(path):
        raise PellucidError("is damaged: its end is missing; fetch it again")
    try:
        if zipped and _is_program(path):
            raise PellucidError("refused: it is a TorchScript program, which would be run; give its weights alone")
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


def _is_program(path: Path) -> bool:
    """Whether an archive holds what TorchScript leaves beside its weights."""
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())
