"""Ranges of values that every interface takes, each with one message, and shares in words."""

from __future__ import annotations

import math
from numbers import Integral
from typing import Any

from ..errors import UsageError


def check_noise(level: float, *, measured: bool = False) -> None:
    """Rejects an impossible noise level.

    Args:
        level: standard deviation in [0, 1] units.
        measured: whether the noise is of a measurement that is no picture, whose values may be larger than 1.

    Raises:
        UsageError: it is negative or NaN; or above 1, as a level of 255 is, which output of other tools has.
    """
    if 0 <= level <= 1 or (measured and 0 <= level < math.inf):
        return
    if measured:
        raise UsageError(f"noise is 0 or more, not {level:g}")
    hint = f": say {level:g}/255 for {level:g} of 255" if 1 < level <= 255 and not _shared(level) else ""
    raise UsageError(f"noise is in [0, 1] units, not {level:g}{hint}")


def _shared(level: float) -> bool:
    """True for a level such as 300/255, which already is a share of 255."""
    return not float(level).is_integer() and math.isclose(255 * level, round(255 * level), rel_tol=1e-9)


MOST_SAMPLES = 10_000
"""Number of samples of an image above which a request is rejected: all have a seed and a file before any work."""


def is_count(number: Any) -> bool:
    """True for a whole number from 1 up, also of numpy."""
    return not isinstance(number, bool) and isinstance(number, Integral) and int(number) >= 1


def check_samples(number: Any) -> None:
    """Rejects an impossible number of samples of an image.

    Raises:
        UsageError: it is no whole number, less than 1, or more than `MOST_SAMPLES`.
    """
    if is_count(number) and int(number) <= MOST_SAMPLES:
        return
    most = f", and at most {MOST_SAMPLES}" if is_count(number) else ""
    raise UsageError(f"samples are 1 or more of each image{most}, not {number!r}")


def percent(share: float) -> str:
    """Writes a share as a percentage; a small one is not rounded to nothing.

    Args:
        share: from 0 to 1.
    """
    return "under 0.1 %" if 0 < share < 0.001 else f"{100 * share:.1f} %"


def check_seed(seed: int) -> None:
    """Rejects a seed that has no random numbers.

    Raises:
        UsageError: it is negative, or 2^63 or more.
    """
    if not 0 <= seed < 2**63:
        raise UsageError(f"seed is a whole number from 0 to 2^63 - 1, not {seed}")
