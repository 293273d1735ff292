"""DIP and DGP on photographs with white noise: PSNR as they go.

python -m benchmarks.untrained dip PHOTO... [--size 128] [--every 50] [--set KEY=VALUE ...]
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from pellucid import images, load_prior, methods
from pellucid.maths.noise import Streams, derive_seed
from pellucid.maths.problem import Problem, to_model, to_unit
from pellucid.metrics import psnr
from pellucid.support.settings import assignments, parse


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("method", choices=("dip", "dgp"))
    parser.add_argument("photos", nargs="+", type=Path)
    parser.add_argument("--size", type=int, default=128, help="side of the middle that is taken")
    parser.add_argument("--noise", type=float, default=25, help="over 255")
    parser.add_argument("--every", type=int, default=50, help="iterations between two lines")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    given = parser.parse_args()
    kind = methods.find(given.method)
    method = kind(**parse(kind, given.method, assignments(given.set)))
    prior = load_prior("natural")
    for path in given.photos:
        whole = images.read(path).tensor()
        top, left = ((side - given.size) // 2 for side in whole.shape[-2:])
        clean = to_model(whole[..., top : top + given.size, left : left + given.size])
        noise = Streams([derive_seed(0, path.name)]).like(clean)
        y = clean + 2 * given.noise / 255 * noise
        print(f"{path.name}: damaged {psnr(to_unit(y), to_unit(clean)).item():.2f} dB")
        start = time.monotonic()
        for state in method.iterate(Problem(y), prior, Streams([0])):
            if state.step % given.every == 0 or state.step == state.total:
                newest, result = (psnr(to_unit(x), to_unit(clean)).item() for x in (state.x0, state.x))
                curves = "  ".join(f"{name} {values[0]:.5f}" for name, values in state.curves.items())
                seconds = time.monotonic() - start
                print(
                    f"{state.step:6}  newest {newest:.2f}  result {result:.2f}  {curves}  {seconds:.0f} s", flush=True
                )


if __name__ == "__main__":
    main()
