"""Words for damages and for undoing them: where a task undoes a damage, either word is taken for the other.

`pellucid degrade --damage colorize` takes the colours away, `pellucid restore --task grey` gives them back, and
`pellucid bench known --task grey` measures how well. Imports nothing heavy, since a command line reads it first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

UNDONE_BY: Mapping[str, str | None] = {
    "noise": "denoise",
    "poisson": "denoise",
    "mixed-noise": "denoise",
    "shared-noise": "denoise",
    "grain": "denoise",
    "chroma-noise": "denoise",
    "poisson-gaussian": "denoise",
    "phone": "denoise",
    "printed": "denoise",
    "jpeg": "jpeg",
    "multiple-jpeg": None,
    "sr2": "sr2",
    "sr4": "sr4",
    "sr8": "sr8",
    "reduce": None,
    "blur": "unblur",
    "disk-blur": "unblur",
    "anisotropic-blur": "unblur",
    "motion-blur": "unblur",
    "uniform-blur": "deblur",
    "random-mask": "inpaint",
    "box-mask": "inpaint",
    "text-mask": "inpaint",
    "scratched": "scratches",
    "old-photograph": None,
    "grey": "colorize",
    "low-light": "lowlight",
    "faded": "unfade",
    "exposures": "hdr",
    "deform": None,
    "water-drops": None,
    "rain": None,
    "snow": None,
    "haze": None,
}
"""The task that undoes each damage; None where no single one does. The first damage of a task stands for it."""

MEANT: Mapping[str, str] = {
    **dict.fromkeys(
        (
            "upscale",
            "superres",
            "super-resolution",
            "superresolution",
            "sr",
            "resize",
            "scale",
            "zoom",
        ),
        "enlarge",
    ),
    **dict.fromkeys(("denoising", "noise", "grain", "clean"), "denoise"),
    **dict.fromkeys(("sharpen", "unshake", "deconvolve", "deblurring", "deblurr", "focus", "blur"), "unblur"),
    **dict.fromkeys(("fill", "inpainting", "paint", "erase", "unscratch"), "inpaint"),
    **dict.fromkeys(("colourize", "colourise", "colorise", "color", "colour", "colorization"), "colorize"),
    **dict.fromkeys(("brighten", "low-light", "relight", "dark", "exposure"), "lowlight"),
    **dict.fromkeys(("dejpeg", "deblock", "jpg", "artifacts", "artefacts", "decompress"), "jpeg"),
}
"""Tasks by the wrong names that people try first."""

_STANDS: Mapping[str, str] = {task: name for name, task in reversed(tuple(UNDONE_BY.items())) if task is not None}

# A whole name at the beginning or behind | or +, and before a value or an end.
_NAME = re.compile(r"(?<![^|+])(\s*)([a-z0-9-]+)(?=\s*(?:[:|+]|$))")


def damage(text: str) -> str:
    """A text for `degradations.get`, in which a task's name became the name of the damage that it undoes.

    Args:
        text: a name, or several damages as in `degradations.compose`.
    """
    return _NAME.sub(_damage_of, text)


def _damage_of(found: re.Match[str]) -> str:
    before, name = found.groups()
    return before + (name if name in UNDONE_BY else _STANDS.get(name, name))


def task(name: str) -> str:
    """The name of the task that undoes a damage of this name; the name itself where it is no damage's."""
    return UNDONE_BY.get(name) or name


def kind(text: str) -> str:
    """The bare name of the last damage of a text: "reduce" of "sr4", "random-mask" of "random-mask:0.25"."""
    from ..degradations.compose import is_composed, steps

    named = damage(text)
    return steps(named)[-1][0] if is_composed(named) else named
