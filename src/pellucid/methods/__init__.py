"""Restoration methods: one file each, whose name is the method's; other packages add theirs by an entry point."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

from ..errors import UsageError, unknown_name
from ..support import settings
from ..support.settings import imported, names_object
from .auto import Auto as Auto
from .bird import BIRD as BIRD
from .blinddps import BlindDPS as BlindDPS
from .bm3d import BM3D as BM3D
from .colorize import Colorize as Colorize
from .daps import DAPS as DAPS
from .ddnm import DDNM as DDNM
from .ddrm import DDRM as DDRM
from .ddrm_jpeg import DDRMJpeg as DDRMJpeg
from .denoise import Denoise as Denoise
from .dgp import DGP as DGP
from .diffpir import DiffPIR as DiffPIR
from .diip import DIIP as DIIP
from .dip import DIP as DIP
from .dpir import DPIR as DPIR
from .dps import DPS as DPS
from .dreamclean import DreamClean as DreamClean
from .dreamclean_known import DreamCleanKnown as DreamCleanKnown
from .dreamclean_phase import DreamCleanPhase as DreamCleanPhase
from .enlarge import Enlarge as Enlarge
from .external import External as External
from .external import names_restorer
from .gdp import GDP as GDP
from .gibbsddrm import GibbsDDRM as GibbsDDRM
from .jpeg import JPEG as JPEG
from .lowlight import LowLight as LowLight
from .method import PAPERS as PAPERS
from .method import Method as Method
from .method import State as State
from .method import Stepper as Stepper
from .method import with_gradients as with_gradients
from .mmps import MMPS as MMPS
from .pigdm import PiGDM as PiGDM
from .psld import PSLD as PSLD
from .red import RED as RED
from .reddiff import REDDiff as REDDiff
from .repaint import RePaint as RePaint
from .resample import ReSample as ReSample
from .snips import SNIPS as SNIPS
from .unblur import Unblur as Unblur
from .unfade import Unfade as Unfade
from .zero_dce import ZeroDCE as ZeroDCE

_GROUP = "pellucid.methods"
"""The group of entry points by which another package gives its methods a name."""

_OWN: Mapping[str, type[Method]] = {
    one.__module__.rpartition(".")[2].replace("_", "-"): one
    for one in tuple(globals().values())
    if isinstance(one, type) and issubclass(one, Method) and one not in (Method, Stepper)
}
"""The methods above by name. A new one needs its import alone: lookup, `__all__` and type checkers read these."""

if not TYPE_CHECKING:  # Type checkers see what is imported under its own name, and cannot compute a list.
    _SHARED = ("PAPERS", "Method", "State", "Stepper", "with_gradients")
    _REGISTRY = ("describe", "differing", "find", "get", "name_of", "names", "of_preset", "usual")
    __all__ = sorted((*_SHARED, *_REGISTRY, *(one.__name__ for one in _OWN.values())))


def names(blind: bool | None = None) -> tuple[str, ...]:
    """Names of all methods, also those of other installed packages.

    Args:
        blind: True for blind methods only, False for methods that need the degradation only.

    Example:
        >>> "ddrm" in methods.names(blind=False)
        True
    """
    found = sorted({*_OWN, *_others()})
    return tuple(name for name in found if blind is None or find(name).blind is blind)


def find(name: str) -> type[Method]:
    """Finds the class of a method.

    Args:
        name: one of `names()`; or MODULE:OBJECT or FILE.py:OBJECT, a class that inherits from `Method`; or a restorer
            for `External`, which then is the method.

    Raises:
        UsageError: unknown name, or an object that is no method.

    Example:
        >>> methods.find("ddrm").__name__
        'DDRM'
    """
    if name in _OWN:
        return _OWN[name]
    points = _others()
    if name not in points and names_object(name):
        own = imported(name)
        if isinstance(own, type):
            if issubclass(own, Method) and hasattr(own, "__dataclass_fields__"):
                return own
            raise UsageError(f"{name}: is no method: a dataclass that inherits from pellucid.methods.Method")
    if name not in points and names_restorer(name):
        return External
    if name not in points:
        raise unknown_name("method", name, names())
    try:
        method: type[Method] = points[name].load()
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
        raise UsageError(f"{name}, {points[name].value} of another package, cannot be loaded ({why})") from error
    return method


def _others() -> Mapping[str, EntryPoint]:
    """Methods of other packages; a name of ours stays ours."""
    return {point.name: point for point in entry_points(group=_GROUP) if point.name not in _OWN}


def get(name: str, *, preset: str | None = None, **hyper_parameters: Any) -> Method:
    """Makes a method by name, with its defaults; `net.onnx` is `External(model="net.onnx")`.

    Args:
        name: see `find`.
        preset: one of the method's `presets`, for hyper-parameters that are not given.
        hyper_parameters: fields of the method.

    Raises:
        UsageError: unknown method, preset or hyper-parameter, or a value out of range.

    Example:
        >>> methods.get("dreamclean", preset="fast").climb
        3
    """
    method = find(name)
    settings.check(method, name, hyper_parameters)
    hyper_parameters = {**of_preset(method, name, preset), **hyper_parameters}
    if method is External and names_restorer(name):
        if "model" in hyper_parameters:
            raise UsageError(f"{name}: already names the restorer: leave model out")
        return External(model=name, **hyper_parameters)
    try:
        return method(**hyper_parameters)
    except TypeError as error:
        said = ", ".join(f"{key}={value!r}" for key, value in hyper_parameters.items())
        raise UsageError(f"{name}: a value is of the wrong kind among {said} ({error})") from None


def of_preset(method: type[Method], name: str, preset: str | None) -> Mapping[str, Any]:
    """Hyper-parameters of one of a method's presets; none for None.

    Raises:
        UsageError: unknown preset.
    """
    if preset is not None and preset not in method.presets:
        raise UsageError(f"{name} has no preset {preset!r}; it has {', '.join(sorted(method.presets)) or 'none'}")
    return {} if preset is None else method.presets[preset]


def usual(hyper_parameters: Iterable[str]) -> str:
    """Name of the method for a call that names none.

    Args:
        hyper_parameters: those that are set. Any other than "fidelity" means DreamClean.
    """
    return "auto" if set(hyper_parameters) <= {"fidelity"} else "dreamclean"


def name_of(method: Method) -> str | None:
    """Name of a method; None for a method from a custom file."""
    return next((name for name in names() if find(name) is type(method)), None)


def differing(method: object) -> dict[str, Any]:
    """Hyper-parameters of a method that differ from its class's defaults."""
    chosen = {}
    for field in fields(method) if is_dataclass(method) else ():
        default = field.default if field.default_factory is MISSING else field.default_factory()
        value = getattr(method, field.name)
        alike = isinstance(value, int | float) and value == default
        # As texts, since a tensor is not equal to anything.
        if field.repr and value is not default and not alike and str(value) != str(default):
            chosen[field.name] = value
    return chosen


def describe(name: str) -> dict[str, Any]:
    """Describes a method: `name`, `blind`, `summary`, `about`, `hyper_parameters` with defaults, `presets`.

    Example:
        >>> methods.describe("denoise")["blind"]
        True
    """
    method = find(name)
    about = inspect.getdoc(method) or ""
    return {
        "name": name,
        "blind": method.blind,
        "summary": about.partition("\n")[0],
        "about": about,
        "hyper_parameters": {field.name: field.default for field in fields(method)},  # type: ignore[arg-type]
        "presets": {preset: dict(values) for preset, values in method.presets.items()},
    }
