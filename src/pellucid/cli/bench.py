"""`pellucid bench`: measurements."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import UsageError
from .output import as_json, table
from .restore import Device, Json, Seed

if TYPE_CHECKING:
    from ..priors import Prior

app = typer.Typer(help="Measures priors.")


@app.callback()
def _bench() -> None:
    """Without a callback typer would make the one command there is the whole group."""


@app.command("prior")
def prior(
    named: Annotated[
        str, typer.Argument(metavar="PRIOR", help="A prior's name or folder, or MODULE:OBJECT, any f(x, sigma) -> x0.")
    ],
    data: Annotated[
        Path | None, typer.Option("--data", "-d", help="Folder of clean images (default: the two of the demo).")
    ] = None,
    samples: Annotated[
        Path | None, typer.Option("--samples", help="Write a sheet of 16 images sampled from nothing but noise.")
    ] = None,
    seed: Seed = 0,
    device: Device = None,
    json: Json = False,
) -> None:
    """Measures what a prior knows: the noise it removes, in dB, and what a call costs."""
    from ..bench.prior import averages, cost, denoising, dream, read_images, sheet

    folder = Path(str(files("pellucid") / "assets")) if data is None else data
    what = _load(named, device)
    levels = denoising(what, read_images(folder, what.channels), seed=seed)
    price = cost(what)
    if samples is not None:
        sheet(dream(what, seed=seed)).save(samples)
    if json:
        return as_json(
            {"prior": named, "data": str(folder), "psnr": averages(levels), "images": levels, "cost": vars(price)}
        )
    names = list(levels[next(iter(levels))])
    rows = [("PSNR in dB at noise of", *(f"{level}/255" for level in levels))]
    rows += [(name, *(f"{levels[level][name]:.2f}" for level in levels)) for name in names]
    rows += [(f"mean of {len(names)}", *(f"{value:.2f}" for value in averages(levels).values()))]
    table(rows)
    typer.echo(
        f"\none call at {price.size}x{price.size}: {price.gflop:.1f} GFLOP, {price.seconds:.3f} s "
        f"on {price.threads} threads"
    )
    return None


def _load(named: str, device: str | None) -> Prior:
    """A prior by name or folder, or an object of an installed module."""
    from ..devices import find_device
    from ..priors import load_prior

    module, colon, attribute = named.partition(":")
    if not colon or Path(named).exists():
        return load_prior(named, find_device(device))
    return _imported(named, module, attribute)


def _imported(named: str, module: str, attribute: str) -> Prior:
    from importlib import import_module

    from ..noise import linear_ladder
    from ..priors import Prior, VENetwork

    try:
        found: Any = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(f"{named}: cannot be imported ({error})") from None
    return found if isinstance(found, Prior) else VENetwork(found, linear_ladder())
