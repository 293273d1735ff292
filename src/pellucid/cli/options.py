"""Options that several commands share, with the same name and text everywhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from ..errors import UsageError
from ..support.ranges import check_seed
from ..support.settings import number


def _seed(value: int) -> int:
    """Rejects a bad seed at once rather than for every image."""
    check_seed(value)
    return value


def named(text: str) -> Path:
    """Checks the name of a file or folder. An empty one would mean the current folder, and all images below it."""
    if not text:
        raise typer.BadParameter("the name is empty: is a variable of the shell not set?")
    if "\0" in text:
        raise typer.BadParameter("the name has a zero character, as that of no file has")
    return Path(text)


def typed(text: str) -> float:
    """Reads a number, which may be a fraction such as 10/255."""
    try:
        return number(text)
    except UsageError as error:
        raise typer.BadParameter(str(error)) from None


def whole(text: str | int) -> int:
    """Reads a whole number; a default is one already."""
    # Not int alone, which takes 1_0 and the digits of every script, and fails at thousands of digits.
    if isinstance(text, str) and not re.fullmatch(r"\s*[+-]?[0-9]{1,100}\s*", text, re.ASCII):
        raise typer.BadParameter(f"{text[:40]!r} is no whole number")
    return int(text)


typed.__name__ = "float"
whole.__name__ = "int"
named.__name__ = "path"  # Help prints these as the kinds of the values.

Prior = Annotated[
    str,
    typer.Option(
        "--prior", "-p", help="An embedded prior's name, its folder or file, owner/name, MODULE:OBJECT, FILE.py:OBJECT."
    ),
]
Label = Annotated[
    int | None, typer.Option("--label", parser=whole, help="Class of the images, for a class-conditional prior.")
]
Offline = Annotated[bool, typer.Option("--offline", help="Use only cached models of the hub (owner/name).")]
Seed = Annotated[int, typer.Option("--seed", parser=whole, callback=_seed, help="The same seed gives the same bytes.")]
Shard = Annotated[
    str | None,
    typer.Option("--shard", metavar="I/N", help="Process share I of N, such as 1/8; run the other shares elsewhere."),
]
Device = Annotated[str | None, typer.Option("--device", help="cpu, cuda, cuda:1 ...; a GPU if there is one.")]
Backend = Annotated[
    str,
    typer.Option("--backend", help="Backend of the network: auto, torch, compile or openvino (faster on a CPU)."),
]
Precision = Annotated[
    str,
    typer.Option(
        "--precision", help="Precision of the network: auto (the fastest here), float32 (exact), bfloat16 or float16."
    ),
]
Methods = Annotated[
    list[str] | None,
    typer.Option("--method", "-m", help="Method to measure, or FILE.py:CLASS; repeatable (default: the usual ones)."),
]
Settings = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A hyper-parameter.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, one line a result, to stdout.")]
FirstImages = Annotated[int | None, typer.Option("--images", min=1, help="Number of images, the first ones.")]
# Of every measurement and table.
Rows = Annotated[
    Path,
    typer.Option(
        "--output", "-o", help="Folder for rows, pictures and report.html; rows that it has are not computed again."
    ),
]
Kept = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", help="Folder for rows; those that it has are not computed again (default: none are kept)."
    ),
]
Seeds = Annotated[int, typer.Option("--seeds", min=1, help="Number of seeds, from --seed on; an image has their mean.")]
Also = Annotated[
    list[str] | None,
    typer.Option("--also", metavar="METHOD", help="Another method, or FILE.py:CLASS, beside those that take part."),
]
OwnSettings = Annotated[
    list[str] | None, typer.Option("--set", metavar="METHOD.KEY=VALUE", help="A hyper-parameter of one of the methods.")
]
Weights = Annotated[
    list[str] | None,
    typer.Option("--weights", metavar="NAME=FILE", help="The network of a metric or of a compared method."),
]
LpipsTrunk = Annotated[Path | None, typer.Option("--lpips", help="As --weights lpips=FILE: AlexNet's, for LPIPS.")]
Versus = Annotated[
    str | None, typer.Option("--versus", metavar="METHOD", help="Also the paired differences to this one.")
]
Format = Annotated[str, typer.Option("--format", help="text, markdown, latex, csv (each image) or json (each image).")]
Means = Annotated[bool, typer.Option("--json", help="Print the table's lines as JSON (each image: --format json).")]
