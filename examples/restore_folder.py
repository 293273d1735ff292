"""Restores each picture of a folder and prints its diagnosis: `python examples/restore_folder.py scans/ restored/`.

`pellucid restore scans/ -o restored/` does more: it resumes, takes subfolders and keeps metadata. This script shows the
calls.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import pellucid


def main(source: Path, target: Path, prior: str = "natural") -> None:
    """Restores each image of `source` into `target`, under its name."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")  # the automatic method says here what it found
    target.mkdir(parents=True, exist_ok=True)
    loaded = pellucid.load_prior(prior)  # once for all pictures
    for path in sorted(source.glob("*")):
        try:
            restored = pellucid.restore(path, prior=loaded)
        except pellucid.PellucidError as error:
            print(error, file=sys.stderr)  # one bad file does not end the loop
            continue
        restored.save(target / f"{path.stem}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
