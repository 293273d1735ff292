"""Writes docs/photographs.md from measured rows: `pellucid bench photographs FOLDER --json > ROWS`, then this on ROWS.

    python -m benchmarks.photographs ROWS.jsonl [MORE.jsonl ...] [--before THEN.jsonl]

Rows do not depend on each other: they may be measured in pieces, with --row. `--before` takes rows that another version
printed, and shows the gain of its default beside this one's.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pellucid.bench.kinds import KINDS

PAGE = Path(__file__).parent.parent / "docs" / "photographs.md"

HEAD = """# Everyday pictures

Written by `python -m benchmarks.photographs ROWS.jsonl`, from what this prints:

    {command}

Each row damages clean photographs and saves them as files. The default of `pellucid restore`, the task that names the
damage, and other tools restore these files. *before* is the damaged file against the truth. All other figures are PSNR
in dB over it: the mean, and in brackets the least of all images. LPIPS is lower where the picture looks more alike.
*NFE* is the most evaluations of the prior that an image took. Rows that enlarge compare with bicubic interpolation.
Dark and faded rows compare at the factor of light that fits the truth best. Rows without chance need one draw. Other
tools have the first draw. Slow ones that were run on fewer photographs are in the second table only. `-` is not
measured; the task of a row of noise does what the default does.
"""

EARLIER = """*{version}* is the default of that version, measured on the same files.
"""


def table(
    rows: Sequence[dict[str, Any]], earlier: Sequence[dict[str, Any]] = (), version: str = "last version"
) -> Iterator[str]:
    """The lines of the table: damage, default, an earlier version's default, task, and the best of the peers."""
    head = ["damage", "draws", "before", "default", *([version] if earlier else []), "task"]
    head += ["LPIPS before", "default", "task", "NFE", "best other tool"]
    yield f"| {' | '.join(head)} |"
    yield "|---" * len(head) + "|"
    then = {row["row"]: row for row in earlier if row["entrant"] == "default"}
    for name in KINDS:
        own = {row["entrant"]: row for row in rows if row["row"] == name}
        if "damaged" not in own:
            continue
        before, default = own.pop("damaged"), own.pop("default", None)
        task = next((own.pop(entrant) for entrant in list(own) if entrant.startswith("task ")), None)
        # A mean over fewer photographs stands beside no mean over all.
        whole = [row for row in own.values() if not _few(row, rows)]
        best = max(whole, key=lambda row: float(row["gain"]), default=None)
        cells = [
            name,
            str(before.get("draws", 1)),
            f"{before['psnr']:.2f}",
            _gain(default),
            *([_gain(then.get(name))] if earlier else []),
            _gain(task),
            _lpips(before),
            _lpips(default),
            _lpips(task),
            str((default or task or before)["nfe"]),
            "-" if best is None else f"{best['entrant']} {_gain(best)}",
        ]
        yield f"| {' | '.join(cells)} |"


def peers(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """The lines of a table of all peers."""
    yield "| damage | tool | gain | LPIPS | seconds | worst image |"
    yield "|---|---|---|---|---|---|"
    for row in rows:
        if row["entrant"] not in ("damaged", "default") and not row["entrant"].startswith("task "):
            yield (
                f"| {row['row']} | {_tool(row, rows)} | {_gain(row)} | {_lpips(row)} | {row['seconds']:.2f} | "
                f"{row['worst']} |"
            )


def _few(row: dict[str, Any], rows: Sequence[dict[str, Any]]) -> bool:
    """True if a row is of fewer photographs than others."""
    most = max(int(one.get("images", 0)) for one in rows)
    return int(row.get("images", most)) < most


def _tool(row: dict[str, Any], rows: Sequence[dict[str, Any]]) -> str:
    """Name of a peer, with its number of photographs if other rows have more."""
    return f"{row['entrant']}, {row['images']} photographs" if _few(row, rows) else str(row["entrant"])


def _gain(row: dict[str, Any] | None) -> str:
    return "-" if row is None else f"{row['gain']:+.2f} ({row['least']:+.2f})"


def _lpips(row: dict[str, Any] | None) -> str:
    return "-" if row is None or row["lpips"] is None else f"{row['lpips']:.3f}"


def _read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=Path, nargs="+", help="what bench photographs --json printed")
    parser.add_argument(
        "--command", default="pellucid bench photographs --data FOLDER --crop 128 --draws 3 --lpips FILE --json"
    )
    parser.add_argument("--before", type=Path, help="what bench photographs --json printed in another version")
    parser.add_argument("--version", default="last version", help="name of that version, the head of its column")
    options = parser.parse_args()
    rows = [row for path in options.rows for row in _read(path)]
    earlier = [] if options.before is None else _read(options.before)
    others = list(peers(rows))
    said = EARLIER.format(version=options.version) if earlier else ""
    page = HEAD.format(command=options.command) + said + "\n"
    page += "\n".join(table(rows, earlier, options.version)) + "\n"
    # Two lines are its head.
    PAGE.write_text(page + ("\n## Other tools\n\n" + "\n".join(others) + "\n" if others[2:] else ""))


if __name__ == "__main__":
    main()
