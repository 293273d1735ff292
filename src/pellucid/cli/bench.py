"""`pellucid bench`: measurements."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import UsageError
from ..support.plural import number_of
from ..support.settings import assignments
from . import sweep, tables
from .measuring import Shared, measuring
from .options import Json
from .output import as_json, table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ..bench.rows import Row
    from ..bench.spec import Table

app = typer.Typer(
    help="Measures priors and methods; regenerates the papers' tables, by their names.", cls=tables.TableCommands
)
app.command("table")(tables.run)
app.command("sweep")(sweep.run)


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
@measuring("prior", "method", "sets", "quick")
def prior(
    *,
    named: Annotated[
        str, typer.Argument(metavar="PRIOR", help="A prior's name, folder or file, owner/name, or MODULE:OBJECT.")
    ],
    samples: Annotated[
        Path | None, typer.Option("--samples", help="Write a sheet of 16 images sampled from nothing but noise.")
    ] = None,
    also: Annotated[
        list[str] | None, typer.Option("--also", metavar="PRIOR", help="Another prior beside it; repeatable.")
    ] = None,
    json: Json = False,
    shared: Shared,
) -> None:
    """Measures what a prior knows: the noise it removes, in dB, and what a call costs."""
    from ..bench import denoised, summary
    from ..bench.prior import cost, dream, sheet

    shape = tables.checked(shared.shape, json)
    if named in (others := also or ()) or len(set(others)) < len(others):
        raise UsageError("a prior is named twice")
    names = (named, *others)
    summary.check_versus(shared.versus, names)
    loaded = {one: shared.load(one) for one in names}
    channels = {one.channels for one in loaded.values()}
    if len(channels) > 1:
        raise UsageError("these priors are of images with different numbers of channels: measure them one by one")
    chosen = shared.photographs(channels.pop())
    rows = list(
        denoised.measured(
            loaded,
            chosen,
            seeds=shared.draws,
            lpips=shared.networks.get("lpips"),
            folder=shared.output,
            data=shared.source,
        )
    )
    lines = summary.of_rows(rows)
    metrics = [name for name in denoised.COLUMNS if name in lines[0].cells]
    if samples is not None:
        sheet(dream(loaded[named], seed=shared.seed)).save(samples)
    if shape not in ("text", tables.MEANS):
        return tables.show(lines, rows, metrics, shape, shared.versus)
    for one, own in loaded.items():
        price = cost(own)
        levels = {line.task: line for line in lines if line.method == one}
        if shape == tables.MEANS:
            psnr = {_level(task): line.cells["psnr"].mean for task, line in levels.items()}
            each = {_level(task): line.values["psnr"] for task, line in levels.items()}
            as_json({"prior": one, "data": str(shared.folder), "psnr": psnr, "images": each, "cost": vars(price)})
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
            f"on {number_of(price.threads, 'thread')}"
        )
    return tables.show(lines, rows, metrics, "text", shared.versus) if shape == "text" else None


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
@measuring()
def known(
    *,
    task: Annotated[
        list[str] | None,
        typer.Option(
            "--task",
            "-t",
            help="Degradation, such as sr4 or box-mask:0.25, or FILE.py:CLASS; repeatable (default: six usual ones).",
        ),
    ] = None,
    shared: Shared,
) -> int:
    """Compares non-blind methods, which are given the degradation, on simulated damage."""
    shape = shared.format
    from ..bench import known as measurement

    return _compared(measurement.table(task or (), shared.method or (), shared.quick), shape, shared)


@app.command("blind")
@measuring()
def blind(
    *,
    damage: Annotated[
        list[str] | None,
        typer.Option(
            "--damage",
            help="Damage, as for pellucid degrade, such as noise:25/255; repeatable (default: seven usual ones).",
        ),
    ] = None,
    shared: Shared,
) -> int:
    """Compares blind methods, which are given the damaged image alone, on simulated damage."""
    shape = shared.format
    from ..bench import blind as measurement

    return _compared(measurement.table(damage or (), shared.method or ()), shape, shared)


@app.command("photographs")
@measuring("label")
def photographs(
    *,
    row: Annotated[
        list[str] | None, typer.Option("--row", help="One of the kinds of damage (default: all); repeatable.")
    ] = None,
    seeds: Annotated[int, typer.Option("--draws", "--seeds", min=1, help="Draws of the damage for each image.")] = 1,
    shared: Shared,
) -> None:
    """Measures the default and the tasks on pictures as people have them, beside other tools; prints Markdown.

    Columns: PSNR, the mean and the least gain over the damaged picture, LPIPS, evaluations, seconds, the worst image.
    Peers take part if they are installed: bm3d, opencv-python, scikit-image with PyWavelets.
    """
    shape = shared.format
    from itertools import groupby

    from ..bench import everyday, kinds, summary
    from ..bench.choices import few_blind, of_methods
    from ..bench.rows import computed
    from ..maths.problem import to_unit
    from ..priors.backends import precision_of

    kinds.chosen(row or ())
    settings = of_methods(shared.names, assignments(shared.sets or []), *([few_blind] if shared.quick else []))
    what = shared.load()
    chosen = {name: to_unit(image) for name, image in shared.photographs(3).items()}
    job = everyday.Measurement(
        what,
        chosen,
        row or (),
        shared.names,
        range(seeds),
        shared.networks.get("lpips"),
        shared.seed,
        shared.output,
        shared.source,
        settings,
        shared.versus,
    )
    rows = everyday.measured(job)
    if shape not in ("text", tables.MEANS):
        return _show(list(rows), everyday.COLUMNS, shape, shared.versus)
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
    typer.echo(
        f"{number_of(len(chosen), 'image')}, {number_of(seeds, 'draw')}, {computed(shared.prior, precision_of(what))}\n"
    )
    for line in everyday.markdown(lines()):
        typer.echo(line)
    return tables.show(summary.of_rows(every), every, everyday.COLUMNS, "text", shared.versus)


@app.command("conformance")
@measuring("prior", "data", "images", "crop", "weights", "lpips", "label", "offline", "device", "backend", "precision")
def conformance(*, shared: Shared) -> None:
    """Compares methods with the true posterior of a Gaussian prior."""
    shape = shared.format
    from .. import methods as registry
    from ..bench import conformance as measurement
    from ..bench import summary
    from ..bench.choices import few_told, of_methods

    if shared.sets and not shared.names:
        raise UsageError("--set is of methods that are named: say --method, too")
    settings = of_methods(shared.names, assignments(shared.sets or []), *([few_told] if shared.quick else []))
    own = {name: registry.get(name, **one) for name, one in settings.items()}
    blind = next((name for name, one in own.items() if one.blind and not one.takes_operator), None)
    if blind is not None:
        raise UsageError(f"{blind} is blind: the posterior is of methods that are told the degradation")
    contestants = own if shared.method else measurement.METHODS | own
    summary.check_versus(shared.versus, contestants)
    rows = list(measurement.compare(contestants, seeds=shared.draws, folder=shared.output))
    lines = summary.of_rows(rows)
    if shape == "text":
        typer.echo(measurement.markdown(lines))
    tables.show(lines, rows, measurement.COLUMNS, shape, shared.versus)


def _show(rows: list[Row], metrics: Sequence[str], shape: str, versus: str | None) -> None:
    from ..bench import summary

    lines = summary.of_rows(rows)
    tables.show(lines, rows, [name for name in metrics if any(name in line.cells for line in lines)], shape, versus)


def _compared(own: Table, shape: str, shared: Shared) -> int:
    """Runs a table with a prior on photographs, in a folder or in one that is gone afterwards, and prints it."""
    from contextlib import ExitStack
    from tempfile import TemporaryDirectory

    from ..bench.choices import joined, with_settings
    from ..bench.photographs import in_memory
    from ..bench.rows import computed
    from ..bench.run_table import Run
    from ..priors.backends import precision_of

    own = with_settings(joined(own, shared.also or [], usual=True), assignments(shared.sets or []))
    prior = shared.load()
    photographs = shared.photographs(prior.channels)
    with ExitStack() as stack:
        job = Run(
            own,
            prior,
            in_memory(photographs),
            shared.output or Path(stack.enter_context(TemporaryDirectory())),
            None if shared.data is None else own.data[0],
            shared.draws,
            shared.quick,
            weights=shared.networks,
            redrawn=True,
            channels=prior.channels,
        )
        called = computed(shared.prior, precision_of(prior))
        return tables.finish([job], called, shape, shared.versus, page=shared.output is not None)
