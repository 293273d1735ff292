"""`pellucid bench`: measurements."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import UsageError
from ..support.settings import assignments
from . import sweep, tables
from .options import (
    Also,
    Backend,
    Device,
    Format,
    Json,
    Kept,
    Label,
    LpipsTrunk,
    Means,
    Methods,
    Offline,
    OwnSettings,
    Precision,
    Prior,
    Seed,
    Seeds,
    Versus,
    Weights,
)
from .output import as_json, table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from torch import Tensor

    from ..bench.rows import Row
    from ..bench.spec import Table
    from ..priors import Prior as PriorModel

app = typer.Typer(
    help="Measures priors and methods; regenerates the papers' tables, by their names.", cls=tables.TableCommands
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
    images: Images = None,
    crop: Crop = None,
    samples: Annotated[
        Path | None, typer.Option("--samples", help="Write a sheet of 16 images sampled from nothing but noise.")
    ] = None,
    also: Annotated[
        list[str] | None, typer.Option("--also", metavar="PRIOR", help="Another prior beside it; repeatable.")
    ] = None,
    output: Kept = None,
    seeds: Seeds = 1,
    weights: Weights = None,
    lpips: LpipsTrunk = None,
    shape: Format = "text",
    versus: Versus = None,
    label: Label = None,
    offline: Offline = False,
    seed: Seed = 0,
    device: Device = None,
    backend: Backend = "torch",
    precision: Precision = "float32",
    json: Json = False,
) -> None:
    """Measures what a prior knows: the noise it removes, in dB, and what a call costs."""
    from ..bench import denoised, summary
    from ..bench.prior import cost, dream, load, sheet

    shape = tables.checked(shape, json)
    folder = _folder(data)
    if named in (others := also or ()) or len(set(others)) < len(others):
        raise UsageError("a prior is named twice")
    names = (named, *others)
    summary.check_versus(versus, names)
    how: dict[str, Any] = {"label": label, "offline": offline, "backend": backend, "precision": precision}
    loaded = {one: load(one, device, **how) for one in names}
    channels = {one.channels for one in loaded.values()}
    if len(channels) > 1:
        raise UsageError("these priors are of images with different numbers of channels: measure them one by one")
    chosen = _photographs(data, images, channels.pop(), crop)
    rows = list(
        denoised.measured(
            loaded,
            chosen,
            seeds=range(seed, seed + seeds),
            lpips=tables.networks(weights, lpips).get("lpips"),
            folder=output,
            data="bundled" if data is None else "folder",
        )
    )
    lines = summary.of_rows(rows)
    metrics = [name for name in denoised.COLUMNS if name in lines[0].cells]
    if samples is not None:
        sheet(dream(loaded[named], seed=seed)).save(samples)
    if shape not in ("text", tables.MEANS):
        return tables.show(lines, rows, metrics, shape, versus)
    for one, own in loaded.items():
        price = cost(own)
        levels = {line.task: line for line in lines if line.method == one}
        if shape == tables.MEANS:
            psnr = {_level(task): line.cells["psnr"].mean for task, line in levels.items()}
            each = {_level(task): line.values["psnr"] for task, line in levels.items()}
            as_json({"prior": one, "data": str(folder), "psnr": psnr, "images": each, "cost": vars(price)})
            continue
        if others:
            typer.echo(f"{one}:")
        head = [("PSNR in dB at noise of", *(task.removeprefix("noise ") for task in levels))]
        body = [(name, *(f"{line.values['psnr'][name]:.2f}" for line in levels.values())) for name in chosen]
        means = [(f"mean of {len(chosen)}", *(summary.show(line, "psnr", False) for line in levels.values()))]
        means += [("LPIPS", *(summary.show(line, "lpips", False) for line in levels.values()))] * ("lpips" in metrics)
        table(head + body + means + _published(chosen, levels))
        typer.echo(
            f"\none call at {price.size}x{price.size}: {price.gflop:.1f} GFLOP, {price.seconds:.3f} s "
            f"on {price.threads} threads"
        )
    return tables.show(lines, rows, metrics, "text", versus) if shape == "text" else None


def _published(images: Iterable[str], tasks: Iterable[str]) -> list[tuple[str, ...]]:
    """The rows of other denoisers on a standard set, at the levels of the tasks; none for other images."""
    from ..bench.denoisers import standard

    known = standard(images)
    if known is None:
        return []
    levels = [int(_level(task)) for task in tasks]
    return [
        (f"{name}, published", *(f"{psnr[level]:.2f}" if level in psnr else "-" for level in levels))
        for name, psnr in known.psnr.items()
    ]


def _level(task: str) -> str:
    return task.removeprefix("noise ").removesuffix("/255")


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
    also: Also = None,
    sets: OwnSettings = None,
    quick: Quick = False,
    output: Kept = None,
    seeds: Seeds = 1,
    weights: Weights = None,
    lpips: LpipsTrunk = None,
    shape: Format = "text",
    versus: Versus = None,
    label: Label = None,
    offline: Offline = False,
    seed: Seed = 0,
    device: Device = None,
    backend: Backend = "torch",
    precision: Precision = "float32",
    json: Means = False,
) -> int:
    """Compares the methods that are told the degradation, on damage made here."""
    shape = tables.checked(shape, json)
    from ..bench import known as measurement

    own = _asked(measurement.table(task or (), method or (), quick), also, sets)
    how = {"label": label, "offline": offline, "backend": backend, "precision": precision}
    return _compared(
        own, prior, data, images, crop, output, range(seed, seed + seeds), quick, weights, lpips, shape, versus, device,
        how,
    )  # fmt: skip


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
    also: Also = None,
    sets: OwnSettings = None,
    quick: Quick = False,
    output: Kept = None,
    seeds: Seeds = 1,
    weights: Weights = None,
    lpips: LpipsTrunk = None,
    shape: Format = "text",
    versus: Versus = None,
    label: Label = None,
    offline: Offline = False,
    seed: Seed = 0,
    device: Device = None,
    backend: Backend = "torch",
    precision: Precision = "float32",
    json: Means = False,
) -> int:
    """Compares the methods that are told nothing, on damage made here."""
    shape = tables.checked(shape, json)
    from ..bench import blind as measurement

    own = _asked(measurement.table(damage or (), method or ()), also, sets)
    how = {"label": label, "offline": offline, "backend": backend, "precision": precision}
    return _compared(
        own, prior, data, images, crop, output, range(seed, seed + seeds), quick, weights, lpips, shape, versus, device,
        how,
    )  # fmt: skip


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
    also: Also = None,
    sets: OwnSettings = None,
    quick: Quick = False,
    output: Kept = None,
    draws: Annotated[int, typer.Option("--draws", "--seeds", min=1, help="Draws of the damage for each image.")] = 1,
    weights: Weights = None,
    lpips: LpipsTrunk = None,
    shape: Format = "text",
    versus: Versus = None,
    offline: Offline = False,
    seed: Seed = 0,
    device: Device = None,
    backend: Backend = "torch",
    precision: Precision = "float32",
    json: Means = False,
) -> None:
    """Measures the default and the tasks on pictures as people have them, beside other tools; prints Markdown.

    Columns: PSNR, the mean and the least gain over the damaged picture, LPIPS, evaluations, seconds, the worst image.
    Peers take part if they are installed: bm3d, opencv-python, scikit-image with PyWavelets.
    """
    shape = tables.checked(shape, json)
    from itertools import groupby

    from ..bench import everyday, kinds, summary
    from ..bench.choices import few_blind, of_methods
    from ..bench.rows import computed
    from ..maths.problem import to_unit
    from ..priors.backends import precision_of

    kinds.chosen(row or ())
    names = list(dict.fromkeys([*(method or ()), *(also or ())]))
    settings = of_methods(names, assignments(sets or []), *([few_blind] if quick else []))
    what = _load(prior, device, offline=offline, backend=backend, precision=precision)
    chosen = {name: to_unit(image) for name, image in _photographs(data, images, 3, crop).items()}
    job = everyday.Measurement(
        what,
        chosen,
        row or (),
        names,
        range(draws),
        tables.networks(weights, lpips).get("lpips"),
        seed,
        output,
        "bundled" if data is None else "folder",
        settings,
        versus,
    )
    rows = everyday.measured(job)
    if shape not in ("text", tables.MEANS):
        return _show(list(rows), everyday.COLUMNS, shape, versus)
    every = []

    def lines() -> Iterator[everyday.Figures]:
        # Each as soon as it is there: a row may take minutes.
        for _, group in groupby(rows, lambda one: (one.task, one.method)):
            every.extend(own := list(group))
            yield everyday.figures(own)

    if shape == tables.MEANS:
        for figures in lines():
            as_json(vars(figures))
        return None
    typer.echo(f"{len(chosen)} images, {draws} draws, {computed(prior, precision_of(what))}\n")
    for line in everyday.markdown(lines()):
        typer.echo(line)
    return tables.show(summary.of_rows(every), every, everyday.COLUMNS, "text", versus)


@app.command("conformance")
def conformance(
    method: Methods = None,
    also: Also = None,
    sets: OwnSettings = None,
    quick: Quick = False,
    output: Kept = None,
    seeds: Seeds = 1,
    shape: Format = "text",
    versus: Versus = None,
    seed: Seed = 0,
    json: Means = False,
) -> None:
    """Compares methods with the true posterior of a Gaussian prior."""
    shape = tables.checked(shape, json)
    from .. import methods as registry
    from ..bench import conformance as measurement
    from ..bench import summary
    from ..bench.choices import few_told, of_methods

    named = list(dict.fromkeys([*(method or ()), *(also or ())]))
    if sets and not named:
        raise UsageError("--set is of methods that are named: say --method, too")
    settings = of_methods(named, assignments(sets or []), *([few_told] if quick else []))
    own = {name: registry.get(name, **one) for name, one in settings.items()}
    blind = next((name for name, one in own.items() if one.blind and not one.takes_operator), None)
    if blind is not None:
        raise UsageError(f"{blind} is blind: the posterior is of methods that are told the degradation")
    contestants = own if method else measurement.METHODS | own
    summary.check_versus(versus, contestants)
    rows = list(measurement.compare(contestants, seeds=range(seed, seed + seeds), folder=output))
    lines = summary.of_rows(rows)
    if shape == "text":
        typer.echo(measurement.markdown(lines))
    tables.show(lines, rows, measurement.COLUMNS, shape, versus)


def _show(rows: list[Row], metrics: Sequence[str], shape: str, versus: str | None) -> None:
    from ..bench import summary

    lines = summary.of_rows(rows)
    tables.show(lines, rows, [name for name in metrics if any(name in line.cells for line in lines)], shape, versus)


def _asked(own: Table, also: list[str] | None, sets: list[str] | None) -> Table:
    """A table with other methods and other hyper-parameters."""
    from ..bench.choices import joined, with_settings

    return with_settings(joined(own, also or [], usual=True), assignments(sets or []))


def _compared(
    own: Table,
    named: str,
    data: Path | None,
    images: int | None,
    crop: int | None,
    output: Path | None,
    seeds: Sequence[int],
    quick: bool,
    weights: list[str] | None,
    lpips: Path | None,
    shape: str,
    versus: str | None,
    device: str | None,
    how: Mapping[str, Any],
) -> int:
    """Runs a table with a prior on photographs, in a folder or in one that is gone afterwards, and prints it."""
    from contextlib import ExitStack
    from tempfile import TemporaryDirectory

    from ..bench.photographs import in_memory
    from ..bench.rows import computed
    from ..bench.run_table import Run
    from ..priors.backends import precision_of

    prior = _load(named, device, **how)
    photographs = _photographs(data, images, prior.channels, crop)
    networks = tables.networks(weights, lpips)
    with ExitStack() as stack:
        job = Run(
            own,
            prior,
            in_memory(photographs),
            output or Path(stack.enter_context(TemporaryDirectory())),
            None if data is None else own.data[0],
            seeds,
            quick,
            weights=networks,
            redrawn=True,
            channels=prior.channels,
        )
        return tables.finish([job], computed(named, precision_of(prior)), shape, versus, page=output is not None)


def _load(named: str, device: str | None, **options: Any) -> PriorModel:
    from ..bench.prior import load

    return load(named, device, **options)


def _photographs(data: Path | None, number: int | None, channels: int, crop: int | None) -> dict[str, Tensor]:
    """Selects some of a folder's images, evenly spread; all without a number."""
    from ..bench.prior import middle, read_images

    every = read_images(_folder(data), channels)
    names = list(every)[:: max(1, len(every) // (number or len(every)))][:number]
    return {name: middle(every[name], crop) for name in names}


def _folder(data: Path | None) -> Path:
    return Path(str(files("pellucid") / "assets")) if data is None else data
