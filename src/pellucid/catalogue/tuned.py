"""Hyper-parameters that were measured to suit the embedded prior; a test holds every number of them.

`TASKS` are what people get (docs/known.md). The others are of benchmarks with few evaluations, `--quick`: where steps
are fewer than the papers', each pull is stronger.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .words import kind

Values = Mapping[str, Any]
"""Values of hyper-parameters by name."""

# Large corrections: a small prior's estimates err alike from level to level, which fresh noise averages out.
_LARGE: Values = {"gamma": 0.5}

_SOLVED: Values = {"weight": 0.002}

# Exposure control, as nothing else says how bright the image was; without a map, which takes dark places for shade.
_LIGHT: Values = {"scale": 500_000, "bright": 0.003, "level": 0.5, "map_rate": 0.0}

TASKS: Mapping[str, Values] = {
    "sr2": _LARGE,
    "sr4": _LARGE,
    "sr8": _LARGE,
    "deblur": _SOLVED,
    "inpaint": _LARGE,
    "scratches": _LARGE,
    "hdr": {"steps": 100, **_LIGHT},
}
"""Of the method that a task is done with, by the task's name; a task that is not here has its method's defaults."""

BLIND: Mapping[str, Values] = {
    "denoise": {},
    "dreamclean": {"strength": 50, "corrections": 3, "schedule": "none"},
    "auto": {},
    "diip": {"steps": 2, "rate": 0.02, "slope": 0.004, "iterations": 100},
    "gdp": {"steps": 60, "scale": 100_000, "degradation": "kernel", "rate": 0.05, "kernel": 9},
    "bird": {"steps": 2, "rate": 0.02, "iterations": 60, "kernel": 9},
    "blinddps": {"steps": 50, "scale": 20.0, "kernel_scale": 1.0, "kernel": 9},
    "gibbsddrm": {"steps": 20, "begin": 0.15, "repeats": 1, "ridge": 0.5, "kernel": 9},
    "dip": {"iterations": 100, "levels": 4, "channels": 32, "average": 0.9},
    "dgp": {
        "candidates": 100, "spread": 1.0, "iterations": 20, "feature_weight": 0.0, "error_weight": 10.0,
        "rates": (0.0, 5e-4, 5e-4, 1e-4), "latent_rates": (3e-2, 1e-2, 1e-2, 3e-3),
    },
    "zero-dce": {},
    "lowlight": {},
    "unfade": {},
}  # fmt: skip
"""Few evaluations of a method that is told nothing, by its name: one setting for all damage."""

BLIND_FOR: Mapping[str, Mapping[str, Values]] = {"low-light": {"gdp": {"steps": 60, **_LIGHT}}}
"""Others for a damage: what a method's authors made it for."""

ONLY_FOR: Mapping[str, Sequence[str]] = {"zero-dce": ("low-light",), "lowlight": ("low-light",), "unfade": ()}
"""Methods that are made for some of the damages and take no part in the others."""

TOLD: Mapping[str, Values] = {
    "ddrm": {},
    "ddnm": {"steps": 40},
    "dreamclean-known": _LARGE,
    "dps": {"steps": 100, "scale": 4.0},
    "gdp": {"steps": 100, "scale": 20_000},
    "snips": {"levels": 60, "repeats": 2, "rate": 0.2},
    "red": {"iterations": 30, **_SOLVED},
    "mmps": {"steps": 25},
    "dpir": {},
    "diffpir": {"steps": 20, "spacing": "quad", "weight": 8.0, "zeta": 1.0},
    "pigdm": {"steps": 20},
    "daps": {"steps": 20, "flow": 3, "top": 10.0, "bottom": 0.03, "beta": None, "draw": "exact", "width": 0.2},
    "reddiff": {"steps": 50},
}
"""Few evaluations of a method that is told the degradation, by its name."""

_MASKED: Mapping[str, Values] = {
    "dps": {"steps": 100, "scale": 15.0},
    "gdp": {"steps": 100, "scale": 40_000},
    "repaint": {"steps": 25, "travel_length": 5, "travel_repeat": 2},
}

TOLD_FOR: Mapping[str, Mapping[str, Values | None]] = {
    # The gradient of a mean of 16 pixels is a sixteenth as large, of a picture that is nearly all known the largest.
    "reduce": {"dps": {"steps": 100, "scale": 10.0}},
    "random-mask": _MASKED,
    "box-mask": _MASKED,
    # Not what they are made for: from pure noise on, two thirds of the image are whatever the prior dreams of.
    "grey": {"dps": None, "mmps": None},
}
"""Others for a damage, and None for a method that takes no part in it."""


def blind(damage: str) -> dict[str, Values]:
    """`BLIND` for a damage, by method."""
    return {**BLIND, **BLIND_FOR.get(kind(damage), {})}


def told(damage: str) -> dict[str, Values]:
    """`TOLD` for a damage, by method; without those that take no part."""
    chosen = {**TOLD, **TOLD_FOR.get(kind(damage), {})}
    return {name: settings for name, settings in chosen.items() if settings is not None}


def told_named(name: str, damage: str) -> Values | None:
    """`told` of one method that is named, so that it takes part in everything; None if it has no such settings."""
    return told(damage).get(name, TOLD.get(name))
