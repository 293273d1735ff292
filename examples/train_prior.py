"""Trains a prior on your own scans and restores one with it: `python examples/train_prior.py scans/ run/`.

A run that was stopped goes on when it is started again. `pellucid train` has all options.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pellucid
from pellucid.train.export import Origin
from pellucid.train.loop import TrainingOptions
from pellucid.train.recipe import preset
from pellucid.train.run import train


def main(scans: Path, run: Path, recipe: str = "cpu", options: TrainingOptions | None = None) -> Path:
    """Trains and returns the prior's folder, which `--prior` takes."""
    origin = Origin("scans", data="scans of one archive", licence="not for publication")
    outcome = train(scans, run, preset(recipe), options or TrainingOptions(), origin, print)
    if outcome.result is None:
        raise SystemExit("stopped: run the same command to go on")
    picture = sorted(scans.iterdir())[0]
    pellucid.restore(picture, "denoise", outcome.result).save(run / "restored.png")
    return outcome.result


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:4])
