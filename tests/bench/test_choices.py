"""What somebody wants otherwise than a table has it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pellucid import methods
from pellucid.bench import formats, known, spec, summary
from pellucid.bench.choices import joined, sweep, with_settings
from pellucid.bench.rows import Row
from pellucid.bench.run_table import Run, entrant_method, run
from pellucid.errors import UsageError
from pellucid.methods import DDRM, DPS, SNIPS, DreamClean

Job = Callable[..., Run]
TABLE = spec.parse(Path(__file__).with_name("tiny.toml").read_text(), "tiny")


def test_a_hyper_parameter_of_one_method_goes_before_the_tables_and_the_quick_ones() -> None:
    table = with_settings(TABLE, {"Ours.steps": "7", "Ours.schedule": "none", "DDRM.eta": "0.5"})
    ours, ddrm = table.methods[:2]
    assert entrant_method(ours, "noise", True, {}) == DreamClean(strength=100, steps=7, schedule="none")
    assert entrant_method(ddrm, "half", False, {}).eta == 0.5  # type: ignore[attr-defined]
    assert TABLE.methods[0].chosen == {}
    # The method's own name is for all that have it.
    assert with_settings(TABLE, {"dreamclean.steps": "7"}).methods[0] == table.methods[0].__class__(
        **{**vars(TABLE.methods[0]), "chosen": {"steps": 7}}
    )


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ({"steps": "7"}, "METHOD.KEY=VALUE here, such as Ours.steps=7"),
        ({"Theirs.steps": "7"}, "unknown method of tiny 'Theirs'"),
        ({"Ours.stepz": "7"}, "Ours has no 'stepz'"),
        ({"Ours.steps": "x"}, "steps"),
    ],
)
def test_a_wrong_one_is_a_line(texts: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        with_settings(TABLE, texts)


def test_changed_methods_have_rows_of_their_own(tiny_job: Job, tmp_path: Path) -> None:
    before = [row for row in run(tiny_job(tmp_path, tasks=("noise",))) if isinstance(row, Row)]
    other = with_settings(TABLE, {"Ours.gamma": "0.5"})
    after = [row for row in run(tiny_job(tmp_path, table=other, tasks=("noise",))) if isinstance(row, Row)]
    assert [row.settings.get("gamma") for row in after] == [None, 0.5, None, 0.5]
    assert after[0] == before[0]
    assert after[1].figures != before[1].figures


def test_methods_that_join_have_quick_settings_of_their_own() -> None:
    table = joined(TABLE, ["dps", "diip"])
    dps, diip = table.methods[-2:]
    assert entrant_method(dps, "half", False, {}) == DPS()
    quick = entrant_method(dps, "half", True, {})
    assert isinstance(quick, DPS)
    assert quick.steps < 200
    assert entrant_method(diip, "noise", True, {}).steps == 2  # type: ignore[attr-defined]


def test_two_tables_share_rows_that_are_made_alike(tiny_job: Job, tmp_path: Path) -> None:
    first = [row for row in run(tiny_job(tmp_path)) if isinstance(row, Row)]
    other = replace(TABLE, name="tiny-2")
    second = [row for row in run(tiny_job(tmp_path, table=other)) if isinstance(row, Row)]
    assert [replace(row, table="tiny") for row in second] == first
    assert {row.table for row in second} == {"tiny-2"}
    assert len((tmp_path / "tiny-2.jsonl").read_text().splitlines()) == len(second)


def test_a_sweep_is_a_table_of_every_combination(tiny_job: Job, tmp_path: Path) -> None:
    table = sweep("dreamclean", {"gamma": "0.1,0.2", "corrections": "1,2"}, ["noise:0.2"], {"strength": "50"})
    labels = [entrant.label for entrant in table.methods]
    assert labels == [f"gamma={gamma}, corrections={m}" for gamma in ("0.1", "0.2") for m in (1, 2)]
    rows = [row for row in run(tiny_job(tmp_path, table=table)) if isinstance(row, Row)]
    assert {row.nfe for row in rows if row.method == labels[1]} == {5 * 4}
    assert len({row.method for row in rows}) == 5
    assert not any(row.error for row in rows)


@pytest.mark.parametrize(
    ("method", "over", "said"),
    [
        ("ddrm", {"steps": "1,2"}, "must be told the degradation"),
        ("dreamclean", {}, "needs --over"),
        ("dreamclean", {"gamma": "0.1,0.1"}, "is there twice"),
        ("dreamclean", {"gamma": "0.1,0.10"}, "is there twice"),
        ("dreamclean", {"gama": "0.1"}, "has no 'gama'"),
        ("dreamclaen", {"gamma": "0.1"}, "did you mean"),
    ],
)
def test_a_wrong_sweep_is_a_line(method: str, over: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        sweep(method, over, ["noise"], {})


def test_a_sweep_may_be_told_the_degradation() -> None:
    table = sweep("snips", {"rate": "0.1,0.3"}, [], {"repeats": "1"}, ["sr4", "box-mask:0.25"])
    assert [task.name for task in table.tasks] == ["sr4", "box-mask:0.25"]
    assert all(task.noise == 0.05 for task in table.tasks)
    few = entrant_method(table.methods[1], "sr4", True, {})
    assert isinstance(few, SNIPS)
    # What is swept and what is fixed goes before what is quick.
    assert (few.rate, few.repeats, few.levels) == (0.3, 1, 60)
    with pytest.raises(UsageError, match="--damage, or --task"):
        sweep("ddrm", {"steps": "1,2"}, [], {})
    with pytest.raises(UsageError, match="once is enough"):
        sweep("ddrm", {"steps": "1,2"}, [], {"steps": "3"}, ["sr4"])
    # Places that differ in a sign have files that differ.
    names = {sweep(name, {"steps": "1"}, [], {}, ["sr4"]).name for name in ("ddrm", "ddnm")}
    assert len(names) == 2


def test_quick_methods_that_join_are_those_of_known_whatever_their_papers_have() -> None:
    """SNIPS' and GDP's papers have other defaults, which quick settings do not begin from."""
    for name in ("snips", "gdp", "red", "dps", "repaint"):
        (joining,) = joined(known.table(["sr4", "box-mask:0.25"], ["ddrm"]), [name]).methods[1:]
        for task in ("sr4", "box-mask:0.25"):
            if name in known.quick(task):
                assert entrant_method(joining, task, True, {}) == known.quick(task)[name]
    paper = joined(spec.load("dreamclean-1"), ["snips", "dps"]).methods[-2:]
    for entrant in paper:
        assert entrant_method(entrant, "sr4", True, {}) == known.quick("sr4")[entrant.label]
    assert entrant_method(paper[0], "sr4", False, {}) == methods.get("snips", preset="paper")
    # The table itself, with the defaults of the package where it is not quick.
    whole = known.table(["sr4"])
    for entrant in whole.methods:
        assert entrant_method(entrant, "sr4", True, {}) == known.quick("sr4")[entrant.label]
        assert entrant_method(entrant, "sr4", False, {}) == methods.get(entrant.label)


def lines_of(tiny_job: Job, folder: Path) -> tuple[list[summary.Line], list[Row]]:
    rows = [row for row in run(tiny_job(folder, tasks=("half",))) if isinstance(row, Row)]
    return summary.summarise(TABLE, "folder", rows, lambda rows: {}), rows


def test_differences_to_a_method_are_paired(tiny_job: Job, tmp_path: Path) -> None:
    lines, rows = lines_of(tiny_job, tmp_path)
    heading, damaged, ours = summary.differences(lines, ["psnr"], "DDRM")
    assert heading == ["TASK", "METHOD", "PSNR - DDRM", "IMAGES"]
    assert (damaged[:2], damaged[3]) == (["half", "damaged"], "2")
    figures = {(row.method, row.image): row.figures["psnr"] for row in rows}
    apart = [figures["Ours", image] - figures["DDRM", image] for image in ("a<i>.png", "b c/d.png")]
    assert ours[2].startswith(f"{sum(apart) / 2:+.2f} ±")
    assert ours[2].endswith("*") is (abs(sum(apart)) > 12.706 * abs(apart[0] - apart[1]))
    with pytest.raises(UsageError, match="unknown method"):
        summary.differences(lines, ["psnr"], "DDMR")


def test_a_table_is_markdown_latex_and_csv(tiny_job: Job, tmp_path: Path) -> None:
    lines, rows = lines_of(tiny_job, tmp_path)
    cells = summary.text(lines, ["psnr"], False)
    page = formats.markdown(cells).splitlines()
    assert page[0] == "| TASK | METHOD | PSNR | NFE | SECONDS |  |"
    assert set(page[1]) == set("|- ")
    assert len(page) == 2 + len(lines)
    paper = formats.latex([["A", "B", "C_1"], ["50 %", "x & y", "1 ±2"]])
    assert paper.splitlines()[2] == r"A & B & C\_1 \\"
    assert r"50 \% & x \& y & 1 $\pm$2 \\" in paper
    assert formats.latex([[r"{~^\}", "b"]]).splitlines()[2] == (
        r"\{\textasciitilde{}\textasciicircum{}\textbackslash{}\} & b \\"
    )
    text = formats.per_image(rows, ["psnr"]).splitlines()
    assert text[0] == "table,data,task,method,image,seed,psnr,nfe,seconds,error"
    assert len(text) == 1 + len(rows)
    assert text[1].startswith(f"tiny,bundled,half,damaged,a<i>.png,0,{rows[0].figures['psnr']},0,")


def test_the_methods_of_the_conformance_table_may_be_ones_own() -> None:
    from pellucid.bench.conformance import COLUMNS, compare

    (row,) = compare({"mine": DDRM(steps=2)}, noises=(0.4,))
    assert row.method == "mine"
    assert set(row.figures) == set(COLUMNS)


def test_a_named_method_is_quick_in_what_it_is_not_made_for() -> None:
    (named,) = known.table(["grey"], ["dps"], True).methods
    assert named.quick_per_task["grey"]["steps"] == 100
    assert "dps" not in [one.method for one in known.table(["grey"], (), True).methods]
