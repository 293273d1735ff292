"""The figures of docs/tables.md and docs/gdp.md: `python -m benchmarks.papers PHOTOGRAPHS ALEXNET docs [--only NAME]`.

It measures the tables and writes them into the pages, between `<!-- NAME -->` and `<!-- end -->`. PHOTOGRAPHS are the
evaluation photographs, of 256x256 pixels; ALEXNET is the file of LPIPS's network.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Any, Literal

from torch import Tensor

from pellucid import degradations, methods
from pellucid.bench import cases, photographs, spec
from pellucid.bench.prior import middle, read_images
from pellucid.bench.report import Result
from pellucid.bench.run_table import Run, run
from pellucid.bench.spec import TableTask
from pellucid.maths.noise import Streams, derive_seed
from pellucid.maths.problem import Problem, to_model, to_unit
from pellucid.metrics import Lpips, psnr, ssim
from pellucid.operators import Blur, Operator
from pellucid.operators.blur import gaussian, uniform
from pellucid.priors import Prior, load_prior

SCHEDULES = ("none", "Langevin", "variance-preserving")
"""Rows of Table 5."""


def table_5(prior: Prior, alexnet: Path, corrections: int) -> dict[tuple[str, str], float]:
    """Table 5 of DreamClean on the package's photographs: means by method and metric.

    All but the corrections is the paper's: tau 300, gamma 0.05, reduction by 4, noise of 0.05.
    """
    table = spec.load("dreamclean-5")
    entrants = tuple(replace(one, settings=one.settings | {"corrections": corrections}) for one in table.methods)
    with TemporaryDirectory() as folder:
        weights = {"lpips": alexnet}
        table = replace(table, methods=entrants)
        job = Run(table, prior, photographs.bundled(), Path(folder), quick=True, weights=weights)
        lines = Result(job, "natural", list(run(job))).lines
    return {(line.method, metric): cell.mean for line in lines for metric, cell in line.cells.items()}


def _table_5(_: Path, alexnet: Path) -> str:
    prior = load_prior("natural", "cpu")
    (one, four), paper = (table_5(prior, alexnet, corrections) for corrections in (1, 4)), spec.load("dreamclean-5")
    theirs = {cell.method: cell.figures for cell in paper.published}
    return _markdown(
        ["noise of a correction", "PSNR", "LPIPS", "with M = 4: PSNR", "LPIPS", "the paper's PSNR", "LPIPS"],
        (
            [name, *(f"{found[name, 'psnr']:.2f} | {found[name, 'lpips']:.3f}" for found in (one, four)),
             f"{theirs[name]['psnr']:.2f} | {theirs[name]['lpips']:.2f}"]
            for name in SCHEDULES
        ),
    )  # fmt: skip


@dataclass(frozen=True)
class Input:
    """A degradation that a paper does not describe completely.

    Attributes:
        name: of the line.
        setting: what it is.
        task: as of a table; or the operator itself, with noise of 0.05.
        published: the papers' figures of the damaged image.
        metrics: those that are printed.
    """

    name: str
    setting: str
    task: TableTask | Operator
    published: str = ""
    metrics: tuple[str, ...] = ("psnr", "ssim", "lpips")


def _told(name: str, missing: Literal["mean", "black"] = "mean", noise: float = 0.05, **options: Any) -> TableTask:
    return TableTask("told", operator={"name": name, **options}, noise=noise, missing=missing)


INPUTS = (
    Input("super-resolution by 4", "means of 4x4, repeated; noise of 0.05 of [0, 1]", _told("reduce", factor=4),
          "21.85, .47, .58; faces 23.64, .51, .64"),
    Input("JPEG", "quality 10, 20, 40, grids shifted by 0, 3, 6",
          TableTask("jpeg", damage={"name": "multiple-jpeg"}), "faces 24.79, .69, .41; bedrooms 23.39, .68, .34"),
    Input("uniform deblurring", "DDRM's code, see below", _told("published-blur", kind="uniform"),
          "18.35, .26, .87; faces 19.21, .31, .86"),
    Input("the same", "the kernel as it is meant", Blur(uniform(9))),
    Input("Gaussian deblurring", "DDRM's code", _told("published-blur", kind="gaussian"),
          "17.79, .31, .71; faces 18.06, .34, .73"),
    Input("the same", "the kernel as it is meant", Blur(gaussian(10, 5))),
    Input("colorization", "mean of the colours", _told("grey"), "LPIPS .54; faces .61", ("lpips",)),
    Input("inpainting", "a black square of 112 pixels in the middle", _told("box-mask", "black", share=0.4375),
          "12.32, .46, .40; faces 12.18, .40, .42"),
    Input("the same", "half of all pixels at random, black", _told("random-mask", "black", share=0.5)),
    Input("the same", "half of all pixels at random, the mean of the others", _told("random-mask", share=0.5)),
    Input("the same", "20 % of all pixels at random, black", _told("random-mask", "black", share=0.2)),
)  # fmt: skip
"""What the damaged images of the papers' tables are compared with."""


