"""`pellucid compare`."""

from __future__ import annotations

import csv
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import PellucidError, UsageError
from ..support.plural import number_of
from .options import Json
from .output import FAILED, as_json, bar, complain, left_out, table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..bench.compare import MeasuredPair
    from ..bench.pairs import Pair
    from ..bench.summary import Cell
    from ..jobs import Left
    from ..metrics import Metric, SetMetric


def compare(
    restored: Annotated[Path, typer.Argument(help="Image, or folder of images.")],
    truth: Annotated[
        Path | None,
        typer.Argument(help="The clean image, or folder of images of the same names; metrics may need none."),
    ] = None,
    damaged: Annotated[
        Path | None, typer.Option("--damaged", help="Damaged images, likewise; adds the gain over them.")
    ] = None,
    samples: Annotated[bool, typer.Option("--samples", help="Match samples NAME-1, NAME-2 ... with NAME.")] = False,
    metric: Annotated[
        list[str] | None,
        typer.Option("--metric", "-m", help="psnr, ssim (default), lpips, niqe, loe, fid or FILE.py:NAME; repeatable."),
    ] = None,
    weights: Annotated[
        list[str] | None, typer.Option("--weights", metavar="METRIC=FILE", help="The network of a metric.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="METRIC.KEY=VALUE", help="An option of a metric's protocol.")
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV, one line an image, to stdout.")] = False,
    json: Json = False,
) -> int:
    """Measures how good restored images are, beside the clean ones.

    Images of two folders are matched by their paths; suffixes may differ. Images without a partner or of another size
    are named, and the others are measured.
    """
    if as_csv and json:
        raise UsageError("--csv and --json exclude each other")

    from ..bench import compare as measuring
    from ..bench.pairs import pairs
    from ..metrics import Metric
    from ..support.settings import assignments

    files = {name: Path(file) for name, file in assignments(weights or [], "--weights").items()}
    given = [name for name, place in (("truth", truth), ("input", damaged)) if place is not None]
    chosen = measuring.chosen(metric or [], files, assignments(settings or []), given)
    single = {name: one for name, one in chosen.items() if isinstance(one, Metric)}
    sets = {name: one for name, one in chosen.items() if not isinstance(one, Metric)}
    left: list[Left] = []
    paired, problems = pairs(restored, truth, damaged, samples=samples, left=left) if single else ([], [])
    if not single:
        left = _left(restored, samples) + ([] if truth is None else _left(truth))
    unread = left_out(left, json)
    for line in problems:
        complain(line)
    rows = _rows(paired, single, json)
    whole = {one.name: _of_sets(one, restored, truth, samples) for one in sets.values()}
    if json:
        as_json(_summary(rows, whole))
    elif as_csv:
        _print_csv(rows, list(single.values()), damaged is not None)
    else:
        _print(rows, whole, list(chosen.values()))
    return FAILED if unread or problems or None in whole.values() or any(row.errors for row in rows) else 0


def _left(folder: Path, samples: bool = False) -> list[Left]:
    """Lists the files of a folder that are not measured."""
    from ..bench.pairs import images_of

    left: list[Left] = []
    if folder.is_dir():
        images_of(folder, left, samples=samples)
    return left


def _rows(paired: Sequence[Pair], chosen: Mapping[str, Metric], json: bool) -> list[MeasuredPair]:
    from ..bench.compare import measured

    rows: list[MeasuredPair] = []
    with bar() as progress:
        task = progress.add_task("", total=len(paired))
        for number, pair in enumerate(paired, 1):
            progress.update(task, description=f"{number}/{len(paired)} {pair.name}")
            for row in measured(pair, chosen):
                rows.append(row)
                for error in row.errors:
                    complain(error)
                if json:
                    as_json(_record(row))
            progress.advance(task)
    return rows


def _of_sets(metric: SetMetric, restored: Path, truth: Path | None, samples: bool) -> float | None:
    """Measures two folders; None, after a line with the reason, if that fails."""
    from ..bench.compare import of_sets
    from ..bench.pairs import images_of

    if truth is None or not (restored.is_dir() and truth.is_dir()):
        raise UsageError(f"{metric.name} compares two folders of images")
    try:
        ours = images_of(restored, samples=samples)
        return of_sets(metric, list(ours.values()), list(images_of(truth).values()))
    except PellucidError as error:
        complain(f"{metric.name}: {error}")
        return None


def _record(row: MeasuredPair) -> dict[str, Any]:
    height, width = row.size or (None, None)
    return {
        "restored": row.pair.restored,
        "truth": row.pair.truth,
        "damaged": row.pair.damaged,
        "page": row.page,
        "width": width,
        "height": height,
        "figures": _numbers(row.figures),
        "before": _numbers(row.before),
        "error": "; ".join(row.errors) or None,
    }


def _summary(rows: Sequence[MeasuredPair], whole: Mapping[str, float | None]) -> dict[str, Any]:
    from ..bench.compare import infinite, means

    cells, gains = means(rows, lambda row: row.figures), means(rows, lambda row: row.gain)
    return {
        "images": len(rows),
        "mean": _numbers({name: cell.mean for name, cell in cells.items()}),
        "standard_error": _numbers({name: cell.error for name, cell in cells.items()}),
        "gain": _numbers({name: cell.mean for name, cell in gains.items()}),
        "infinite": infinite(rows),
        "sets": whole,
    }


def _numbers(figures: Mapping[str, float]) -> dict[str, float | None]:
    # JSON has no infinity, which is the PSNR of equal images.
    return {name: value if math.isfinite(value) else None for name, value in figures.items()}


def _print_csv(rows: Sequence[MeasuredPair], chosen: Sequence[Metric], compared: bool) -> None:
    """Every figure in full; means and the figures of whole folders are for those who read."""
    names = [metric.name for metric in chosen]
    lines = csv.writer(sys.stdout, lineterminator="\n")
    before = [f"{name}_before" for name in names] if compared else []
    lines.writerow(["image", "page", "width", "height", *names, *before])
    for row in rows:
        height, width = row.size or ("", "")
        figures = [row.figures.get(name, "") for name in names]
        earlier = [row.before.get(name, "") for name in names] if compared else []
        lines.writerow([row.pair.name, row.page or "", width, height, *figures, *earlier])


def _print(
    rows: Sequence[MeasuredPair], whole: Mapping[str, float | None], chosen: Sequence[Metric | SetMetric]
) -> None:
    from ..bench.compare import infinite, means

    names = [metric.name for metric in chosen if metric.name not in whole]
    if rows and names:
        lines = [["IMAGE", *(name.upper() for name in names)]]
        for row in rows:
            label = row.pair.name if row.page is None else f"{row.pair.name}, page {row.page}"
            lines.append([label, *(_shown(name, row.figures.get(name), row.gain.get(name)) for name in names)])
        if len(rows) > 1:
            cells, gains = means(rows, lambda row: row.figures), means(rows, lambda row: row.gain)
            lines.append([f"mean of {len(rows)}", *(_mean(name, cells.get(name), gains.get(name)) for name in names)])
        table(lines)
        for name, number in infinite(rows).items():
            if len(rows) > 1 and not math.isinf(cells[name].mean):
                many = number_of(number, "image")
                typer.echo(f"{name.upper()} of {many} is infinite (nothing differs): the mean is of the others")
    for name, value in whole.items():
        typer.echo(f"{name.upper()} of the two folders: {_shown(name, value)}")
    typer.echo("")
    for metric in chosen:
        typer.echo(_legend(metric))


def _shown(name: str, value: float | None, gain: float | None = None, error: float = math.nan) -> str:
    """Formats a figure, with its standard error and its change, if any."""
    from ..bench.summary import digits_of

    if value is None:
        return "-"
    digits = digits_of(name)
    text = f"{value:.{digits}f}" + (f" ±{error:.{digits}f}" if math.isfinite(error) else "")
    return text if gain is None else f"{text} ({gain:+.{digits}f})"


def _mean(name: str, cell: Cell | None, gain: Cell | None) -> str:
    return "-" if cell is None else _shown(name, cell.mean, None if gain is None else gain.mean, cell.error)


def _legend(metric: Metric | SetMetric) -> str:
    sides = {
        "truth": "beside the clean images",
        "input": "beside the damaged images",
        "nothing": "of the restored images alone: the clean ones are not looked at",
        "set": "of all images of both folders, whichever belong together",
    }
    unit = f" ({metric.unit})" if metric.unit else ""
    return f"{metric.name.upper()}{unit}: {metric.better} is better; {sides[getattr(metric, 'against', 'set')]}"
