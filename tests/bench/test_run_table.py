from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pellucid import images
from pellucid.bench.choices import joined, with_settings
from pellucid.bench.rows import Missing, Row, stored
from pellucid.bench.run_table import Run, run
from pellucid.errors import UsageError
from pellucid.jobs import Shard
from pellucid.metrics import psnr
from pellucid.priors import Counted, GaussianPrior
from pellucid.priors.backends import Autocast
from pellucid.priors.fingerprint import fingerprint

Job = Callable[..., Run]
PRIOR = GaussianPrior(torch.zeros(3, 1, 1), torch.tensor(0.3))


class Busy(GaussianPrior):
    """Counts its evaluations, and is interrupted after some."""

    def __init__(self, until: int = 10**9) -> None:
        super().__init__(PRIOR.mean, PRIOR.variance)
        self.calls, self.until = 0, until

    def __call__(self, x: torch.Tensor, sigma: float | torch.Tensor) -> torch.Tensor:
        self.calls += 1
        if self.calls > self.until:
            raise KeyboardInterrupt
        return super().__call__(x, sigma)


def done(of: Run) -> list[Row]:
    return [row for row in run(of) if isinstance(row, Row)]


def table_of(rows: list[Row]) -> list[object]:
    return [(row.task, row.method, row.image, row.seed, row.figures, row.nfe, row.picture) for row in rows]


def test_each_method_has_a_row_for_each_image_and_seed(tiny_job: Job, tmp_path: Path) -> None:
    rows = done(tiny_job(tmp_path, seeds=(0, 1)))
    noise = [(row.method, row.image, row.seed) for row in rows if row.task == "noise"]
    first = [("damaged", "a<i>.png", 0), ("Ours", "a<i>.png", 0), ("Ours", "a<i>.png", 1)]
    assert noise[:3] == first
    assert len(noise) == 6
    assert len([row for row in rows if row.task == "half"]) == 10
    # 2 levels up, 2 corrections and 2 steps down.
    assert {row.nfe for row in rows if row.method == "Ours"} == {6}
    assert all(not row.error for row in rows)


def test_a_row_says_all_that_decides_its_figures(tiny_job: Job, tmp_path: Path) -> None:
    row = done(tiny_job(tmp_path))[1]
    assert row.settings["method"] == "DreamClean"
    assert row.settings["strength"] == 100
    assert row.prior == fingerprint(PRIOR)
    assert row.device == "cpu"
    assert set(row.versions) == {"pellucid", "torch"}
    clean = next(tiny_job(tmp_path).photographs()).clean
    assert clean is not None
    restored = images.read(tmp_path / row.picture).tensor()
    assert row.figures["psnr"] == pytest.approx(psnr(restored, clean).item(), abs=0.05)  # the file has 8 bits
    assert "lpips" not in row.figures
    assert len(row.trace["nfe"]) == len(row.trace["psnr"]) == 4
    assert len(row.trace["log_probability"]) == 2


def test_a_run_that_was_stopped_computes_nothing_again(tiny_job: Job, tmp_path: Path) -> None:
    whole = Busy()
    expected = done(tiny_job(tmp_path / "whole", prior=whole))
    part = Busy(until=15)
    with pytest.raises(KeyboardInterrupt):
        done(tiny_job(tmp_path / "part", prior=part))
    path = tmp_path / "part" / "tiny.jsonl"
    before = list(stored(path))
    assert 0 < len(before) < len(expected)
    # A process that is killed while it writes leaves part of a line.
    with path.open("ab") as file:
        file.write(b'{"table": "ti')
    rest = Busy()
    got = done(tiny_job(tmp_path / "part", prior=rest))
    assert table_of(got) == table_of(expected)
    assert got[: len(before)] == before
    assert rest.calls == whole.calls - sum(row.nfe for row in before)
    again = Busy()
    assert done(tiny_job(tmp_path / "part", prior=again)) == got
    assert again.calls == 0


