from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from pellucid.bench import spec, summary
from pellucid.bench.rows import Missing, Row

TABLE = spec.parse(Path(__file__).with_name("tiny.toml").read_text(), "tiny")


def row(method: str, image: str, psnr: float, seed: int = 0, task: str = "noise", error: str = "") -> Row:
    figures = {} if error else {"psnr": psnr}
    return Row(
        "tiny", "folder", task, method, image, seed, figures, 6, 2.0, 1.0, "x.png", {}, "", "", "cpu", {}, {}, "", error
    )


def lines(*rows: Row | Missing) -> list[summary.Line]:
    return summary.summarise(TABLE, "folder", rows, lambda rows: {})


def test_the_mean_is_over_images_and_its_error_theirs() -> None:
    (line,) = lines(row("Ours", "a", 20, 0), row("Ours", "a", 22, 1), row("Ours", "b", 25, 0), row("Ours", "b", 25, 1))
    mean, error, published = line.cells["psnr"]
    assert mean == 23
    assert error == pytest.approx(math.sqrt(8) / math.sqrt(2))
    assert published == 30
    assert line.images == 2
    assert summary.show(line, "psnr", True) == "23.00 ±2.00 [30, -7.00]"
    assert summary.show(line, "psnr", False) == "23.00 ±2.00 [30]"
    assert summary.show(line, "ssim", True) == "-"


def test_one_image_has_no_error() -> None:
    (line,) = lines(row("Ours", "a", 20))
    assert summary.show(line, "psnr", True) == "20.00 [30, -10.00]"


def test_lines_are_in_the_tables_order_whatever_came_first() -> None:
    got = lines(Missing("noise", "FBCNN", "needs it"), row("Ours", "a", 20), row("damaged", "a", 10))
    assert [line.method for line in got] == ["damaged", "Ours", "FBCNN"]
    text = summary.text(got, ["psnr"], True)
    assert text[-1] == ["noise", "FBCNN", "-", "-", "-", "needs it"]


def test_failures_are_counted_and_leave_the_others() -> None:
    (line,) = lines(row("Ours", "a", 20), row("Ours", "b", 0, error="not finite"))
    assert line.cells["psnr"].mean == 20
    assert line.why == "1 failed: not finite"


def test_figures_of_sets_stand_beside() -> None:
    (line,) = summary.summarise(TABLE, "folder", [row("Ours", "a", 20)], lambda rows: {"fid": 12.5})
    assert line.cells["fid"].mean == 12.5
    assert math.isnan(line.cells["fid"].error)


@pytest.mark.parametrize(("ours", "holds"), [(21.0, True), (20.0, False), (19.0, False)])
def test_orders_are_said_to_hold_or_not(ours: float, holds: bool) -> None:
    got = lines(row("damaged", "a", 20, task="half"), row("DDRM", "a", ours, task="half"))
    ((said, text),) = summary.verdicts(TABLE, got)
    assert said is holds
    assert ("does NOT hold" in text) is not holds


def test_less_is_better_but_for_psnr_and_ssim() -> None:
    claim = replace(TABLE.claims[0], metrics=("lpips",))
    asked = replace(TABLE, claims=(claim,))
    rows = [replace(row(m, "a", 0, task="half"), figures={"lpips": v}) for m, v in (("damaged", 0.5), ("DDRM", 0.3))]
    ((holds, _),) = summary.verdicts(asked, summary.summarise(asked, "folder", rows, lambda rows: {}))
    assert holds


def test_nothing_is_said_of_what_was_not_run() -> None:
    assert summary.verdicts(TABLE, lines(row("damaged", "a", 20, task="half"))) == []
