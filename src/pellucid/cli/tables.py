"""`pellucid bench NAME`: the papers' tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from ..errors import UsageError, unknown_name
from .options import (
    Also,
    Backend,
    Device,
    FirstImages,
    Format,
    Json,
    Label,
    LpipsTrunk,
    Methods,
    Offline,
    OwnSettings,
    Precision,
    Prior,
    Rows,
    Seed,
    Seeds,
    Shard,
    Versus,
    Weights,
)
from .output import FAILED, INTERRUPTED, as_json, bar, complain, table, tell

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..bench.report import Result
    from ..bench.rows import Missing, Row
    from ..bench.run_table import Run
    from ..bench.summary import Line
    from ..priors import Prior as PriorModel

ALL, MEANS = "all", "means"
"""Name for every table; the format of --json where lines are means over the images."""


class TableCommands(TyperGroup):
    """A group of commands in which the name of a table is a command, too."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Takes a name that is no command for the name of a table."""
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            args = ["table", *args]
        return super().resolve_command(ctx, args)


def run(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help=f"A table's name, {ALL}, or FILE.toml; see pellucid bench --list.")
    ],
    data: Annotated[Path | None, typer.Option("--data", "-d", help="Folder of the table's data set.")] = None,
    prior: Prior = "natural",
    output: Rows = Path("bench-runs"),
    source: Annotated[
        str | None, typer.Option("--on", help="Name of the folder's data set in the table (default: its first).")
    ] = None,
    images: FirstImages = None,
    listed: Annotated[
        Path | None, typer.Option("--files", help="Text file with the names of the images to use, one a line.")
    ] = None,
    seeds: Seeds = 1,
    seed: Seed = 0,
    task: Annotated[list[str] | None, typer.Option("--task", "-t", help="One of the tasks; repeatable.")] = None,
    method: Methods = None,
    also: Also = None,
    weights: Weights = None,
    lpips: LpipsTrunk = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="The package's photographs, small, and few evaluations.")
    ] = False,
    shard: Shard = None,
    sets: OwnSettings = None,
    shape: Format = "text",
    versus: Versus = None,
    label: Label = None,
    offline: Offline = False,
    device: Device = None,
    backend: Backend = "torch",
    precision: Precision = "float32",
    json: Json = False,
) -> int:
    """Regenerates a paper's table and writes report.html.

    Rows in the folder are not computed again.
    """
    from ..bench import spec

    shape = "json" if checked(shape, json) == MEANS else shape
    spec.check(name, ALL)
    if quick == (data is not None):
        raise UsageError(
            "--quick has photographs of its own: leave --data out"
            if quick
            else f"{name} needs its images: --data FOLDER, or --quick for the package's photographs"
        )
    if name == ALL and not quick:
        raise UsageError("all tables have no data set in common: run them one by one, or all with --quick")

    from ..bench.prior import load
    from ..bench.rows import computed
    from ..jobs import Shard as Share
    from ..priors.backends import precision_of
    from ..support.settings import assignments

    files = networks(weights, lpips)
    loaded = load(prior, device, label=label, offline=offline, backend=backend, precision=precision)
    others = also or []
    share = None if shard is None else Share.parse(shard)
    choices = {"seeds": range(seed, seed + seeds), "tasks": task or (), "weights": files, "shard": share}
    choices["chosen"] = [*method, *others] if method else ()
    values = assignments(sets or [])
    jobs = [
        _job(one, others, values, loaded, output, data, source, listed, images, quick, **choices)
        for one in (spec.names() if name == ALL else (name,))
    ]
    return finish(jobs, computed(prior, precision_of(loaded)), shape, versus, shard)


def networks(weights: list[str] | None, lpips: Path | None) -> dict[str, Path]:
    """Files of networks by name, of --weights and --lpips."""
    from ..support.settings import assignments

    files = {key: Path(file) for key, file in assignments(weights or [], "--weights").items()}
    return files if lpips is None else files | {"lpips": lpips}


def checked(shape: str, json: bool = False) -> str:
    """A format that there is; `MEANS` for --json.

    Raises:
        UsageError: there is none of that name, or another beside --json.
    """
    from ..bench.formats import FORMATS

    if shape not in FORMATS:
        raise unknown_name("format", shape, FORMATS)
    if json and shape not in ("text", "json"):
        raise UsageError(f"--json and --format {shape} exclude each other")
    return MEANS if json and shape == "text" else shape


