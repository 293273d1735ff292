"""Limits of the numbers in a prior's files, before anything is read or allocated.

Files of priors come from strangers, so their descriptions are checked against their bytes. Files must be regular and of
bounded size, and a network has no more tensors than its weights. Networks are built on the device "meta", with shapes
and without numbers, until all shapes are verified.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook
from torch.overrides import TorchFunctionMode

from ..errors import PellucidError

TEXT = 32 << 20
"""Largest size of a description, such as config.json, in bytes."""

TENSORS = 50_000
"""Largest number of tensors in a prior's files; the largest published networks have a few thousand."""

REPEATED = 4 << 30
"""Largest excess in bytes of tensors with repeated numbers over their storage."""

MULTIPLE = 1024
"""Largest divisor of an image's sides, up to which images are padded."""

_SLACK = 64


def opened(path: Path, most: int | None = None) -> BinaryIO:
    """Opens a regular file; rejects others at once, which could block or never end.

    Args:
        path: the file.
        most: largest size in bytes; None for no limit.

    Raises:
        PellucidError: the file is not regular, cannot be read, or is larger. The message does not name it.
    """
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except OSError as error:
        raise PellucidError(f"cannot be read ({error.strerror or error})") from None
    about = os.fstat(handle)
    if not stat.S_ISREG(about.st_mode):
        os.close(handle)  # a folder, for one, is nothing to make a file of
        raise PellucidError("is no regular file")
    file = os.fdopen(handle, "rb")
    try:
        if most is not None and about.st_size > most:
            raise PellucidError(f"has {about.st_size:,} bytes; {most:,} at most are read")
    except BaseException:
        file.close()
        raise
    return file


def regular(path: Path, most: int | None = None) -> None:
    """Rejects files that are not regular; see `opened`."""
    opened(path, most).close()


def text(path: Path) -> str:
    """Reads a description in UTF-8.

    Raises:
        PellucidError: see `opened`; or the text is no UTF-8. The message does not name the file.
    """
    with opened(path, TEXT) as file:
        try:
            return file.read(TEXT + 1).decode("utf-8")
        except UnicodeDecodeError as error:
            raise PellucidError(f"is no text in UTF-8 ({error.reason})") from None


@contextmanager
def described_by(tensors: int) -> Iterator[None]:
    """Builds a network on "meta"; stops if it has many more tensors than its weights.

    Args:
        tensors: number of tensors in the weights.

    Raises:
        PellucidError: the network has more.
    """
    left = 2 * tensors + _SLACK
    here = threading.get_ident()

    def count(*_: object) -> None:
        nonlocal left
        # The hook sees the networks of all threads.
        if threading.get_ident() != here:
            return
        left -= 1
        if left < 0:
            raise PellucidError(f"describes a network of more tensors than the {tensors} that its weights are")

    hook = register_module_parameter_registration_hook(count)
    try:
        with torch.device("meta"), _Undrawn():
            yield
    finally:
        hook.remove()


class _Undrawn(TorchFunctionMode):
    """Draws no initial weights. On "meta" there are no numbers, and for want of them torch imports its compiler."""

    _DRAWS = frozenset((Tensor.normal_, Tensor.uniform_))

    def __torch_function__(
        self, func: Any, types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in self._DRAWS or getattr(func, "__module__", "") == nn.init.__name__:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def check_number(tensors: int) -> None:
    """Rejects more tensors than any network has.

    Raises:
        PellucidError: there are too many.
    """
    if tensors > TENSORS:
        raise PellucidError(f"holds more than {TENSORS:,} tensors")


def check_tensors(named: Mapping[str, Tensor]) -> None:
    """Rejects tensors that contradict their shapes.

    Raises:
        PellucidError: there are too many; one is sparse, quantised or empty; or their shapes exceed their storage by
            far.
    """
    check_number(len(named))
    beyond = 0
    for name, tensor in named.items():
        if tensor.layout is not torch.strided or tensor.is_quantized:
            raise PellucidError(f"holds {name}, a sparse or quantised tensor; dense numbers are needed")
        if tensor.is_meta:
            raise PellucidError(f"holds {name}, a tensor without numbers")
        beyond += max(0, tensor.nbytes - tensor.untyped_storage().nbytes())
        if beyond > REPEATED:
            raise PellucidError(f"holds {name}, a tensor whose shape says far more than is stored of it")


def check_images(channels: int, made: int, multiple: int) -> None:
    """Rejects a network that is not for images, or whose sides are impractical.

    Args:
        channels: input channels.
        made: output channels.
        multiple: divisor of the sides.

    Raises:
        PellucidError: the output channels are neither as many as the input's nor twice as many; or sides are too large.
    """
    if channels < 1 or made not in (channels, 2 * channels):
        raise PellucidError(f"its network makes {made} channels of {channels}: a prior makes as many, or twice as many")
    if not 1 <= multiple <= MULTIPLE:
        raise PellucidError(f"its network takes sides that divide by {multiple}; {MULTIPLE} at most are taken")
