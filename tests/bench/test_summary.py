from __future__ import annotations

import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pellucid.bench import spec, summary
from pellucid.bench.intervals import paired, student
from pellucid.bench.rows import Missing, Row
from pellucid.errors import UsageError

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
    mean, error, published, _ = line.cells["psnr"]
    assert mean == 23
    assert error == pytest.approx(math.sqrt(8) / math.sqrt(2))
    assert published == 30
    assert line.images == 2
    # Of two images Student's interval is 12.706 standard errors to either side.
    assert summary.show(line, "psnr", True) == "23.00 ±25.41 [30, -7.00]"
    assert summary.show(line, "psnr", False) == "23.00 ±25.41 [30]"
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


def compared(*pairs: tuple[float, float], metric: str = "psnr") -> summary.Verdict:
    """What is said of DDRM's figures beside the damaged images', image by image."""
    rows = [
        replace(row(method, str(number), 0, task="half"), figures={metric: value})
        for number, pair in enumerate(pairs)
        for method, value in zip(("DDRM", "damaged"), pair, strict=True)
    ]
    asked = replace(TABLE, claims=(replace(TABLE.claims[0], metrics=(metric,)),))
    (verdict,) = summary.verdicts(asked, summary.summarise(asked, "folder", rows, lambda rows: {}))
    return verdict


def test_an_order_is_judged_by_the_images_differences_and_not_by_means() -> None:
    """The images differ by 10 dB, the methods by 1: paired, that is decided."""
    holds = compared((21.0, 20.0), (31.0, 30.1), (26.0, 24.9))
    assert holds.outcome == "holds"
    assert holds.text == (
        "half, PSNR: DDRM better than damaged: holds (26.00 against 25.00; +1.00, 95 % from +0.75 to +1.25, 3 images)"
    )
    fails = compared((20.0, 21.0), (30.1, 31.0), (24.9, 26.0))
    assert fails.outcome == "does not hold"
    assert "does not hold" in fails.text
    # The mean is as far ahead, but one image goes the other way.
    open_ = compared((23.0, 20.0), (32.0, 30.0), (22.0, 24.0))
    assert open_.outcome == "not decided"
    assert "not decided by 3 images (25.67 against 24.67)" in open_.text


def test_two_images_decide_only_what_both_say_alike() -> None:
    assert compared((21.0, 20.0), (31.0, 30.0)).outcome == "holds"
    assert compared((21.0, 20.0), (30.5, 30.0)).outcome == "not decided"
    assert compared((21.0, 20.0)).text.count("not decided by 1 image (") == 1


def test_less_is_better_but_for_psnr_and_ssim() -> None:
    assert compared((0.3, 0.5), (0.31, 0.5), metric="lpips").outcome == "holds"
    assert compared((0.5, 0.3), (0.5, 0.31), metric="lpips").outcome == "does not hold"


def test_the_means_of_an_order_are_of_the_images_that_both_have() -> None:
    rows = [row("DDRM", "a", 21, task="half"), row("DDRM", "b", 0, task="half", error="too large")]
    rows += [row("damaged", "a", 20, task="half"), row("damaged", "b", 40, task="half")]
    (verdict,) = summary.verdicts(TABLE, summary.summarise(TABLE, "folder", rows, lambda rows: {}))
    assert verdict.text.endswith("not decided by 1 image (21.00 against 20.00)")


def test_ones_own_metric_says_itself_what_is_better(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    file = tmp_path / "own_metrics.py"
    file.write_text("def less(x, y):\n    return x\n\n\ndef more(x, y):\n    return x\n\n\nless.better = 'lower'\n")
    for name, outcome in (("more", "holds"), ("less", "does not hold")):
        assert compared((0.5, 0.3), (0.5, 0.31), metric=f"{file}:{name}").outcome == outcome


def test_a_figure_of_all_images_together_decides_nothing() -> None:
    rows = [row("damaged", "a", 20, task="half"), row("DDRM", "a", 21, task="half")]
    asked = replace(TABLE, claims=(replace(TABLE.claims[0], metrics=("fid",)),))
    lines_ = summary.summarise(asked, "folder", rows, lambda rows: {"fid": 1.0})
    (verdict,) = summary.verdicts(asked, lines_)
    assert verdict.outcome == "not decided"
    assert "has no interval" in verdict.text


def test_nothing_is_said_of_what_was_not_run() -> None:
    assert summary.verdicts(TABLE, lines(row("damaged", "a", 20, task="half"))) == []


def test_published_evaluations_stand_beside_ours() -> None:
    cell = spec.Published("folder", "noise", "Ours", {"psnr": 30, "nfe": 90})
    own = replace(TABLE, published=(cell,))
    got = summary.summarise(own, "folder", [row("Ours", "a", 20)], lambda rows: {})
    assert summary.text(got, ["psnr"], True)[1][3] == "6 [90]"


@pytest.mark.parametrize(("freedom", "point"), [(1, 12.706), (10, 2.228), (11, 2.201), (30, 2.042), (1000, 1.962)])
def test_students_points(freedom: int, point: float) -> None:
    assert student(freedom) == pytest.approx(point, abs=1e-3)


def test_an_equal_image_counts_in_means_and_differences_with_100_db() -> None:
    got = lines(row("damaged", "a", 30), row("damaged", "b", 40), row("Ours", "a", math.inf), row("Ours", "b", 42))
    damaged, ours = got
    assert ours.cells["psnr"].mean == 71
    assert math.isfinite(ours.cells["psnr"].half)
    assert paired(ours.values["psnr"], damaged.values["psnr"])[::3] == (36, 2)  # type: ignore[index]
    assert summary.differences(got, ["psnr"], "damaged")[1][-1] == "2"


def test_who_takes_part_alone_is_compared_with_nobody() -> None:
    summary.check_versus(None, ["ddrm"])
    summary.check_versus("ddrm", ["ddrm", "red"])
    with pytest.raises(UsageError, match="ddrm takes part alone: name another to compare it with"):
        summary.check_versus("ddrm", ["ddrm"])
    with pytest.raises(UsageError, match="unknown method 'nobody'"):
        summary.check_versus("nobody", ["ddrm", "red"])


def test_no_difference_without_an_image_in_common() -> None:
    assert paired({"a": 1.0}, {"b": 2.0}) is None
    assert paired({"a": math.inf}, {"a": 2.0}) is None