def test_what_changes_the_figures_is_computed_again(tiny_job: Job, tmp_path: Path) -> None:
    done(tiny_job(tmp_path))
    other = GaussianPrior(PRIOR.mean, torch.tensor(0.3), sigmas=PRIOR.sigmas * 2)
    count = len((tmp_path / "tiny.jsonl").read_text().splitlines())
    done(tiny_job(tmp_path, prior=other))
    assert len((tmp_path / "tiny.jsonl").read_text().splitlines()) == 2 * count
    quick = Busy()
    done(tiny_job(tmp_path, prior=quick, quick=True))
    assert quick.calls > 0


def test_another_precision_is_another_prior(tiny_job: Job, tmp_path: Path) -> None:
    exact = done(tiny_job(tmp_path))
    rough = done(tiny_job(tmp_path, prior=Autocast(PRIOR, "bfloat16")))
    assert {row.device for row in exact} == {"cpu"}
    assert {row.device for row in rough} == {"cpu in bfloat16"}
    assert not {row.configuration for row in exact} & {row.configuration for row in rough}


def test_a_lost_picture_is_made_again(tiny_job: Job, tmp_path: Path) -> None:
    row = done(tiny_job(tmp_path, prior=Busy()))[1]
    (tmp_path / row.picture).unlink()
    busy = Busy()
    assert table_of(done(tiny_job(tmp_path, prior=busy)))[1] == table_of([row])[0]
    assert busy.calls == row.nfe
    assert (tmp_path / row.picture).is_file()


def test_a_method_without_its_network_is_a_line_that_says_so(tiny_job: Job, tmp_path: Path) -> None:
    lines = [row for row in run(tiny_job(tmp_path)) if isinstance(row, Missing)]
    assert [(row.task, row.method) for row in lines] == [("noise", "FBCNN"), ("half", "FBCNN")]
    assert "--weights fbcnn=FILE" in lines[0].why
    assert all("FBCNN" not in line for line in (tmp_path / "tiny.jsonl").read_text().splitlines())


def test_a_failure_costs_its_row_and_is_tried_again(tiny_job: Job, tmp_path: Path) -> None:
    class Broken(GaussianPrior):
        def __call__(self, x: torch.Tensor, sigma: float | torch.Tensor) -> torch.Tensor:
            return super().__call__(x, sigma) * float("nan")

    broken = Broken(PRIOR.mean, PRIOR.variance)
    rows = done(tiny_job(tmp_path, prior=broken, tasks=("noise",)))
    assert ["finite" in row.error for row in rows] == [False, True] * 2
    assert rows[1].figures == {}
    assert len(list(stored(tmp_path / "tiny.jsonl"))) == 2
    assert not json.loads((tmp_path / "tiny.jsonl").read_text().splitlines()[1])["picture"]

    class Faulty(GaussianPrior):
        def __call__(self, x: torch.Tensor, sigma: float | torch.Tensor) -> torch.Tensor:
            raise KeyError("own")

    # A fault of somebody's own code does not end the table either.
    rows = done(tiny_job(tmp_path, prior=Faulty(PRIOR.mean, PRIOR.variance), tasks=("noise",)))
    assert [row.error for row in rows] == ["", "failed unexpectedly (KeyError: 'own')"] * 2


def test_tasks_and_methods_are_chosen_by_name(tiny_job: Job, tmp_path: Path) -> None:
    rows = done(tiny_job(tmp_path, tasks=("half",), chosen=("DDRM",)))
    assert {(row.task, row.method) for row in rows} == {("half", "damaged"), ("half", "DDRM")}
    for wrong in ({"tasks": ("third",)}, {"chosen": ("DDNM",)}):
        with pytest.raises(UsageError, match="unknown"):
            run(tiny_job(tmp_path, **wrong))


def test_shards_do_each_image_once_and_make_one_table(tiny_job: Job, tmp_path: Path) -> None:
    whole = table_of(done(tiny_job(tmp_path / "whole", prior=Busy())))
    shares = [done(tiny_job(tmp_path / "shared", prior=Busy(), shard=Shard(index, 2))) for index in (1, 2)]
    images = [{row.image for row in share} for share in shares]
    assert all(images)
    assert not images[0] & images[1]
    busy = Busy()
    assert table_of(done(tiny_job(tmp_path / "shared", prior=busy))) == whole
    assert busy.calls == 0