def finish(
    jobs: Sequence[Run],
    prior: str,
    shape: str,
    versus: str | None = None,
    shard: str | None = None,
    page: bool = True,
) -> int:
    """Runs tables, prints them and makes their page.

    Args:
        jobs: in order.
        prior: what to call it.
        shape: what `checked` gives.
        versus: label of the method that others are compared with.
        shard: the share that is done here, as it was typed; None for all.
        page: whether report.html is made.

    Raises:
        UsageError: no table has a method of the label, or see `run_table.Run.work`.
    """
    from ..bench import report
    from ..bench.run_table import DAMAGED
    from ..bench.summary import check_versus

    labels = {one.label: None for job in jobs for task in job.work() for one in (DAMAGED, *job.entrants(task))}
    check_versus(versus, labels)
    results: list[Result] = []
    stopped = False
    for job in jobs:
        rows, stopped = _rows(job)
        results.append(report.Result(job, prior, rows))
        if shard is None or shape in ("json", "csv", MEANS):
            # Of several tables not all have it, nor a run that was stopped.
            there = any(line.method == versus for line in results[-1].lines)
            _print(results[-1], shape, versus if there else None)
        else:
            tell(
                f"{job.table.name}: {len(rows)} rows of share {shard}; the same command without --shard makes the table"
            )
        if stopped:
            break
    if shard is None and page:
        path = jobs[0].folder / "report.html"
        report.write(results, path)
        tell(str(path))
    if stopped:
        tell("stopped: the same command continues")
        complain("interrupted")
        return INTERRUPTED
    return FAILED if any(getattr(row, "error", "") for result in results for row in result.rows) else 0


def listing(seconds: float | None, json: bool = False) -> None:
    """Prints every table with its requirements and cost; as JSON the full content of its file, without the cost."""
    from dataclasses import asdict

    from ..bench import spec
    from ..bench.costs import cost
    from ..bench.prior import cost as measured
    from ..priors import load_prior

    if json:
        for name in spec.names():
            as_json(asdict(spec.load(name)))
        return
    price = measured(load_prior("natural")).seconds if seconds is None else seconds
    rows = [["TABLE", "DATA", "PRIOR", "NFE", "HOURS", "TITLE"]]
    for name in spec.names():
        one = spec.load(name)
        total = cost(one, price)
        sources = ", ".join(source.name for source in one.data)
        priors = ", ".join(dict.fromkeys(source.prior for source in one.data))
        rows.append([name, sources, priors, str(total.nfe), f"{total.hours:.1f}", f"{one.title}"])
        lacking = {entrant.model: None for entrant in one.methods if entrant.model}
        if lacking:
            rows[-1][-1] += f" (networks: {', '.join(lacking)})"
    table(rows)
    typer.echo(
        f"\nNFE: evaluations an image, of all tasks and methods. HOURS: of all images, {price:.3g} s an evaluation "
        + ("with the embedded prior here at 256x256; --seconds says it of another" if seconds is None else "as given")
    )


def _job(
    name: str,
    also: list[str],
    sets: Mapping[str, str],
    prior: PriorModel,
    folder: Path,
    data: Path | None,
    source: str | None,
    listed: Path | None,
    images: int | None,
    quick: bool,
    **choices: Any,
) -> Run:
    """Prepares one table on the package's photographs or on a data set."""
    from ..bench import photographs, spec
    from ..bench.choices import joined, with_settings
    from ..bench.run_table import Run

    table = with_settings(joined(spec.load(name), also), sets)
    if data is None:
        if listed is not None or source is not None:
            raise UsageError("--files and --on are for a data set: give --data, too")
        return Run(table, prior, photographs.bundled(images), folder, None, quick=quick, **choices)
    on = table.source(source)
    chosen = photographs.of_source(on, data, listed, images)
    return Run(table, prior, chosen, folder, on, quick=quick, **choices)


def _rows(job: Run) -> tuple[list[Row | Missing], bool]:
    """Computes all rows of a table; also tells if somebody stopped it."""
    from ..bench.run_table import run

    rows: list[Row | Missing] = []
    with bar() as progress:
        task = progress.add_task(job.table.name, total=None)
        try:
            for row in run(job):
                rows.append(row)
                image = getattr(row, "image", "")
                progress.update(task, description=f"{job.table.name}: {row.task}, {row.method} {image}")
        except KeyboardInterrupt:
            return rows, True
    return rows, False


def _print(result: Result, shape: str, versus: str | None) -> None:
    from ..bench import summary

    own, compare = result.job.table, result.job.source is not None
    about = f"{own.name}: {own.title} ({own.paper})\n{result.what}"
    # What programs read has all columns, measured or not.
    metrics = own.metrics if shape in ("csv", MEANS) else result.metrics
    show(result.lines, result.rows, metrics, shape, versus, compare, about)
    if shape == "text":
        for verdict in summary.verdicts(own, result.lines):
            typer.echo(verdict.text)
        for why in result.missing:
            typer.echo(f"not measured: {why}")
        typer.echo("")


def show(
    lines: Sequence[Line],
    rows: Sequence[Row | Missing],
    metrics: Sequence[str],
    shape: str,
    versus: str | None = None,
    compare: bool = False,
    about: str = "",
) -> None:
    """Prints a table in a format.

    Args:
        lines: of it.
        rows: that they are of.
        metrics: the columns.
        shape: what `checked` gives.
        versus: label of the method that others are compared with.
        compare: see `bench.summary.text`.
        about: above the text; empty for no text, of which only the differences are left.
    """
    from ..bench import formats, summary

    if shape == MEANS:
        for line in formats.means(lines, metrics):
            as_json(line)
        return
    if shape != "text":
        typer.echo(formats.render(shape, lines, rows, metrics, versus, compare))
        return
    if about:
        typer.echo(about)
        table(summary.text(lines, metrics, compare))
    if versus is not None:
        table(summary.differences(lines, metrics, versus))
        typer.echo("* the 95 % interval of the paired differences leaves zero out")
