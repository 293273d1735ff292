"""Tasks: damage by the names that people use for its repair."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from ..errors import PellucidError, UsageError, unknown_name
from ..images import Picture
from ..maths.problem import check_finite, to_model
from ..operators import AveragePool, Blur, Denoise, Grayscale, Jpeg, Mask, Operator, Thumbnail, blur
from ..support.settings import imported, names_object
from . import tuned
from .words import MEANT

FACTORS = (2, 3, 4)
"""Factors of enlargement."""

Maker = Callable[[Picture], Operator]
"""Makes an operator for each damaged picture."""


@dataclass(frozen=True)
class Task:
    """A degradation to undo.

    Attributes:
        summary: what goes in and what comes out, in a line.
        method: the method that it is done with unless another is named.
        make: makes the operator from what `needs` names, if anything; None for blind methods.
        settings: hyper-parameters of that method that are best for it with the embedded prior, `catalogue.tuned`;
            docs/known.md has what they gain.
        propose: makes the operator of each picture where the file that `needs` names is proposed, and nobody looks at
            it; None where nothing is.
        needs: "mask" or "kernel" where a file is needed, "by" where a factor is taken, 2 where none is said.
        several: whether all inputs are exposures of one image.
        noise: assumed noise level, in [0, 1] units; None to estimate it.
        also: other methods of a task without an operator, which alone would not tell a method what to do.
    """

    summary: str
    method: str
    make: Callable[[Any], Operator | Maker | None]
    settings: Mapping[str, Any] = field(default_factory=dict)
    propose: Maker | None = None
    needs: str | None = None
    several: bool = False
    noise: float | None = None
    also: tuple[str, ...] = ()

    @property
    def only(self) -> tuple[str, ...]:
        """Built-in methods that do a task without an operator; empty where the operator tells any method."""
        return (self.method, *self.also, "external") if self.make is _blind else ()

    def check_method(self, name: str, method: str) -> None:
        """Rejects a built-in method that would do something else, unnoticed, as nothing tells it the task."""
        if self.only and method not in self.only and not names_object(method):
            known = ", ".join(self.only)
            raise UsageError(f"{name} is done by {known}, not by {method}: leave the method or the task out")

    def check(self, name: str, by: int | None, *, yes: bool = False) -> None:
        """Rejects a factor, or a `yes`, for a task that does not take it."""
        if yes and self.propose is None:
            raise UsageError(f"{name} proposes nothing to say yes to: leave `yes` out, or take the task scratches")
        if by is not None and self.needs != "by":
            raise UsageError(f"{name} takes no factor: leave `by` out, or take the task enlarge")
        if by is not None and by not in FACTORS:
            raise UsageError(f"by is one of {', '.join(map(str, FACTORS))}, not {by}")


@dataclass(frozen=True)
class Masks:
    """Masks of pictures from a folder, named like the pictures, with .png added.

    Attributes:
        folder: folder of the masks.
    """

    folder: Path

    def __call__(self, picture: Picture) -> Mask:
        """Reads the mask of one picture; an empty mask leaves the picture unchanged.

        Raises:
            PellucidError: the mask is missing or cannot be read.
        """
        path = self.folder / f"{picture.name}.png"
        if not picture.name or not path.is_file():
            raise PellucidError(f"{path if picture.name else self.folder}: there is no mask for this picture there")
        return Mask.read(path, empty=True)


def _blurred(kernel: Path | None) -> Operator:
    assert kernel is not None
    return Blur(blur.read(kernel), "replicate")


def _masked(mask: Path | None) -> Operator | Maker:
    assert mask is not None
    return Masks(mask) if mask.is_dir() else Mask.read(mask)


def _pixels(picture: Picture) -> Tensor:
    """Pixels of a picture in [-1, 1]; refuses those that are no numbers."""
    pixels = picture.tensor()
    check_finite(pixels)
    return to_model(pixels)


def proposed(picture: Picture) -> Mask:
    """Mask of probable scratches and specks, for a person to correct; see `diagnosis.scratches`."""
    from ..diagnosis import scratches

    return Mask(~scratches.propose(_pixels(picture)))


def certain(picture: Picture) -> Mask:
    """Mask of scratches and specks beyond doubt, without a correction; see `diagnosis.scratches`."""
    from ..diagnosis import scratches

    return Mask(~scratches.propose(_pixels(picture), scratches.SURE))


def _compressed(picture: Picture) -> Jpeg:
    """Compression of a picture, from its file or its pixels."""
    from ..diagnosis import compression

    found = compression.of(picture) or compression.estimate(_pixels(picture))
    if found is None:
        kind = "is no JPEG file" if picture.jpeg is None else "was changed since it was read from a JPEG file"
        raise PellucidError(f"{kind}, and its pixels do not tell how it was compressed: leave the task out")
    return Jpeg.coded(found.coding)


def _enlarged(by: int | None) -> Operator:
    return Thumbnail(FACTORS[0] if by is None else by)


def _blind(_: Path | None) -> None:
    return None


# Known pixels are to stay as they are, to the bit.
_INPAINT = Task("fill in what a mask paints white", "dreamclean-known", _masked, needs="mask", noise=0.0)

_TASKS: dict[str, Task] = {
    "denoise": Task("remove noise", "denoise", lambda _: Denoise()),
    "enlarge": Task("enlarge by 2, 3 or 4: --by", "enlarge", _enlarged, needs="by"),
    "sr2": Task("enlarge by 2", "dreamclean-known", lambda _: AveragePool(2)),
    "sr4": Task("enlarge by 4", "dreamclean-known", lambda _: AveragePool(4)),
    "sr8": Task("enlarge by 8", "dreamclean-known", lambda _: AveragePool(8)),
    # With a border as photographs have it there is no decomposition, which DDRM would need.
    "deblur": Task("undo the blur of a kernel", "red", _blurred, needs="kernel"),
    "inpaint": _INPAINT,
    "scratches": replace(_INPAINT, summary="fill in scratches from a mask or a proposal", propose=certain),
    # As the brightness is: the level of texture, which has no colours to tell it from noise, would smooth it.
    "colorize": Task("give a grey image colours", "colorize", lambda _: Grayscale(), noise=0.0),
    "unblur": Task("undo a blur with an unknown kernel", "unblur", _blind, also=("bird", "blinddps", "gibbsddrm")),
    "lowlight": Task("brighten a picture that was exposed too briefly", "lowlight", _blind, also=("gdp", "zero-dce")),
    "unfade": Task("give a faded or tinted picture contrast and colours", "unfade", _blind),
    "hdr": Task("make one image of several exposures", "gdp", _blind, several=True),
    "jpeg": Task("undo the compression of a JPEG file", "jpeg", lambda _: _compressed),
}

_TASKS = {name: replace(task, settings=tuned.TASKS.get(name, {})) for name, task in _TASKS.items()}


def names() -> tuple[str, ...]:
    """Names of all tasks."""
    return tuple(_TASKS)


def find(name: str) -> Task:
    """Finds a task by name, or makes one from an operator or its class at MODULE:OBJECT or FILE.py:OBJECT.

    Raises:
        UsageError: unknown name, or an object that is no operator.
    """
    if name in _TASKS:
        return _TASKS[name]
    if not names_object(name):
        meant = MEANT.get(name.lower().replace("_", "-"))
        if meant is not None:
            raise UsageError(f"unknown task {name!r}: did you mean {meant!r}? there is {', '.join(sorted(_TASKS))}")
        raise unknown_name("task", name, _TASKS)
    found = imported(name)
    try:
        own = found() if isinstance(found, type) and issubclass(found, Operator) else found
    except TypeError as error:
        raise UsageError(f"{name}: cannot be made without arguments ({error}): name one that is made") from error
    if not isinstance(own, Operator):
        raise UsageError(f"{name}: is no degradation: something that inherits from pellucid.operators.Operator")
    # The method that asks least of an operator.
    return Task((own.__doc__ or "").partition("\n")[0], "dps", lambda _: own)


def operator(
    name: str, mask: Path | None = None, kernel: Path | None = None, by: int | None = None, *, yes: bool = False
) -> Operator | Maker | None:
    """Makes the degradation of a task.

    Args:
        name: of the task.
        mask: image file, white where pixels are missing, for "inpaint" and "scratches"; or a folder with one for each
            picture, see `Masks`.
        kernel: image file of the blur's kernel, for "deblur"; its sum is made 1.
        by: factor of both sides for "enlarge", one of `FACTORS`; None for 2.
        yes: whether "scratches" fills damage beyond doubt, without a mask.

    Returns:
        The operator, or a function that makes it from each picture; None if the task's method is blind.

    Raises:
        UsageError: unknown task or factor, or a missing or superfluous file.
        PellucidError: the file cannot be read.
    """
    task = find(name)
    given = {"mask": mask, "kernel": kernel}
    task.check(name, by, yes=yes)
    if task.propose is not None and mask is None:
        if not yes:
            raise UsageError(
                f"{name} fills what a mask marks: --save-mask FILE proposes one to look at and correct, --mask FILE "
                "takes it, --yes fills unseen what is beyond doubt"
            )
        return task.propose
    if yes:
        raise UsageError("a mask, and yes for the one that is proposed: leave one out")
    for kind, path in given.items():
        if kind == task.needs and path is None:
            raise UsageError(f"{name} needs a {kind}: {_WANTED[kind]}")
        if kind != task.needs and path is not None:
            raise UsageError(f"{name} takes no {kind}")
    return task.make(by if task.needs == "by" else given.get(task.needs or ""))


_WANTED = {"mask": "an image, white where pixels are missing", "kernel": "an image of a blurred point"}