def test_other_methods_join_a_table_in_the_tasks_that_they_can_do(tiny_job: Job, tmp_path: Path) -> None:
    table = joined(tiny_job(tmp_path).table, ["denoise", "ddnm"])
    rows = done(tiny_job(tmp_path, table=table, chosen=("DDRM", "denoise", "ddnm")))
    assert not any(row.error for row in rows)
    assert {(row.task, row.method) for row in rows if row.method != "damaged"} == {
        ("half", "DDRM"), ("half", "denoise"), ("half", "ddnm"), ("noise", "denoise"),
    }  # fmt: skip
    blind = replace(table, tasks=table.tasks[:1])
    for wrong, says in ((["snips"], "no task of tiny says"), (["DDRM"], "already"), (["dreamclaen"], "unknown")):
        with pytest.raises(UsageError, match=says):
            joined(blind, wrong)


def test_a_prior_of_grey_images_is_refused_before_anything_is_written(tiny_job: Job, tmp_path: Path) -> None:
    grey = GaussianPrior(torch.zeros(1, 1, 1), torch.tensor(0.3))
    with pytest.raises(UsageError, match="in colour; this prior's have 1 channel"):
        run(replace(tiny_job(tmp_path / "run"), prior=grey))
    assert not (tmp_path / "run").exists()


def test_the_data_sets_own_damage_is_used_where_there_is_no_other(tiny_job: Job, tmp_path: Path) -> None:
    table = tiny_job(tmp_path).table
    own = replace(table.tasks[0], damage={}, stand_in={"name": "noise"})
    pairs = replace(table, tasks=(own,))

    def with_damage() -> object:
        return (item.__class__(item.name, item.clean, item.clean) for item in tiny_job(tmp_path).photographs())

    real = done(tiny_job(tmp_path / "real", table=pairs, photographs=with_damage, source=pairs.data[0]))
    assert real[0].figures["psnr"] == float("inf")
    stood_in = done(tiny_job(tmp_path / "stand-in", table=pairs))
    assert stood_in[0].figures["psnr"] < 30


def test_the_prior_is_shown_no_more_than_it_is_counted(tiny_job: Job, tmp_path: Path) -> None:
    counted = Counted(PRIOR)
    rows = done(tiny_job(tmp_path, prior=counted))
    assert counted.nfe == sum(row.nfe for row in rows)


def test_rows_of_one_label_have_pictures_of_their_own(tiny_job: Job, tmp_path: Path) -> None:
    """A hyper-parameter, or a photograph of the same name, that was changed in between overwrites nothing."""
    table = tiny_job(tmp_path).table
    before = done(tiny_job(tmp_path, tasks=("noise",)))
    content = {row.picture: (tmp_path / row.picture).read_bytes() for row in before}
    done(tiny_job(tmp_path, tasks=("noise",), table=with_settings(table, {"Ours.gamma": "0.5"})))

    def darker() -> object:
        return (
            replace(item, clean=item.clean / 2) for item in tiny_job(tmp_path).photographs() if item.clean is not None
        )

    done(tiny_job(tmp_path, tasks=("noise",), photographs=darker))
    assert len(content) == len(before)
    assert all((tmp_path / picture).read_bytes() == written for picture, written in content.items())
    assert done(tiny_job(tmp_path, tasks=("noise",))) == before


def test_damage_may_be_drawn_again_for_each_seed(tiny_job: Job, tmp_path: Path) -> None:
    rows = done(tiny_job(tmp_path, tasks=("noise",), seeds=(3, 4), redrawn=True))
    damaged = [row for row in rows if row.method == "damaged" and row.image == "a<i>.png"]
    assert [row.seed for row in damaged] == [3, 4]
    assert damaged[0].figures != damaged[1].figures
    (once,) = (
        row for row in done(tiny_job(tmp_path, tasks=("noise",), seeds=(3, 4))) if row.key[2:4] == damaged[0].key[2:4]
    )
    assert once.seed == 0
