"""A device that is none: its tensors say that they are elsewhere and are computed on the CPU.

What a GPU refuses it refuses as well: computing with tensors of both places, and reading its memory without asking. It
is registered for the whole process, so what uses it runs in one of its own; see `test_elsewhere`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, library
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

NAME = "elsewhere"
_INDEXING = ("aten::index.", "aten::_unsafe_index.", "aten::index_put", "aten::_index_put_impl_")


class _Module:
    """What torch asks of a device's Python module."""

    def is_initialized(self) -> bool:
        return True

    def is_available(self) -> bool:
        return True

    def device_count(self) -> int:
        return 1

    def current_device(self) -> int:
        return 0

    def _is_in_bad_fork(self) -> bool:
        return False

    def manual_seed_all(self, seed: int) -> None: ...

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16, torch.float16]


class Far(Tensor):
    """A tensor on the device; `near` is what it holds."""

    near: Tensor

    @staticmethod
    def __new__(cls: type[Far], near: Tensor, requires_grad: bool = False) -> Far:
        far: Far = Tensor._make_wrapper_subclass(
            cls, near.size(), strides=near.stride(), storage_offset=near.storage_offset(), dtype=near.dtype,
            layout=near.layout, device=torch.device(NAME, 0), requires_grad=requires_grad,
        )  # fmt: skip
        far.near = near
        return far

    def __deepcopy__(self, memo: Any) -> Far:
        other = Far(self.near.clone(), self.requires_grad)
        if isinstance(self, torch.nn.Parameter):
            other._is_param = True
        return other

    def tolist(self) -> Any:
        return self.near.tolist()

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, operation: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        return _computed(operation, args, kwargs or {})


class Here(TorchDispatchMode):
    """Where the device is there."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        return _computed(operation, args, kwargs or {})


def near(x: Any) -> Any:
    """What a tensor of the device holds; anything else as it is."""
    return x.near if isinstance(x, Far) else x


def _computed(operation: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    name, options = operation.name(), dict(kwargs)
    tensors = [leaf for leaf in tree_leaves((args, options)) if isinstance(leaf, Tensor)]
    far = [isinstance(tensor, Far) for tensor in tensors]
    if any(far) and not all(far) and name not in ("aten::_to_copy", "aten::copy_"):
        # Numbers may come from the CPU, and so may indices.
        indices = far[0] and name.startswith(_INDEXING)
        if not indices and any(tensor.ndim for tensor in tensors if not isinstance(tensor, Far)):
            raise RuntimeError(f"{name}: tensors of two devices, {[tuple(tensor.shape) for tensor in tensors]}")
    goes = isinstance(args[0], Far) if name == "aten::copy_" else any(far)
    if options.get("device") is not None:
        goes = torch.device(options["device"]).type == NAME
        options |= {"device": torch.device("cpu"), "pin_memory": False}
    if name == "aten::_conj":
        made = near(args[0]).conj_physical()  # the bit that says "conjugate" would be lost
    else:
        made = operation(*tree_map(near, args), **tree_map(near, options))
    same = {id(tensor.near): tensor for tensor in tensors if isinstance(tensor, Far)}
    return tree_map(lambda x: same.get(id(x), Far(x) if goes else x) if isinstance(x, Tensor) else x, made)


def _empty(size: Any, dtype: torch.dtype | None = None, *place: Any, **more: Any) -> Tensor:
    return Far(torch.empty(size, dtype=dtype))


def _empty_strided(size: Any, stride: Any, dtype: torch.dtype | None = None, *place: Any, **more: Any) -> Tensor:
    return Far(torch.empty_strided(size, stride, dtype=dtype))


def _copy_from(source: Tensor, target: Tensor, non_blocking: bool = False) -> Tensor:
    near(target).copy_(near(source))
    return target


class _Generator(torch.Generator):
    """Random numbers for the device, drawn on the CPU."""

    def __new__(cls, device: Any = "cpu") -> _Generator:
        return super().__new__(cls)


def _undisturbed(load: Callable[..., Any]) -> Callable[..., Any]:
    """Reads a file's tensors, which come to the CPU, without the device looking on."""

    def read(*args: Any, **kwargs: Any) -> Any:
        with _disable_current_modes():
            return load(*args, **kwargs)

    return read


def register() -> None:
    """Makes the device known to torch, for the rest of the process."""
    import safetensors.torch

    _setup_privateuseone_for_python_backend(NAME, _Module())
    # What C++ asks for beyond the sight of `Here`.
    kernels = library.Library("aten", "IMPL")
    kernels.impl("empty.memory_format", _empty, "PrivateUse1")
    kernels.impl("empty_strided", _empty_strided, "PrivateUse1")
    kernels.impl("_copy_from", _copy_from, "PrivateUse1")
    _KEPT.append(kernels)
    torch.Generator = _Generator  # type: ignore[misc]
    safetensors.torch.load_file = _undisturbed(safetensors.torch.load_file)


_KEPT: list[Any] = []
