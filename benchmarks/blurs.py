"""Blurred, sharp and reduced pictures: `python -m benchmarks.blurs FOLDER [--images N] [--row NAME]`.

Rows are those of `pellucid bench photographs`. A row says the mean PSNR of the damaged pictures, the mean and the least
gain of the default (of `--task enlarge`, over bicubic, where the picture is reduced), the mean gain of the usual tool
(an unsharp mask, Lanczos), and in how many a blur was found.
Of rows without a blur, `--quick` restores only those in which one was found: how many false alarms there are.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

from pellucid import images
from pellucid.bench import peers
from pellucid.bench.everyday import _shot
from pellucid.bench.kinds import KINDS
from pellucid.bench.prior import middle, read_images
from pellucid.diagnosis.blur import estimate
from pellucid.diagnosis.content import estimate as content_of
from pellucid.maths.noise import derive_seed
from pellucid.maths.problem import to_model, to_unit
from pellucid.metrics import psnr
from pellucid.priors import load_prior
from pellucid.restoration import Recipe

ROWS = [name for name, kind in KINDS.items() if kind.task in ("unblur", "enlarge")]
MOST = 100.0


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("--crop", type=int, default=128)
    parser.add_argument("--prior", default="natural")
    parser.add_argument("--quick", action="store_true", help="leave out pictures in which no blur is found")
    parser.add_argument("--row", action="append", choices=list(KINDS), help="one of the rows; may be said again")
    arguments = parser.parse_args()
    prior = load_prior(arguments.prior)
    every = read_images(arguments.folder)
    names = list(every)[:: max(1, len(every) // arguments.images)][: arguments.images]
    print("| row | damaged | gain | least gain | usual tool | blur found |\n|---|---|---|---|---|---|")
    for name in arguments.row or ROWS:
        kind = KINDS[name]
        recipe = Recipe(task="enlarge", by=kind.reduced) if kind.reduced > 1 else Recipe()
        restorer = recipe.restorer(prior)
        tool = next(iter(peers.of(kind.peers, None, kind.reduced).values()), None)
        before, gains, usual, found = [], [], [], 0
        with TemporaryDirectory() as folder:
            for own in names:
                shot = _shot(kind, own, to_unit(middle(every[own], arguments.crop)), 0, 0, Path(folder))
                picture = images.read(shot.path)
                y = to_model(picture.tensor())
                blurred = kind.reduced == 1 and estimate(y, content_of(y).drawn) is not None
                found += blurred
                before.append(min(psnr(shot.baseline, shot.truth).item(), MOST))
                if tool is not None and kind.peers in ("blur", "enlarge"):
                    pixels = (picture.tensor(3)[0] * 255).round().byte().permute(1, 2, 0).contiguous().numpy()
                    made = images.from_array(tool(pixels)).tensor()
                    usual.append(psnr(made, shot.truth).item() - before[-1])
                if arguments.quick and not blurred:
                    gains.append(0.0)
                    continue
                restored, _ = restorer.picture(picture, derive_seed(0, shot.path.name), marked=False)
                gains.append(min(psnr(restored.tensor(3), shot.truth).item(), MOST) - before[-1])
        many = len(before)
        print(
            f"| {name} | {sum(before) / many:.2f} | {sum(gains) / many:+.2f} | {min(gains):+.2f} | "
            + (f"{sum(usual) / many:+.2f}" if usual else "")
            + f" | {'' if kind.reduced > 1 else f'{found} of {many}'} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
