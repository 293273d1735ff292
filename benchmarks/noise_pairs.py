"""Photographs with a camera's own noise beside the mean of many exposures: `python -m benchmarks.noise_pairs FOLDER`.

The folder has pairs NAME_real.JPG and NAME_mean.JPG, as the PolyU dataset (Xu et al. 2018, arXiv:1804.02603) names them
in its `CroppedImages`. Prints the PSNR against the mean before and after `auto`, and the note.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from pellucid import images
from pellucid.metrics import psnr
from pellucid.restoration import Recipe


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--every", type=int, default=1, help="takes each Nth pair, from the first on")
    parser.add_argument("--prior", default="natural")
    arguments = parser.parse_args()
    restorer = Recipe(prior=arguments.prior).restorer()
    pairs = [(path, path.with_name(path.name.replace("_real", "_mean"))) for path in arguments.folder.glob("*_real.*")]
    gains = []
    print("| photograph | before | gain | said |\n|---|---|---|---|", flush=True)
    for path, clean in sorted(pairs)[:: arguments.every]:
        truth, picture = images.read(clean).tensor(3), images.read(path)
        restored, result = restorer.picture(picture)
        before, after = (psnr(one.tensor(3), truth).item() for one in (picture, restored))
        gains.append(after - before)
        name = path.stem.removesuffix("_real")
        print(f"| {name} | {before:.2f} | {after - before:+.2f} | {'; '.join(result.notes)} |", flush=True)
    print(f"\nmean gain {sum(gains) / len(gains):+.2f} dB, least {min(gains):+.2f}, of {len(gains)} photographs")


if __name__ == "__main__":
    main()
