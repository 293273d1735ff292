"""`pellucid bench`: measurements."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import UsageError, unknown_name
from ..settings import assignments, parse
from . import sweep, tables
from .options import Backend, Device, Json, Label, Methods, Offline, Precision, Prior, Seed
from .output import as_json, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor

    from ..bench.table import Row
    from ..methods import Method
    from ..metrics import Lpips

app = typer.Typer(
    help="Measures priors and methods; regenerates the papers' tables, by their names.", cls=tables.Tables
)
app.command("table")(tables.run)
app.command("sweep")(sweep.run)

# Options that several measurements share.
Data = Annotated[
    Path | None, typer.Option("--data", "-d", help="Folder of clean images (default: the two of the demo).")
]
Images = Annotated[int | None, typer.Option("--images", min=1, help="Number of images, evenly spread.")]
Crop = Annotated[int | None, typer.Option("--crop", min=1, help="Side of the middle crop that is used, in pixels.")]
Quick = Annotated[bool, typer.Option("--quick", help="Fewer evaluations than the papers' defaults.")]
Sets = Annotated[
    list[str] | None, typer.Option("--set", metavar="METHOD.KEY=VALUE", help="A hyper-parameter of one of the methods.")
]
LpipsFile = Annotated[Path | None, typer.Option("--lpips", help="AlexNet's weights (safetensors), for LPIPS.")]


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    listed: Annotated[bool, typer.Option("--list", help="List the papers' tables: needs and costs.")] = False,
    seconds: Annotated[
        float | None,
        typer.Option("--seconds", min=0, help="With --list: seconds of an evaluation (default: measured)."),
    ] = None,
    json: Json = False,
) -> None:
    if listed:
        tables.listing(seconds, json)
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command("prior")
def prior(
    named: Annotated[
        str, typer.Argument(metavar="PRIOR", help="A prior's name, folder or file, owner/name, or MODULE:OBJECT.")
    ],
    data: Data = None,
    samples: Annotated[
        Path | None, typer.Option("--samples", help="Write a sheet of 16 images sampled from nothing but noise.")
    ] = None,
    label: Label = None,
    offline: Offline = False,
    seed: Seed = 0,
    device: Device = None,
    backend: Backend = "torch",
    precision: Precision = "float32",
    json: Json = False,
) -> None:
    """Measures what a prior knows: the noise it removes, in dB, and what a call costs."""
    from ..bench.prior import averages, cost, denoising, dream, load, read_images, sheet

    folder = _folder(data)
    what = load(named, device, label=label, offline=offline, backend=backend, precision=precision)
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
    data: Data = None,
    images: Images = None,
    crop: Crop = None,
    task: Annotated[
        list[str] | None,
        typer.Option("--task", "-t", help="One of the degradations, or FILE.py:CLASS; repeatable."),
    ] = None,
    method: Methods = None,
    sets: Sets = None,
    quick: Quick = False,
    lpips: LpipsFile = None,
    label: Label = None,
    offline: Offline = False,
    seed: Seed = 0,
    device: Device = None,
    backend: Backend = "torch",
    precision: Precision = "float32",
    json: Json = False,
) -> None:
    """Compares the methods for known damage on simulated damage."""
    from .. import methods as registry
    from ..bench import known as measurement
    from ..bench.prior import load
    from ..bench.rows import computed
    from ..priors.backends import precision_of

    defaults = {name: registry.get(name) for name in method or measurement.quick("")}
    changes = _changes(sets, defaults)
    what = load(prior, device, label=label, offline=offline, backend=backend, precision=precision)
    chosen = _photographs(data, images, what.channels, crop)

    def contestants(task: str) -> dict[str, Method]:
        tuned = measurement.quick(task) if quick else {}
        # Who is asked for by name takes part in everything.
        taken = {name: tuned.get(name, own) for name, own in defaults.items() if not quick or method or name in tuned}
        return _changed(taken, changes)

    rows = measurement.compare(what, chosen, task or (), contestants, _measure(lpips), seed)
    _print(rows, f"{len(chosen)} images, noise 0.05, {computed(prior, precision_of(what))}", json)


@app.command("blind")
def blind(
    prior: Prior = "natural",
    data: Data = None,
    images: Images = None,
    crop: Crop = None,
    damage: Annotated[
        list[str] | None,
        typer.Option("--damage", help="One of the table's, or as for pellucid degrade; repeatable."),
    ] = None,
    method: Methods = None,
    quick: Quick = False,
    lpips: LpipsFile = None,
    label: Label = None,
    offline: Offline = False,
    seed: Seed = 0,
    device: Device = None,
    backend: Backend = "torch",
    precision: Precision = "float32",
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the table in Markdown.")] = False,
    json: Json = False,
) -> None:
    """Compares the blind methods on simulated damage."""
    if markdown and json:
        raise UsageError("--markdown and --json exclude each other")

    from ..bench import blind as measurement
    from ..bench.prior import load
    from ..bench.rows import computed
    from ..priors.backends import precision_of

    def contestants(damage: str) -> dict[str, Method]:
        return measurement.contestants(damage, method or (), quick)

    what = load(prior, device, label=label, offline=offline, backend=backend, precision=precision)
    chosen = _photographs(data, images, what.channels, crop)
    rows = measurement.compare(what, chosen, damage or (), contestants, _measure(lpips), seed)
    _print(rows, f"{len(chosen)} images, {computed(prior, precision_of(what))}", json, markdown)


@app.command("photographs")
def photographs(
    prior: Prior = "natural",
    data: Data = None,
    images: Images = None,
    crop: Crop = None,
    row: Annotated[
        list[str] | None, typer.Option("--row", help="One of the kinds of damage (default: all); repeatable.")
    ] = None,
    method: Methods = None,
    draws: Annotated[int, typer.Option("--draws", min=1, help="Draws of the damage for each image.")] = 1,
    lpips: LpipsFile = None,
    offline: Offline = False,
    seed: Seed = 0,
    device: Device = None,
    backend: Backend = "torch",
    precision: Precision = "float32",
    json: Json = False,
) -> None:
    """Measures the default and the tasks on pictures as people have them, beside other tools; prints Markdown.

    Columns: PSNR, the mean and the least gain over the damaged picture, LPIPS, evaluations, seconds, the worst image.
    Peers take part if they are installed: bm3d, opencv-python, scikit-image with PyWavelets.
    """
    from ..bench import everyday, kinds
    from ..bench.prior import load
    from ..bench.rows import computed
    from ..priors.backends import precision_of
    from ..problem import to_unit

    kinds.chosen(row or ())
    what = load(prior, device, offline=offline, backend=backend, precision=precision)
    chosen = {name: to_unit(image) for name, image in _photographs(data, images, 3, crop).items()}
    table = everyday.compare(what, chosen, row or (), method or (), draws, _measure(lpips), seed)
    if json:
        for figures in table:
            as_json(vars(figures))
        return
    typer.echo(f"{len(chosen)} images, {draws} draws, {computed(prior, precision_of(what))}\n")
    for line in everyday.markdown(table):
        typer.echo(line)


@app.command("conformance")
def conformance(method: Methods = None, sets: Sets = None, seed: Seed = 0, json: Json = False) -> None:
    """Compares the methods with the true posterior of a Gaussian prior; prints a table in Markdown."""
    from .. import methods as registry
    from ..bench.conformance import compare, markdown

    chosen = {name: registry.get(name) for name in method or ()}
    blind = next((name for name, one in chosen.items() if one.blind and not one.takes_operator), None)
    if blind is not None:
        raise UsageError(f"{blind} is blind: the posterior is of methods that are told the degradation")
    if sets and not chosen:
        raise UsageError("--set is of methods that are named: say --method, too")
    chosen = _changed(chosen, _changes(sets, chosen))
    rows = list(compare(chosen, seed=seed) if chosen else compare(seed=seed))
    if json:
        for row in rows:
            as_json(vars(row))
    else:
        typer.echo(markdown(rows))


def _changes(sets: list[str] | None, contestants: Mapping[str, Method]) -> dict[str, dict[str, Any]]:
    """Parses METHOD.KEY=VALUE texts to hyper-parameters by method."""
    changes: dict[str, dict[str, Any]] = {}
    for key, text in assignments(sets or []).items():
        name, dot, field = key.rpartition(".")
        if not dot:
            raise UsageError(f"--set takes METHOD.KEY=VALUE here, not {key}={text}")
        if name not in contestants:
            raise unknown_name("method of this comparison", name, contestants)
        changes.setdefault(name, {}).update(parse(type(contestants[name]), name, {field: text}))
    return changes


def _changed(contestants: Mapping[str, Method], changes: Mapping[str, dict[str, Any]]) -> dict[str, Method]:
    """Changes hyper-parameters of methods."""
    return {
        name: replace(own, **changes.get(name, {}))  # type: ignore[type-var]  # every method is a dataclass
        for name, own in contestants.items()
    }


def _photographs(data: Path | None, number: int | None, channels: int, crop: int | None) -> dict[str, Tensor]:
    """Selects some of a folder's images, evenly spread; all without a number."""
    from ..bench.prior import middle, read_images

    every = read_images(_folder(data), channels)
    names = list(every)[:: max(1, len(every) // (number or len(every)))][:number]
    return {name: middle(every[name], crop) for name in names}


def _measure(weights: Path | None) -> Lpips | None:
    from ..metrics import Lpips

    return None if weights is None else Lpips(weights)


def _print(rows: Iterator[Row], about: str, json: bool, markdown: bool = False) -> None:
    """Prints each row as soon as it is computed."""
    from ..bench import table

    if json:
        for row in rows:
            as_json(vars(row))
        return
    typer.echo(about)
    if markdown:
        typer.echo("")
    else:
        typer.echo(table.HEADING)
    for line in table.markdown(rows) if markdown else map(table.line, rows):
        typer.echo(line)


def _folder(data: Path | None) -> Path:
    return Path(str(files("pellucid") / "assets")) if data is None else data
