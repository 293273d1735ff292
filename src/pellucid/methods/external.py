r"""External restorers as methods: a function, a network's file, an object of an installed module.

A restorer that was trained for its damage (FBCNN, SwinIR, DnCNN ...) is a function of the image alone and needs neither
a prior nor noise. All restorers have one interface:

.. math:: x = f(y), \quad f: (1, C, H, W) \to (1, C, k H, k W), \quad k = 1, 2, \dots

with images in [0, 1]. It gets one image at a time, padded to valid sides by reflection at the right and at the bottom;
the padding is cut off afterwards.

References:
    ONNX Runtime's Python API. https://onnxruntime.ai/docs/api/python/api_summary.html
    spandrel, which recognises a network by its weights. https://github.com/chaiNNer-org/spandrel
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..errors import PellucidError, UsageError
from ..maths.noise import Streams
from ..maths.problem import Problem, to_model, to_unit, to_zero_one
from ..priors.prior import Prior, reflection, round_up
from ..support.settings import imported, names_object
from .method import Method, State

Function = Callable[[Tensor], Tensor]

ONNX_SUFFIXES = (".onnx",)
SPANDREL_SUFFIXES = (".pth", ".pt", ".ckpt", ".safetensors")


class Loaded(NamedTuple):
    """A loaded restorer with its requirements.

    Attributes:
        function: from (1, C, H, W) to (1, C, k H, k W), in its own range.
        channels: C, or None for any.
        multiple: divisor of H and W.
        minimum: the least H and W.
        square: whether H and W must be equal.
    """

    function: Function
    channels: int | None = None
    multiple: int = 1
    minimum: int = 1
    square: bool = False


@dataclass(frozen=True)
class External(Method):
    """An external restorer: a function, an ONNX file, a spandrel checkpoint, MODULE:OBJECT or FILE.py:OBJECT.

    Costs no evaluation of the prior. If the channels do not match, a restorer of one channel gets the channels one by
    one; a grey image becomes three equal channels, whose mean is the result. The result may be larger than the image by
    a whole factor.

    Attributes:
        model: the restorer. A function maps float tensors (1, C, H, W) on the image's device to such tensors, without
            gradients. A file ends in .onnx (needs the extra `onnx`), or in .pth, .pt, .ckpt or .safetensors
            (needs the extra `spandrel`). MODULE:OBJECT names a function of an installed module, FILE.py:OBJECT one of
            a file. Files are read with the first image.
        multiple: divisor of the sides, in addition to the file's own requirements.
        range: value range of its images: "unit" is [0, 1], "symmetric" [-1, 1].
        channels: number of channels, 1 or 3; None for the file's, else for any.
    """

    needs_prior: ClassVar[bool] = False

    model: str | Path | Function | None = None
    multiple: int = 1
    range: Literal["unit", "symmetric"] = "unit"
    channels: Literal[1, 3] | None = None

    def __post_init__(self) -> None:
        known = isinstance(self.model, str | Path) and names_restorer(str(self.model))
        self.require(
            known or callable(self.model),
            "model",
            "a function, MODULE:OBJECT, FILE.py:OBJECT, or a file that ends in "
            + ", ".join(ONNX_SUFFIXES + SPANDREL_SUFFIXES),
        )
        self.require(self.multiple >= 1, "multiple", "at least 1")
        self.require(self.range in ("unit", "symmetric"), "range", "unit or symmetric")
        self.require(self.channels in (None, 1, 3), "channels", "1 or 3")

    def nfe(self, prior: Prior) -> int:
        """Always 0."""
        return 0

    def prepare(self, device: torch.device) -> None:
        """See `Method`."""
        self._restorer(device)

    @torch.no_grad()
    def iterate(self, problem: Problem, prior: Prior, rng: Streams) -> Iterator[State]:
        """See `Method`; one state, larger than the image if the restorer enlarges.

        Raises:
            PellucidError: the file cannot be read, or the result is no finite image.
            UsageError: it cannot take such images.
        """
        self.require_blind(problem)
        y = problem.y
        restorer = self._restorer(y.device)
        x = to_model(torch.cat([self._restored(restorer, to_unit(image)) for image in y.split(1)]))
        yield State(1, 1, 0.0, x, x, 0)

    @property
    def _name(self) -> str:
        return str(
            self.model if isinstance(self.model, str | Path) else getattr(self.model, "__name__", "the restorer")
        )

    @cached_property
    def _loaded(self) -> dict[torch.device, Loaded]:
        return {}

    def _restorer(self, device: torch.device) -> Loaded:
        if device not in self._loaded:
            self._loaded[device] = _load(self.model, device)
        return self._loaded[device]

    def _restored(self, restorer: Loaded, image: Tensor) -> Tensor:
        """Restores one image, (1, C, H, W) in [0, 1], with a restorer of any number of channels."""
        own = image.shape[1]
        takes = self.channels or restorer.channels or own
        if takes == own:
            return self._called(restorer, image)
        if takes == 1:
            return torch.cat([self._called(restorer, channel) for channel in image.split(1, 1)], 1)
        if own == 1:
            return self._called(restorer, image.expand(-1, takes, -1, -1)).mean(1, keepdim=True)
        raise UsageError(f"{self._name}: takes images of {takes} channels, this one has {own}")

    def _called(self, restorer: Loaded, image: Tensor) -> Tensor:
        """Calls the restorer on one image of matching channels, with padding and in its range."""
        height, width = image.shape[-2:]
        padded = _padded(image, restorer, self.multiple)
        given: Any = restorer.function(to_model(padded) if self.range == "symmetric" else padded)
        if not isinstance(given, Tensor):
            raise PellucidError(f"{self._name}: gives {type(given).__name__}, not a tensor")
        before, after = tuple(padded.shape), tuple(given.shape)
        factor = after[-1] // before[-1] if len(after) == 4 else 0
        if factor < 1 or after != (*before[:2], factor * before[2], factor * before[3]):
            raise PellucidError(
                f"{self._name}: gives {after} for {before}: no image of that size, nor a multiple of it"
            )
        if not torch.isfinite(given).all():
            raise PellucidError(f"{self._name}: its result is not finite (NaN or infinity)")
        result = given[..., : factor * height, : factor * width].to(image)
        return to_zero_one(result) if self.range == "symmetric" else result


def names_restorer(name: str) -> bool:
    """True if a text may name a restorer: a file of a known kind, MODULE:OBJECT or FILE.py:OBJECT."""
    return Path(name).suffix.lower() in ONNX_SUFFIXES + SPANDREL_SUFFIXES or names_object(name)


def _padded(image: Tensor, restorer: Loaded, multiple: int) -> Tensor:
    """Pads a copy of an image by reflection at the right and at the bottom to a valid size."""
    unit = math.lcm(multiple, restorer.multiple)
    sides = [round_up(max(side, restorer.minimum), unit) for side in image.shape[-2:]]
    if restorer.square:
        sides = [max(sides)] * 2
    padded = image
    for axis, side in zip((-2, -1), sides, strict=True):
        padded = padded.index_select(axis, reflection(image.shape[axis], side).to(image.device))
    return padded


def _load(model: Any, device: torch.device) -> Loaded:
    if not isinstance(model, str | Path):
        return Loaded(model)
    path = Path(model)
    suffix = path.suffix.lower()
    if suffix not in ONNX_SUFFIXES + SPANDREL_SUFFIXES:
        found = imported(str(model))
        if not callable(found) or isinstance(found, type):
            raise UsageError(f"{model}: is no function of images, but {found!r}")
        return Loaded(found)
    if not path.is_file():
        raise PellucidError(f"{path}: there is no such file")
    return _load_onnx(path, device) if suffix in ONNX_SUFFIXES else _load_spandrel(path, device)


_ONNX_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}


def _load_onnx(path: Path, device: torch.device) -> Loaded:
    """Loads a network in ONNX Runtime: one input, its first output; images (1, C, H, W)."""
    try:
        import onnxruntime
    except ImportError:
        raise PellucidError(f"{path}: needs onnxruntime: pip install 'pellucid[onnx]'") from None

    wanted = ["CUDAExecutionProvider"] if device.type == "cuda" else []
    available = onnxruntime.get_available_providers()
    providers = [name for name in [*wanted, "CPUExecutionProvider"] if name in available]
    # Whatever breaks inside, it is this file that is at fault.
    try:
        session = onnxruntime.InferenceSession(str(path), providers=providers)
    except Exception as error:
        raise PellucidError(f"{path}: cannot be read as ONNX ({_first_line(error)})") from None
    inputs = session.get_inputs()
    if len(inputs) != 1:
        names = ", ".join(own.name for own in inputs)
        raise PellucidError(f"{path}: takes {len(inputs)} inputs ({names}); a restorer takes an image alone")
    (own,) = inputs
    if own.type not in _ONNX_TYPES or len(own.shape) != 4 or own.shape[1] not in (1, 3, None, *_texts(own.shape)):
        raise PellucidError(f"{path}: takes {own.type} {own.shape}; a restorer takes floats (1, 1 or 3, H, W)")

    def function(image: Tensor) -> Tensor:
        sides = tuple(image.shape[-2:])
        if any(isinstance(a, int) and a != b for a, b in zip(own.shape[2:], sides, strict=True)):
            raise PellucidError(f"{path}: takes images of {own.shape[2:]} pixels alone, not of {list(sides)}")
        pixels = np.ascontiguousarray(image.cpu().numpy().astype(_ONNX_TYPES[own.type]))
        try:
            given = session.run(None, {own.name: pixels})[0]
        except Exception as error:
            raise PellucidError(f"{path}: onnxruntime failed ({_first_line(error)})") from None
        return torch.from_numpy(np.array(given)).to(image)

    return Loaded(function, own.shape[1] if isinstance(own.shape[1], int) else None)


def _texts(shape: list[Any]) -> list[str]:
    """Named sides in a file, which may have any size."""
    return [side for side in shape if isinstance(side, str)]


def _load_spandrel(path: Path, device: torch.device) -> Loaded:
    """Loads a network that spandrel recognises by its weights."""
    try:
        import spandrel
    except ImportError:
        raise PellucidError(f"{path}: needs spandrel: pip install 'pellucid[spandrel]'") from None

    # Its loaders raise whatever a file provokes.
    try:
        network = spandrel.ModelLoader(device=device).load_from_file(path)
    except Exception as error:
        raise PellucidError(f"{path}: spandrel cannot read it ({_first_line(error)})") from None
    if not isinstance(network, spandrel.ImageModelDescriptor) or network.input_channels != network.output_channels:
        raise PellucidError(f"{path}: is no network from an image to an image")
    network.model.eval()
    needs = network.size_requirements

    def function(image: Tensor) -> Tensor:
        given: Tensor = network(image.float())
        return given

    return Loaded(function, network.input_channels, needs.multiple_of, max(needs.minimum, 1), needs.square)


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
