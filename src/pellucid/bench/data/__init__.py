"""The papers' data sets by name: files on the user's disk, their pairs and their preprocessing."""

from __future__ import annotations

from typing import Any

from ...errors import unknown_name
from ...support import settings
from .dataset import Dataset, DatasetItem, Layout

__all__ = ["Dataset", "DatasetItem", "Layout", "get", "names"]

_PAIRS = "paired: damaged/ and clean/ with the same names in both"
_LAYOUTS: dict[str, tuple[Layout, str]] = {
    "folder": (Layout("images, in subfolders or not"), "whole"),
    "pairs": (Layout(_PAIRS, "^damaged/", "pairs", (("^damaged/", "clean/"),)), "whole"),
    "imagenet": (Layout("photographs such as ILSVRC2012_val_00000001.JPEG, in subfolders or not"), "square"),
    "celeba": (Layout("aligned faces of 178x218 pixels such as 000001.jpg"), "celeba"),
    "celeba-hq": (Layout("faces, square, of any size"), "stretch"),
    "lsun-bedroom": (Layout("images, taken out of their LMDB before"), "short"),
    "sidd": (
        Layout("scenes, NOISY_SRGB_... beside GT_SRGB_... in each", "NOISY_SRGB", "pairs", (("NOISY", "GT"),)),
        "middle",
    ),
    "lol": (
        Layout("eval15/, with low/ and high/ in it", "(^|(^|/)eval15/)low/", "pairs", (("(^|/)low/", r"\1high/"),)),
        "whole",
    ),
    "ve-lol": (
        Layout(
            "VE-LOL-L-Cap-Full/, with VE-LOL-L-Cap-Low_test/ and VE-LOL-L-Cap-Normal_test/ in it",
            "VE-LOL-L-Cap-Low_test/",
            "pairs",
            (("Low_test", "Normal_test"), (r"(^|/)low([^/]*)$", r"\1normal\2")),
        ),
        "whole",
    ),
    "loli-phone": (Layout("dark photographs, in subfolders or not", holds="damaged"), "whole"),
}


def names() -> tuple[str, ...]:
    """Names of all data sets."""
    return tuple(_LAYOUTS)


def get(name: str, **options: Any) -> Dataset:
    """Returns a data set by name, with its standard preprocessing by default.

    Args:
        name: from `names()`.
        options: `crop`, `size` and `files`; see `Dataset`.

    Raises:
        UsageError: unknown set or option, or a value out of range.
    """
    if name not in _LAYOUTS:
        raise unknown_name("data set", name, _LAYOUTS)
    settings.check_known(("crop", "size", "files"), name, options)
    layout, crop = _LAYOUTS[name]
    return Dataset(name, layout, **{"crop": crop, **options})
