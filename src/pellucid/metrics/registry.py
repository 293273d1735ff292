"""Metrics by name, or by FILE.py:NAME, and what of them cannot be measured here."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from inspect import signature
from pathlib import Path
from typing import Any, get_type_hints

from ..errors import UsageError, unknown_name
from ..support import settings
from ..support.settings import imported, names_object
from .consistency import Consistency
from .fid import Fid
from .function import of_function
from .loe import Loe
from .lpips import Lpips
from .metric import Metric, SetMetric
from .niqe import Niqe
from .psnr import Psnr
from .ssim import Ssim

_METRICS: dict[str, type[Metric]] = {kind.name: kind for kind in (Psnr, Ssim, Lpips, Consistency, Loe, Niqe)}
_SETS: dict[str, type[SetMetric]] = {Fid.name: Fid}
_NOWHERE = {
    "pi": "pi is (10 - Ma + NIQE) / 2, and Ma's model is not freely available: it is not measured",
}


def names() -> tuple[str, ...]:
    """Names of all metrics: for images, for sets of images, and known ones that cannot be measured.

    Example:
        >>> "ssim" in metrics.names()
        True
    """
    return (*_METRICS, *_SETS, *_NOWHERE)


def sets() -> tuple[str, ...]:
    """Names of the metrics of sets of images.

    Example:
        >>> metrics.sets()
        ('fid',)
    """
    return tuple(_SETS)


def options(name: str, texts: Mapping[str, str]) -> dict[str, Any]:
    """Reads typed options of a metric's protocol, without its required files.

    Raises:
        UsageError: unknown option, or an unreadable value.

    Example:
        >>> metrics.options("psnr", {"crop": "4"})
        {'crop': 4}
    """
    kind = _kind(name)
    types = {key: one for key, one in get_type_hints(kind.__init__).items() if key not in ("return", *kind.needs)}
    return settings.read(types, name, texts)


def get(name: str, **options: Any) -> Metric:
    """Makes a metric of images by name, with the usual options by default.

    Raises:
        UsageError: unknown metric or option, a value out of range, or a missing requirement.
        PellucidError: a file that it needs cannot be read.

    Example:
        >>> metrics.get("psnr", crop=4).unit
        'dB'
    """
    if is_set(name):
        raise UsageError(f"{name} compares sets of images, not one with another: use get_set")
    metric: Metric = _checked(name, options)(**options)
    return metric


def get_set(name: str, **options: Any) -> SetMetric:
    """Makes a metric of sets of images by name.

    Raises:
        UsageError: as for `get`.
        PellucidError: a file that it needs cannot be read.

    Example:
        >>> metrics.missing("fid") is not None
        True
    """
    if not is_set(name) and name not in _NOWHERE:
        raise UsageError(f"{name} compares one image with another, not sets: use get")
    metric: SetMetric = _checked(name, options)(**options)
    return metric


def missing(name: str, **options: Any) -> str | None:
    """Describes in one line why a metric cannot be measured with these options; None if it can.

    Raises:
        UsageError: there is no metric of that name.

    Example:
        >>> metrics.missing("psnr") is None
        True
    """
    if name in _NOWHERE:
        return _NOWHERE[name]
    for option, what in _kind(name).needs.items():
        if options.get(option) is None:
            return f"{name} needs {what}: give {option}"
        given = options[option]
        if isinstance(given, str | Path) and not Path(given).is_file():
            return f"{name} needs {what}: there is no file {given}"
    return None


def is_set(name: str) -> bool:
    """True if a metric is for sets of images.

    Raises:
        UsageError: there is no metric of that name.

    Example:
        >>> metrics.is_set("fid")
        True
    """
    return name not in _NOWHERE and issubclass(_kind(name), SetMetric)


def _kind(name: str) -> type[Any]:
    known: dict[str, type[Any]] = {**_METRICS, **_SETS}
    if name in known:
        return known[name]
    if not (".py:" in name and names_object(name)):
        raise unknown_name("metric", name, names())
    own = imported(name)
    if inspect.isfunction(own):
        return of_function(own, name)
    if not (isinstance(own, type) and issubclass(own, Metric | SetMetric)):
        raise UsageError(
            f"{name}: is no metric: a function, or a class that inherits from pellucid.metrics.Metric or SetMetric"
        )
    lacks = [field for field in ("name", "better") if not hasattr(own, field)]
    if lacks:
        raise UsageError(f"{name}: does not define its {lacks[0]}")
    return own


def _checked(name: str, options: dict[str, Any]) -> type[Any]:
    lacking = missing(name, **options)
    if lacking is not None:
        raise UsageError(lacking)
    kind = _kind(name)
    settings.check_known(signature(kind).parameters, name, options)
    return kind
