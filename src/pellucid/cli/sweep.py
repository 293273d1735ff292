"""`pellucid bench sweep`: one method with every combination of some hyper-parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import tables
from .options import (
    Also,
    Backend,
    Device,
    FirstImages,
    Format,
    Label,
    LpipsTrunk,
    Means,
    Offline,
    Precision,
    Prior,
    Rows,
    Seed,
    Seeds,
    Weights,
)


def run(
    method: Annotated[str, typer.Argument(metavar="METHOD", help="One of the methods, or FILE.py:CLASS.")],
    over: Annotated[
        list[str], typer.Option("--over", metavar="KEY=A,B,C", help="Values of a hyper-parameter; repeatable.")
    ],
    damage: Annotated[
        list[str] | None,
        typer.Option("--damage", help="As for pellucid degrade, for a blind method; repeatable."),
    ] = None,
    task: Annotated[
        list[str] | None,
        typer.Option("--task", "-t", help="As for pellucid bench known, for a non-blind method; repeatable."),
    ] = None,
    sets: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A fixed hyper-parameter.")
    ] = None,
    also: Also = None,
    quick: Annotated[bool, typer.Option("--quick", help="Few evaluations, where nothing else is said.")] = False,
    data: Annotated[
        Path | None, typer.Option("--data", "-d", help="Folder of clean images (default: the package's, reduced).")
    ] = None,
    prior: Prior = "natural",
    output: Rows = Path("bench-runs"),
    images: FirstImages = None,
    seeds: Seeds = 1,
    seed: Seed = 0,
    weights: Weights = None,
    lpips: LpipsTrunk = None,
    shape: Format = "text",
    versus: Annotated[
        str | None, typer.Option("--versus", metavar="VALUES", help="Also the paired differences to KEY=VALUE.")
    ] = None,
    label: Label = None,
    offline: Offline = False,
    device: Device = None,
    backend: Backend = "torch",
    precision: Precision = "float32",
    json: Means = False,
) -> int:
    """Sweeps hyper-parameters of a method; rows that are in the folder are not computed again."""
    shape = tables.checked(shape, json)
    from ..bench import photographs
    from ..bench.choices import joined, sweep
    from ..bench.prior import load
    from ..bench.rows import computed
    from ..bench.run_table import Run
    from ..priors.backends import precision_of
    from ..support.settings import assignments

    own = sweep(method, assignments(over, "--over"), damage or (), assignments(sets or []), task or ())
    table = joined(own, also or [])
    chosen = photographs.bundled(images)
    if data is not None:
        chosen = photographs.of_source(table.data[0], data, None, images)
    loaded = load(prior, device, label=label, offline=offline, backend=backend, precision=precision)
    source = None if data is None else table.data[0]
    files = tables.networks(weights, lpips)
    job = Run(table, loaded, chosen, output, source, range(seed, seed + seeds), quick, weights=files)
    return tables.finish([job], computed(prior, precision_of(loaded)), shape, versus)