def damaged(one: Input, images: Mapping[str, Tensor], alexnet: Path | None) -> dict[str, float]:
    """Mean figures of the damaged images."""
    perceived = None if alexnet is None else Lpips(alexnet)
    found: dict[str, list[float]] = {name: [] for name in one.metrics}
    for name, image in images.items():
        if isinstance(one.task, Operator):
            y = to_unit(one.task.A(image) + 0.1 * Streams.of(derive_seed(0, name), 1).like(image))
        else:
            y = cases.given(one.task, name, to_unit(image), None, 0, False).damaged
        for metric, measure in (("psnr", psnr), ("ssim", ssim), ("lpips", perceived)):
            if metric in found and measure is not None:
                found[metric].append(measure(y.clamp(0, 1), to_unit(image)).item())
    return {name: fmean(values) for name, values in found.items() if values}


def _inputs(folder: Path, alexnet: Path) -> str:
    images = read_images(folder)
    lines = []
    for one in INPUTS:
        found = damaged(one, images, alexnet)
        cell = ", ".join(f"{value:.2f}" for value in found.values())
        lines.append([one.name, one.setting, cell if len(found) > 1 else f"LPIPS {cell}", one.published])
    return _markdown(["task", "setting", "PSNR, SSIM, LPIPS here", "published baseline"], lines)


LIGHT: Mapping[str, Mapping[str, Any]] = {
    "light and map, no quality losses": {},
    "a map of every pixel, cell 1": {"cell": 1},
    "a map learnt ten times as fast": {"map_rate": 5 / 60},
    "no map": {"map_rate": 0.0},
    "light and map, exposure control (0.02, level 0.5)": {"bright": 0.02, "level": 0.5},
    "the same without the map": {"bright": 0.02, "level": 0.5, "map_rate": 0.0},
    "the same, pushed 2.4 times as hard": {"bright": 0.02, "level": 0.5, "map_rate": 0.0, "scale": 6.4e6},
}
"""Ways to let GDP light a photograph, in 60 steps."""

DARK = ("face_02", "bsds_123074")
"""Evaluation photographs that are darkened."""


def lit(prior: Prior, clean: Tensor, settings: Mapping[str, Any]) -> tuple[float, float]:
    """PSNR of a photograph in the dark, y = 0.25 x^1.5 with noise of 0.02, and as GDP lights it."""
    truth = to_unit(clean)
    y = degradations.get("low-light", exposure=0.25, gamma=1.5, noise=0.02)(truth, 0).clamp(0, 1)
    x = methods.get("gdp", **{"steps": 60, **settings})(Problem(to_model(y)), prior)
    return psnr(y, truth).item(), psnr(to_unit(x).clamp(0, 1), truth).item()


def _light(folder: Path, _: Path) -> str:
    images, prior = read_images(folder), load_prior("natural", "cpu")
    crops = [middle(next(image for name, image in images.items() if name.startswith(one)), 128) for one in DARK]
    found = {way: [lit(prior, crop, settings) for crop in crops] for way, settings in LIGHT.items()}
    before = [f"{dark:.2f} dB" for dark, _ in next(iter(found.values()))]
    lines = [[way, *(f"{after:.2f}" for _, after in values)] for way, values in found.items()]
    return _markdown(["", *DARK], [["dark", *before], *lines])


def _markdown(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = [f"| {' | '.join(line)} |".replace("|  |", "| |") for line in (head, *lines)]
    return "\n".join((rows[0], f"|{'---|' * (rows[0].count('|') - 1)}", *rows[1:]))


MADE: dict[str, tuple[str, Callable[[Path, Path], str]]] = {
    "table-5": ("tables.md", _table_5),
    "inputs": ("tables.md", _inputs),
    "light": ("gdp.md", _light),
}
"""By name the page, and what makes the table of the photographs' folder and of LPIPS's network."""


def put(text: str, name: str, table: str) -> str:
    """A page with the table between its marks.

    Raises:
        ValueError: the page has no such marks.
    """
    new, number = re.subn(
        rf"(?s)(<!-- {name} -->\n).*?(\n<!-- end -->)", lambda found: found[1] + table + found[2], text
    )
    if number != 1:
        raise ValueError(f"<!-- {name} --> and <!-- end --> are there {number} times, not once")
    return new


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition(": `")[0])
    parser.add_argument("photographs", type=Path)
    parser.add_argument("alexnet", type=Path)
    parser.add_argument("docs", type=Path, help="the folder of the pages")
    parser.add_argument("--only", nargs="+", choices=MADE, default=list(MADE))
    arguments = parser.parse_args()
    for name in arguments.only:
        page, make = MADE[name]
        table = make(arguments.photographs, arguments.alexnet)
        print(f"{name}\n{table}\n", flush=True)
        path = arguments.docs / page
        path.write_text(put(path.read_text(encoding="utf-8"), name, table), encoding="utf-8")


if __name__ == "__main__":
    main()
