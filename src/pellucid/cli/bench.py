"""`pellucid bench`: measurements."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..settings import imported
from .output import as_json, table
from .restore import Device, Json, Prior, Seed

if TYPE_CHECKING:
    from ..methods import Method
    from ..priors import Prior as PriorModel

app = typer.Typer(help="Measures priors and methods.")


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

    folder, what = _folder(data), _load(named, device)
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


@app.command("known")
def known(
    prior: Prior = "natural",
    data: Annotated[
        Path | None, typer.Option("--data", "-d", help="Folder of clean images (default: the two of the demo).")
    ] = None,
    images: Annotated[int | None, typer.Option("--images", help="How many of them, evenly spread.")] = None,
    task: Annotated[
        list[str] | None, typer.Option("--task", "-t", help="One of the degradations; may be said again.")
    ] = None,
    method: Annotated[
        list[str] | None, typer.Option("--method", "-m", help="One of the methods; may be said again.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer evaluations than the papers' defaults.")] = False,
    lpips: Annotated[Path | None, typer.Option("--lpips", help="AlexNet's weights (safetensors), for LPIPS.")] = None,
    seed: Seed = 0,
    device: Device = None,
    json: Json = False,
) -> None:
    """Compares the methods that are told the degradation, on damage made here."""
    from .. import methods as registry
    from ..bench import known as measurement
    from ..bench.prior import read_images
    from ..metrics import Lpips

    what = _load(prior, device)
    photographs = read_images(_folder(data), what.channels)
    names = list(photographs)[:: max(1, len(photographs) // (images or len(photographs)))][:images]
    defaults = {name: registry.get(name) for name in method or measurement.quick("")}

    def contestants(task: str) -> dict[str, Method]:
        tuned = measurement.quick(task) if quick else {}
        # Who is asked for by name takes part in everything.
        return {name: tuned.get(name, own) for name, own in defaults.items() if not quick or method or name in tuned}

    measure = None if lpips is None else Lpips(lpips)
    chosen = {name: photographs[name] for name in names}
    rows = measurement.compare(what, chosen, task or (), contestants, measure, seed)
    if not json:
        typer.echo(f"{len(names)} images, noise 0.05, {prior}")
        typer.echo(f"{'TASK':16}{'METHOD':18}{'PSNR':>7}{'SSIM':>7}{'LPIPS':>7}{'NFE':>6}{'SECONDS':>9}")
    for row in rows:
        if json:
            as_json(vars(row))
            continue
        perceived = "-" if row.lpips is None else f"{row.lpips:.3f}"
        quality = f"{row.psnr:7.2f}{row.ssim:7.3f}{perceived:>7}"
        typer.echo(f"{row.task:16}{row.method:18}{quality}{row.nfe:6}{row.seconds:9.1f}")


@app.command("conformance")
def conformance(seed: Seed = 0, json: Json = False) -> None:
    """Compares the methods with the true posterior of a Gaussian prior; prints a table in Markdown."""
    from ..bench.conformance import compare, markdown

    rows = list(compare(seed=seed))
    if json:
        for row in rows:
            as_json(vars(row))
    else:
        typer.echo(markdown(rows))


def _folder(data: Path | None) -> Path:
    return Path(str(files("pellucid") / "assets")) if data is None else data


def _load(named: str, device: str | None) -> PriorModel:
    """A prior by name or folder, or an object of an installed module."""
    from ..devices import find_device
    from ..noise import linear_ladder
    from ..priors import Prior as Model
    from ..priors import VENetwork, load_prior

    if ":" not in named or Path(named).exists():
        return load_prior(named, find_device(device))
    found = imported(named)
    return found if isinstance(found, Model) else VENetwork(found, linear_ladder())
