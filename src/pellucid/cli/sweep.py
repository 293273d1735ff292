"""`pellucid bench sweep`: one method with every combination of some hyper-parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import unknown_name
from . import tables
from .options import Backend, Device, FirstImages, Format, Label, Offline, Precision, Prior, Rows, Seed


def run(
    method: Annotated[str, typer.Argument(metavar="METHOD", help="One of the blind methods, or FILE.py:CLASS.")],
    over: Annotated[
        list[str], typer.Option("--over", metavar="KEY=A,B,C", help="Values of a hyper-parameter; repeatable.")
    ],
    damage: Annotated[list[str], typer.Option("--damage", help="As for pellucid degrade, a task each; repeatable.")],
    sets: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A fixed hyper-parameter.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", "-d", help="Folder of clean images (default: the package's, reduced).")
    ] = None,
    prior: Prior = "natural",
    output: Rows = Path("bench-runs"),
    images: FirstImages = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Number of seeds of each, from --seed on.")] = 1,
    seed: Seed = 0,
    weights: Annotated[
        list[str] | None, typer.Option("--weights", metavar="NAME=FILE", help="The network of a metric.")
    ] = None,
    shape: Format = "text",
    versus: Annotated[
        str | None, typer.Option("--versus", metavar="VALUES", help="Also the paired differences to KEY=VALUE.")
    ] = None,
    label: Label = None,
    offline: Offline = False,
    device: Device = None,
    backend: Backend = "torch",
    precision: Precision = "float32",
) -> int:
    """Sweeps hyper-parameters of a method; rows in the folder are not computed again."""
    from ..bench.formats import FORMATS

    if shape not in FORMATS:
        raise unknown_name("format", shape, FORMATS)

    from ..bench import photographs
    from ..bench.choices import sweep
    from ..bench.prior import load
    from ..bench.rows import computed
    from ..bench.run_table import Run
    from ..priors.backends import precision_of
    from ..settings import assignments

    table = sweep(method, assignments(over, "--over"), damage, assignments(sets or []))
    chosen = photographs.bundled(images)
    if data is not None:
        chosen = photographs.of_source(table.data[0], data, None, images)
    files = {key: Path(file) for key, file in assignments(weights or [], "--weights").items()}
    loaded = load(prior, device, label=label, offline=offline, backend=backend, precision=precision)
    source = None if data is None else table.data[0]
    job = Run(table, loaded, chosen, output, source, range(seed, seed + seeds), weights=files)
    return tables.finish([job], computed(prior, precision_of(loaded)), shape, versus)
