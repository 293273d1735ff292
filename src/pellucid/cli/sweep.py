"""`pellucid bench sweep`: one method with every combination of some hyper-parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import tables
from .measuring import Shared, measuring
from .options import FirstImages, Rows


@measuring("crop")
def run(
    *,
    method: Annotated[str, typer.Argument(metavar="METHOD", help="One of the methods, or FILE.py:CLASS.")],
    over: Annotated[
        list[str], typer.Option("--over", metavar="KEY=A,B,C", help="Values of a hyper-parameter; repeatable.")
    ],
    data: Annotated[
        Path | None, typer.Option("--data", "-d", help="Folder of clean images (default: the package's, reduced).")
    ] = None,
    images: FirstImages = None,
    damage: Annotated[
        list[str] | None, typer.Option("--damage", help="As for pellucid degrade, for a blind method; repeatable.")
    ] = None,
    task: Annotated[
        list[str] | None,
        typer.Option("--task", "-t", help="As for pellucid bench known, for a non-blind method; repeatable."),
    ] = None,
    sets: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A fixed hyper-parameter.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Few evaluations, where nothing else is said.")] = False,
    output: Rows = Path("bench-runs"),
    versus: Annotated[
        str | None, typer.Option("--versus", metavar="VALUES", help="Also the paired differences to KEY=VALUE.")
    ] = None,
    shared: Shared,
) -> int:
    """Sweeps hyper-parameters of a method; rows that are in the folder are not computed again."""
    shape = shared.format
    from ..bench import photographs
    from ..bench.choices import joined, sweep
    from ..bench.rows import computed
    from ..bench.run_table import Run
    from ..priors.backends import precision_of
    from ..support.settings import assignments

    own = sweep(method, assignments(over, "--over"), damage or (), assignments(sets or []), task or ())
    table = joined(own, shared.also or [])
    chosen = photographs.bundled(images)
    if data is not None:
        chosen = photographs.of_source(table.data[0], data, None, images)
    loaded = shared.load()
    source = None if data is None else table.data[0]
    job = Run(table, loaded, chosen, output, source, shared.draws, quick, weights=shared.networks)
    return tables.finish([job], computed(shared.prior, precision_of(loaded)), shape, versus)
