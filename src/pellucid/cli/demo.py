"""`pellucid demo`."""

from __future__ import annotations

import time
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import UsageError
from .options import Device, Json, Offline, Prior, Seed
from .output import as_json, bar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL.Image import Image
    from torch import Tensor

_PHOTOGRAPHS = ("cat.png", "coffee.png")
_SCALE, _GAP, _LINE = 2, 16, 36


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Picture to write.")] = Path("pellucid-demo.png"),
    prior: Prior = "natural",
    offline: Offline = False,
    seed: Seed = 0,
    device: Device = None,
    samples: Annotated[
        Path | None,
        typer.Option("--samples", help="Write small damaged pictures into this folder instead, to try commands on."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the picture if it exists.")] = False,
    json: Json = False,
) -> None:
    """Damages two bundled photographs, restores them, and writes a picture of before and after."""
    if samples is not None:
        _samples(samples, overwrite, json)
        return
    if output.exists() and not overwrite:
        raise UsageError(f"{output}: exists; name another file with -o, or say --overwrite")

    from .. import images
    from ..api import Restorer
    from ..degradations import gaussian_noise, multiple_jpeg
    from ..metrics import psnr

    images.check_suffix(output)
    cat, coffee = (images.read(Path(str(files("pellucid") / "assets" / name))).tensor() for name in _PHOTOGRAPHS)
    noisy = gaussian_noise(coffee, 25 / 255, seed).clamp(0, 1)
    # Corrections without fresh noise go to the most probable image: calmer than the paper's, which invent texture.
    calm = {"corrections": 3, "schedule": "none"}
    cases: tuple[tuple[str, Tensor, Tensor, dict[str, Any]], ...] = (
        ("JPEG, three times", cat, multiple_jpeg(cat), {"strength": 50, **calm}),
        ("noise of 25/255", coffee, noisy, {"strength": 70, **calm}),
    )
    start = time.perf_counter()
    rows, records = [], []
    with bar() as progress:
        for damage, clean, damaged, settings in cases:
            restorer = Restorer("dreamclean", prior, device=device, offline=offline, **settings)
            task = progress.add_task(damage, total=restorer.work(*clean.shape[-2:]))
            restored = restorer.run(damaged, seed, partial(progress.advance, task)).colours
            before, after = psnr(damaged, clean).item(), psnr(restored, clean).item()
            labels = (f"{damage}: {before:.2f} dB", f"restored: {after:.2f} dB", "original")
            rows.append(list(zip(labels, (damaged, restored, clean), strict=True)))
            records.append({"damage": damage, **settings, "psnr_damaged": before, "psnr_restored": after})
    images.write(images.from_pil(_page(rows)), output)
    if json:
        as_json({"output": str(output), "prior": prior, "seed": seed, "cases": records})
    else:
        seconds = time.perf_counter() - start
        typer.echo(f"Two damaged photographs restored blindly in {seconds:.0f} s; before and after are in {output}")


def _samples(folder: Path, overwrite: bool, json: bool) -> None:
    """Writes a noisy picture, a small one, one with text over it, and the mask of the text."""
    import torch

    from .. import images
    from ..degradations import gaussian_noise, text_mask
    from ..operators import AveragePool

    names = [f"{name}.png" for name in ("noisy", "small", "written", "mask")]
    if not overwrite and (there := [name for name in names if (folder / name).exists()]):
        raise UsageError(f"{folder / there[0]}: exists; name another folder, or say --overwrite")
    cat, coffee = (
        images.read(Path(str(files("pellucid") / "assets" / name))).tensor()[..., 64:192, 64:192]
        for name in _PHOTOGRAPHS
    )
    covered = (text_mask(torch.ones_like(coffee)) == 0).float()
    pictures = (gaussian_noise(cat, 25 / 255, 0), AveragePool(2).A(coffee), text_mask(coffee), covered)
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in zip(names, pictures, strict=True):
        pixels = images.to_pil(images.from_tensor(picture.clamp(0, 1)))
        images.write(images.from_pil(pixels), folder / name)
    if json:
        as_json({"output": str(folder), "files": names})
    else:
        typer.echo(f"{folder}: {', '.join(names)}")


def _page(rows: Sequence[Sequence[tuple[str, Tensor]]]) -> Image:
    """Lays out images (1, 3, H, W) in [0, 1] in rows, each with a line of text above it."""
    from PIL import Image, ImageDraw, ImageFont

    from ..images import from_tensor, to_pil

    height, width = (_SCALE * side for side in rows[0][0][1].shape[-2:])
    cell = (width + _GAP, height + _GAP + _LINE)
    page = Image.new("RGB", (_GAP + len(rows[0]) * cell[0], _GAP + len(rows) * cell[1]), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(24)
    for j, row in enumerate(rows):
        for i, (label, image) in enumerate(row):
            left, top = _GAP + i * cell[0], _GAP + j * cell[1]
            draw.text((left, top), label, fill="black", font=font)
            page.paste(
                to_pil(from_tensor(image)).resize((width, height), Image.Resampling.BICUBIC), (left, top + _LINE)
            )
    return page
