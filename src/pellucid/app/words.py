"""Messages in the page's words: no command-line options, no paths of this machine."""

from __future__ import annotations

import re
from pathlib import Path

from ..catalogue import tasks

DAMAGES = {
    "denoise": "noise",
    "enlarge": "too small, enlarge it",
    "sr2": "made smaller 2 times",
    "sr4": "made smaller 4 times",
    "sr8": "made smaller 8 times",
    "deblur": "a blur with a known kernel",
    "inpaint": "parts missing, paint them",
    "colorize": "no colours",
    "unblur": "a blur",
    "lowlight": "too dark",
    "hdr": "exposures, make one picture",
    "jpeg": "coarse JPEG",
    "scratches": "scratches",
    "unfade": "faded colours",
}
"""Short names of tasks on the page; other tasks use their summary."""

_PLAIN = (
    (r"--set takes KEY=VALUE, not (.*)", r"Further settings are KEY=VALUE, one a line, not \1"),
    (r"HEIF needs pillow-heif: pip install .*", "HEIC pictures cannot be read here: save it as a JPEG, or ask whoever "
     "runs this page to install pillow-heif"),
    (r"needs ([\w-]+): pip install \S+", r"needs \1, which whoever runs this page can install: save the picture as PNG "
     "or JPEG instead"),
    (r", or Jpeg\(quality\) in Python", ""),
    (r"name the files of two or more exposures.*", "One picture is made of several exposures: add two or more "
     "of the same view, or choose another damage"),
    (r"use a blind method|leave the task out", "choose the automatic method"),
    (r"then use --task enlarge", "then choose to enlarge it"),
    (r"the task inpaint", "parts that are missing"),
    (r"inpaint needs a mask: .*", "Paint over what is missing first: press Erase something, then paint"),
    (r"deblur needs a kernel: .*", "Give the blur's kernel first: Advanced, Damage, Kernel from a file"),
    (r"^the page: ", ""),
    (r"(\w+) has no '(strength|steps)'; it has .*", r"\1 has no \2: leave \2 empty under Advanced, Method"),
    (r"say --strip-metadata, or name the output \.tif", "save the picture as a TIFF first"),
    (r"not changed, --task scratches [^;]*does it", "not changed: press Fill scratches"),
    (r"to remove (noise of .*) anyway: --noise \S+", r"to remove \1 anyway, say how much under Advanced, Damage"),
    (r"not changed, --task jpeg does it", "not changed: choose the damage coarse JPEG"),
    (r"not changed, --task lowlight does it", "not changed: press Brighten"),
    (r"not changed, --task unfade does it", "not changed: press Freshen"),
    (r"--(\w[\w-]*)", r"\1"),
)  # fmt: skip


def damage(name: str) -> str:
    """Name of a task on the page: what people see, then the command line's name."""
    return f"{DAMAGES.get(name) or tasks.find(name).summary.partition(': --')[0]} ({name})"


def plain(error: object, folder: Path) -> str:
    """Rewrites a message in the page's words, in one line.

    Args:
        error: an error, or its text.
        folder: folder of the session; its files appear by name alone.
    """
    text = (str(error) or type(error).__name__).splitlines()[0]
    # A picture, a mask and a kernel each lie in a folder of their own.
    text = re.sub(re.escape(str(folder)) + r"(?:/\d+)?/?", "", text)
    for said, instead in _PLAIN:
        text = re.sub(said, instead, text)
    return text
