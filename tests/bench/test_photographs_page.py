"""The page of everyday pictures: rows of this version, and of another one beside them."""

from __future__ import annotations

from typing import Any

from benchmarks.photographs import peers, table


def row(name: str, entrant: str, gain: float) -> dict[str, Any]:
    return {
        "row": name, "entrant": entrant, "psnr": 20.0 + gain, "gain": gain, "least": gain - 1, "worst": "a.png",
        "lpips": None, "nfe": 5, "seconds": 1.0, "failed": 0, "draws": 3,
    }  # fmt: skip


NOW = [
    row("clean", "damaged", 0),
    row("clean", "default", 0),
    row("grey 25", "damaged", 0),
    row("grey 25", "default", 8),
]


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_an_earlier_version_stands_beside_this_one() -> None:
    head, rule, grey, clean = table(NOW, [row("grey 25", "default", 0.3), row("grey 25", "damaged", 0)], "0.8")
    assert cells(head)[3:6] == ["default", "0.8", "task"]
    assert cells(grey)[:5] == ["grey 25", "3", "20.00", "+8.00 (+7.00)", "+0.30 (-0.70)"]
    # What was not measured then is not there.
    assert cells(clean)[:5] == ["clean", "3", "20.00", "+0.00 (-1.00)", "-"]
    assert {len(cells(line)) for line in (head, rule, grey, clean)} == {11}


def test_without_one_there_is_no_such_column() -> None:
    head, *lines = table(NOW)
    assert cells(head)[3:5] == ["default", "task"]
    assert {len(cells(line)) for line in (head, *lines)} == {10}


def test_a_tool_with_fewer_photographs_says_so_and_is_not_the_best() -> None:
    slow, quick = row("grey 25", "BM3D", 9) | {"images": 8}, row("grey 25", "wavelets", 2) | {"images": 24}
    rows = [*NOW, slow, quick]
    assert cells(list(table(rows))[2])[-1] == "wavelets +2.00 (+1.00)"
    assert [cells(line)[1] for line in list(peers(rows))[2:]] == ["BM3D, 8 photographs", "wavelets"]
