"""`pellucid demo`."""

from __future__ import annotations

import time
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import UsageError
from .output import as_json, bar
from .restore import Device, Json, Prior, Seed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL.Image import Image
    from torch import Tensor

_SCALE, _GAP, _LINE = 2, 16, 40


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Picture to write.")] = Path("pellucid-demo.png"),
    prior: Prior = "natural",
    seed: Seed = 0,
    device: Device = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the picture if it exists.")] = False,
    json: Json = False,
) -> None:
    """Damages two bundled photographs, restores them, and writes a picture of before and after."""
    if output.exists() and not overwrite:
        raise UsageError(f"{output}: exists; name another file with -o, or say --overwrite")

    from .. import images
    from ..api import Restorer
    from ..degradations import gaussian_noise, multiple_jpeg
    from ..metrics import psnr

    images.check_suffix(output)
    cat, coffee = (images.read(Path(str(files("pellucid") / "assets" / name))).tensor() for name in _PHOTOGRAPHS)
    cases = (
        ("JPEG at quality 10, 20 and 40, grids shifted", cat, multiple_jpeg(cat), 50),
        ("noise of 25/255", coffee, gaussian_noise(coffee, 25 / 255, seed).clamp(0, 1), 100),
    )
    start = time.perf_counter()
    rows, records = [], []
    with bar() as progress:
        for damage, clean, damaged, strength in cases:
            restorer = Restorer("dreamclean", prior, device=device, strength=strength)
            task = progress.add_task(damage, total=restorer.work(*clean.shape[-2:]))
            restored = restorer.run(damaged, seed, partial(progress.advance, task))
            before, after = psnr(damaged, clean).item(), psnr(restored.colours, clean).item()
            rows.append(
                (
                    (f"damaged: {damage}, {before:.2f} dB", damaged),
                    (f"restored, strength {strength}, {after:.2f} dB", restored.colours),
                    ("original", clean),
                )
            )
            records.append({"damage": damage, "strength": strength, "psnr_damaged": before, "psnr_restored": after})
    images.write(images.from_pil(_page(rows)), output)
    if json:
        as_json({"output": str(output), "prior": prior, "seed": seed, "cases": records})
    else:
        seconds = time.perf_counter() - start
        typer.echo(f"Two damaged photographs restored blindly in {seconds:.0f} s; before and after are in {output}")


_PHOTOGRAPHS = ("cat.png", "coffee.png")


def _page(rows: Sequence[Sequence[tuple[str, Tensor]]]) -> Image:
    """Images (1, 3, H, W) in [0, 1], each with a line of text above it, in rows."""
    from PIL import Image, ImageDraw, ImageFont

    from ..images import from_tensor, to_pil

    height, width = (_SCALE * side for side in rows[0][0][1].shape[-2:])
    cell = (width + _GAP, height + _GAP + _LINE)
    page = Image.new("RGB", (_GAP + len(rows[0]) * cell[0], _GAP + len(rows) * cell[1]), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(20)
    for j, row in enumerate(rows):
        for i, (label, image) in enumerate(row):
            left, top = _GAP + i * cell[0], _GAP + j * cell[1]
            draw.text((left, top), label, fill="black", font=font)
            page.paste(
                to_pil(from_tensor(image)).resize((width, height), Image.Resampling.BICUBIC), (left, top + _LINE)
            )
    return page
