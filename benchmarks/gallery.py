"""Pictures of the documentation, damaged and restored: `python -m benchmarks.gallery docs [--four]`.

It writes `docs/gallery.md`, its pictures in `docs/gallery/`, and `docs/four.jpg`, the picture of the README. The
photographs are those of the package, in the public domain. Each is damaged, saved, and restored by the command beneath
it. The diagnosis is the note that this command prints.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from pellucid import degradations, images
from pellucid.maths.problem import to_model, to_unit
from pellucid.metrics import psnr
from pellucid.operators import Bicubic
from pellucid.restoration import Recipe
from pellucid.restoration.restorer import Restorer

ASSETS = Path(str(files("pellucid") / "assets"))


@dataclass(frozen=True)
class Case:
    """A damaged photograph and its repair.

    Attributes:
        title: heading in the gallery.
        photograph: name of a file of the package.
        damage: as `pellucid degrade --damage` takes it; "small" is a reduction by 2.
        task: the task, None for the automatic choice.
        note: a sentence beneath the pictures.
    """

    title: str
    photograph: str
    damage: str
    task: str | None = None
    note: str = ""


CASES = (
    Case("White noise", "cat", "noise:0.1"),
    Case("Film grain", "coffee", "grain:0.06"),
    Case("Noise of a sensor in poor light", "coffee", "poisson-gaussian:30"),
    Case("Blotches of colour", "cat", "chroma-noise:0.08"),
    Case("JPEG, quality 10", "coffee", "jpeg:10"),
    Case("Noise, then JPEG", "cat", "noise:0.08|jpeg:85"),
    Case("Out of focus", "coffee", "disk-blur:3"),
    Case("Camera shake", "cat", "motion-blur:11"),
    Case("Exposed too briefly", "coffee", "low-light:0.25", "lowlight"),
    Case("Too small", "cat", "small", "enlarge", "PSNR before is that of a bicubic enlargement."),
    Case("Writing over the picture", "coffee", "text-mask", "inpaint", "The mask names the pixels that are missing."),
    Case("Without colours", "cat", "grey", "colorize", "Colours are plausible, not the original's."),
)
FOUR = ("White noise", "Out of focus", "Exposed too briefly", "Writing over the picture")


@dataclass(frozen=True)
class Done:
    """A case with its pictures, (1, 3, H, W) in [0, 1], and what the restoration reported."""

    case: Case
    before: Tensor
    after: Tensor
    clean: Tensor
    note: str

    @property
    def command(self) -> str:
        """The command line that gives `after`."""
        extra = {"inpaint": " --mask mask.png", "enlarge": " --by 2"}.get(self.case.task or "", "")
        task = f" --task {self.case.task}{extra}" if self.case.task else ""
        return f"pellucid restore damaged.png -o restored.png{task}"


def repair(case: Case, folder: Path, prior: str = "natural", side: int | None = None) -> Done:
    """Damages, saves and restores one photograph.

    Args:
        case: the damage and its task.
        folder: for the damaged file, and the mask where there is one.
        prior: as `--prior` takes it.
        side: pixels of the middle that are used; None for all.
    """
    clean = images.read(ASSETS / f"{case.photograph}.png").tensor()
    if side is not None:
        top, left = ((size - side) // 2 for size in clean.shape[-2:])
        clean = clean[..., top : top + side, left : left + side]
    small = case.damage == "small"
    damaged = to_unit(Bicubic(2).A(to_model(clean))) if small else degradations.get(case.damage)(clean, 0)
    path, mask = folder / "damaged.png", folder / "mask.png"
    images.write(images.from_pil(images.to_pil(images.from_tensor(damaged.clamp(0, 1)))), path)
    options: dict[str, object] = {}
    if case.task == "inpaint":
        missing = (degradations.get(case.damage)(torch.ones_like(clean), 0) == 0).all(1)[0]
        Image.fromarray((missing.numpy() * 255).astype("uint8")).save(mask)
        options["mask"] = mask
    elif case.task == "enlarge":
        options["by"] = 2
    recipe = Recipe.of(None, prior, task=case.task, **options)  # type: ignore[arg-type]
    restorer: Restorer = recipe.restorer()
    whole, result = restorer.picture(images.read(path), 0, marked=False)
    before = images.read(path).tensor()
    if small:
        large = images.to_pil(images.read(path)).resize((clean.shape[-1], clean.shape[-2]), Image.Resampling.BICUBIC)
        before = images.from_pil(large).tensor()
    return Done(case, before, whole.tensor(), clean, "; ".join(filter(None, result.notes)))


def page(done: Sequence[Done]) -> str:
    """The gallery in Markdown."""
    lines = [
        "# Gallery",
        "",
        "Each photograph is damaged, saved as `damaged.png`, and restored by the command beneath it.",
        "All use the embedded prior, at its defaults.",
        "Left: damaged. Right: restored. The diagnosis is the note that the command prints.",
        "`python -m benchmarks.gallery docs` makes this page and its pictures.",
        "",
    ]
    for number, one in enumerate(done, 1):
        gained = (
            f"PSNR {psnr(one.before, one.clean).item():.2f} dB, restored {psnr(one.after, one.clean).item():.2f} dB."
        )
        damage = "reduced by 2 (bicubic)" if one.case.damage == "small" else f'`--damage "{one.case.damage}"`'
        lines += [
            f"## {one.case.title}",
            "",
            f"![{one.case.title}: damaged and restored](gallery/{number:02}.jpg)",
            "",
            "```bash",
            one.command,
            "```",
            "",
            f"- Damage: {damage}. {gained} {one.case.note}".rstrip(),
            f"- Diagnosis: {one.note or 'none; the task is given'}.",
            "",
        ]
    return "\n".join(lines)


def side_by_side(one: Done) -> Image.Image:
    """Before and after, in one picture."""
    pair = [images.to_pil(images.from_tensor(x)) for x in (one.before, one.after)]
    both = Image.new("RGB", (2 * pair[1].width + 8, pair[1].height), "white")
    for place, picture in enumerate(pair):
        both.paste(picture.convert("RGB").resize(pair[1].size), (place * (pair[1].width + 8), 0))
    return both


def four(done: Sequence[Done]) -> Image.Image:
    """The README's picture: four damages in columns, damaged above, restored beneath."""
    width, height = done[0].after.shape[-1], done[0].after.shape[-2]
    gap, line = 8, 26
    whole = Image.new("RGB", (len(done) * (width + gap) - gap, 2 * (height + gap) + line), "white")
    draw, font = ImageDraw.Draw(whole), ImageFont.load_default(16)
    for column, one in enumerate(done):
        left = column * (width + gap)
        draw.text((left, 2), one.case.title, fill="black", font=font)
        for row, x in enumerate((one.before, one.after)):
            picture = images.to_pil(images.from_tensor(x)).convert("RGB")
            whole.paste(picture.resize((width, height)), (left, line + row * (height + gap)))
    return whole


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--four", action="store_true", help="the README's picture alone")
    parser.add_argument("--prior", default="natural")
    parser.add_argument("--side", type=int, help="pixels of the middle that are used; all by default")
    chosen = parser.parse_args(arguments)
    done = []
    for case in CASES:
        if chosen.four and case.title not in FOUR:
            continue
        with tempfile.TemporaryDirectory() as place:
            done.append(repair(case, Path(place), chosen.prior, chosen.side))
        before, after = (psnr(x, done[-1].clean).item() for x in (done[-1].before, done[-1].after))
        print(f"{case.title}: {before:.2f} -> {after:.2f} dB; {done[-1].note}", flush=True)
    titles = {one.case.title: one for one in done}
    chosen.folder.mkdir(parents=True, exist_ok=True)
    four([titles[title] for title in FOUR]).save(chosen.folder / "four.jpg", quality=88)
    if not chosen.four:
        pictures = chosen.folder / "gallery"
        pictures.mkdir(exist_ok=True)
        for number, one in enumerate(done, 1):
            side_by_side(one).save(pictures / f"{number:02}.jpg", quality=80)
        (chosen.folder / "gallery.md").write_text(page(done), encoding="utf-8")


if __name__ == "__main__":
    main()
