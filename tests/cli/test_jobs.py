"""Jobs that are stopped and gone on with, as a person does."""

from __future__ import annotations

import csv
import errno
import itertools
import json
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pellucid import images
from pellucid.api import Restorer
from pellucid.errors import PellucidError
from pellucid.jobs import lines, overlap

Command = Callable[..., Any]
FAST = ("--strength", "20")
NAMES = ("a.png", "b.png", "c.png", "sub/d.png")
SPEED = r" \([\d.e+]+ images a minute, [\d.e+-]+ megapixels a second\)"


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    folder = tmp_path / "scans"
    for index, name in enumerate(NAMES):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(index).integers(0, 255, (10, 12, 3), np.uint8)
        Image.fromarray(pixels).save(folder / name)
    return folder


@pytest.fixture
def job(pellucid_command: Command, scans: Path, tmp_path: Path, tiny_prior: Path) -> Command:
    """Restores the folder into another."""
    return lambda *more, out="out": pellucid_command(
        "restore", scans, "-o", tmp_path / out, "-p", tiny_prior, *FAST, *more
    )


def written(folder: Path) -> dict[str, bytes]:
    """All files but the manifests."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".pellucid")
    }


def stop(monkeypatch: pytest.MonkeyPatch, at: int, after: bool, problem: BaseException | type[BaseException]) -> None:
    """Makes the process end where it writes an image, before or after that."""
    write, calls = images.write, itertools.count(1)

    def write_or_stop(picture: Any, path: Path, **options: Any) -> None:
        call = next(calls)  # in one step, since several threads write
        if call == at and not after:
            raise problem
        write(picture, path, **options)
        if call == at:
            raise problem

    monkeypatch.setattr(images, "write", write_or_stop)


def one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Images follow each other, as where no core is free; `tests/jobs/test_overlap.py` has the others."""
    monkeypatch.setattr(overlap, "usual", lambda device: 1)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", [1, 3, 4])
def test_a_stopped_job_goes_on_to_the_same_bytes(
    job: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int, after: bool
) -> None:
    one_by_one(monkeypatch)
    said = job(out="whole")
    assert said.code == 0
    assert re.fullmatch(rf"4 of 4 images done, \d+\.\d s{SPEED}\n", said.err)
    with monkeypatch.context() as patch:
        stop(patch, at, after, KeyboardInterrupt)
        said = job()
    assert said.code == 130
    first, last = said.err.splitlines()
    speed = SPEED if at > 2 else ""
    pattern = rf"stopped: {at - 1} of 4 images done, \d+\.\d s{speed}; the same command with --resume continues"
    assert re.fullmatch(pattern, first)
    assert last == "pellucid: interrupted"
    assert len(written(tmp_path / "out")) == at - 1 + after
    said = job("--resume")
    assert said.code == 0
    assert written(tmp_path / "out") == written(tmp_path / "whole")
    assert len(said.out.splitlines()) == 5 - at
    if at > 1:
        skipped, summary = said.err.splitlines()
        assert skipped == f"{at - 1} of 4 images skipped: done already"
        speed = SPEED if at < 4 else ""
        assert re.fullmatch(rf"{5 - at} of 4 images done, {at - 1} skipped, \d+\.\d s{speed}", summary)
    said = job("--resume", "--json")
    assert (said.code, said.out) == (0, "")
    assert "0 of 4 images done, 4 skipped" in said.err


def test_a_queues_limit_stops_a_job_as_an_interrupt_does(
    job: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = images.write

    def write_at_the_limit(picture: images.Picture, path: Path, **options: Any) -> None:
        write(picture, path, **options)
        signal.raise_signal(signal.SIGTERM)

    one_by_one(monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr(images, "write", write_at_the_limit)
        said = job()
    assert said.code == 130
    assert "the same command with --resume continues" in said.err
    assert "4 of 4 images done" in job("--resume").err


def test_a_process_that_ends_without_a_word_goes_on_likewise(
    job: Command, scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    one_by_one(monkeypatch)
    with monkeypatch.context() as patch:
        stop(patch, 2, True, Killed)
        with pytest.raises(Killed):
            job()
    # Without --resume all is as ever, and the way on is named.
    said = job()
    assert said.code == 2
    assert "exists (and 1 more); say --resume to continue the job there, or name another output, or" in said.err
    assert job("--resume").code == 0
    assert set(written(tmp_path / "out")) == set(NAMES)
    # Another configuration, or a changed image, is another job's work.
    said = job("--resume", "--seed", 1)
    assert "skipped" not in said.err
    assert "4 of 4 outputs are made again: their images, or the options, are not those of then" in said.err
    Image.new("RGB", (12, 10)).save(scans / "b.png")
    said = job("--resume", "--seed", 1)
    assert "1 of 4 images done, 3 skipped" in said.err
    assert "1 of 4 outputs are made again" in said.err
    assert "again" not in job("--resume", "--seed", 1).err
    # Nor are other numbers of the network.
    assert "skipped" not in job("--resume", "--precision", "bfloat16").err


def test_what_failed_is_tried_again(job: Command, scans: Path) -> None:
    whole = (scans / "b.png").read_bytes()
    (scans / "b.png").write_bytes(whole[:100])
    said = job()
    assert said.code == 1
    assert re.search(r"3 of 4 images done, 1 failed, \d", said.err)
    assert job("--resume").code == 1
    (scans / "b.png").write_bytes(whole)
    said = job("--resume")
    assert said.code == 0
    assert "1 of 4 images done, 3 skipped" in said.err


def test_a_dry_run_says_what_is_left_and_writes_nothing(job: Command, tmp_path: Path) -> None:
    assert job("--dry-run", "--resume").code == 0
    assert not (tmp_path / "out").exists()
    job()
    before = (tmp_path / "out" / ".pellucid.jsonl").read_bytes()
    said = job("--dry-run", "--resume")
    assert (said.out, said.err) == ("", "4 of 4 images skipped: done already\n")
    assert (tmp_path / "out" / ".pellucid.jsonl").read_bytes() == before


def test_shards_share_a_folder(job: Command, tmp_path: Path) -> None:
    job(out="whole")
    for index in (3, 1, 2):
        assert job("--shard", f"{index}/3").code == 0
    assert written(tmp_path / "out") == written(tmp_path / "whole")
    # One machine may go on with what three began.
    assert "4 skipped" in job("--resume").err
    assert job("--shard", "9/9", out="empty").code == 0
    for wrong in ("0/3", "4/3", "x"):
        assert job("--shard", wrong).code == 2


def test_a_time_limit_ends_after_the_image_in_work(job: Command, tmp_path: Path) -> None:
    said = job("--time-limit", "1e-9")
    assert said.code == 130
    assert "time limit reached: 1 of 4 images done" in said.err
    assert "interrupted" not in said.err
    assert "--resume continues" in said.err
    assert len(written(tmp_path / "out")) == 1
    said = job("--resume", "--time-limit", "600")
    assert said.code == 0
    assert "3 of 4 images done, 1 skipped" in said.err
    for wrong in ("0", "-1", "nan", "inf"):
        assert job("--time-limit", wrong).code == 2


@pytest.mark.parametrize("place", [("--workers", 2), ("--batch", 3)])
def test_several_processes_or_images_at_once_change_nothing_but_the_order(
    job: Command, scans: Path, tmp_path: Path, place: tuple[object, ...]
) -> None:
    (scans / "broken.png").write_bytes(b"no image")
    one, several = job("--json", "--executor", "this", out="one"), job("--json", *place, out="several")
    assert (one.code, several.code) == (1, 1)
    records = []
    for said, name in ((one, "one"), (several, "several")):
        text = re.sub(r'"seconds": [0-9.]+', "", said.out.replace(str(tmp_path / name), "OUT"))
        records.append(sorted(text.splitlines()))
    assert records[0] == records[1]
    assert [line.split(", ")[:2] for line in several.err.splitlines()] == [
        [f"pellucid: {scans / 'broken.png'}: is no image (or one of a kind that cannot be read)"],
        ["4 of 5 images done", "1 failed"],
    ]
    assert written(tmp_path / "several") == written(tmp_path / "one")
    assert "0 of 5 images done, 4 skipped, 1 failed" in job("--resume", *place, out="several").err


def test_a_record_that_cannot_be_written_stops_the_job_which_goes_on(
    job: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_by_one(monkeypatch)
    append, calls = lines.append, itertools.count(1)

    def full(path: Path, values: Any) -> None:
        if next(calls) > 4:  # two images are begun and done
            raise PellucidError(f"{path}: cannot be written (the disk is full)")
        append(path, values)

    assert job(out="whole").code == 0
    with monkeypatch.context() as patch:
        patch.setattr(lines, "append", full)
        said = job()
    assert said.code == 1
    first, last = said.err.splitlines()
    assert re.fullmatch(
        rf"stopped: 2 of 4 images done, \d+\.\d s{SPEED}; the same command with --resume continues", first
    )
    assert last == f"pellucid: {tmp_path / 'out' / '.pellucid.jsonl'}: cannot be written (the disk is full)"
    assert "2 skipped" in job("--resume").err
    assert written(tmp_path / "out") == written(tmp_path / "whole")


def test_a_full_disk_stops_the_job_with_one_line(job: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one_by_one(monkeypatch)
    with monkeypatch.context() as patch:
        stop(patch, 2, False, OSError(errno.ENOSPC, "No space left on device"))
        said = job()
    assert said.code == 1
    failed, summary = said.err.splitlines()
    assert "b.png: " in failed
    assert "No space left on device" in failed
    assert summary.startswith("nothing more can be written: 1 of 4 images done, 1 failed")
    assert summary.endswith("; the same command with --resume continues")
    assert job("--resume").code == 0


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (("--executor", "proceses"), "did you mean 'processes'"),
        (("--executor", "this", "--workers", 2), "--workers goes with"),
        (("--executor", "processes", "--address", "auto"), "--address names a Ray cluster"),
        (("--batch", 0), "--batch is a number of images"),
    ],
)
def test_executors_that_are_none_are_refused_before_the_start(
    job: Command, tmp_path: Path, wrong: tuple[object, ...], says: str
) -> None:
    said = job(*wrong)
    assert said.code == 2
    assert says in said.err
    assert not (tmp_path / "out").exists()


def test_one_image_leaves_nothing_beside_it(
    pellucid_command: Command, scans: Path, tmp_path: Path, tiny_prior: Path
) -> None:
    arguments = ("restore", scans / "a.png", "-o", tmp_path / "one" / "a.png", "-p", tiny_prior, *FAST)
    said = pellucid_command(*arguments)
    assert (said.code, said.err) == (0, "")
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["a.png"]
    # What is not known to be the job's own is not replaced, and what is, is known from then on.
    assert pellucid_command(*arguments, "--resume").code == 2
    assert pellucid_command(*arguments, "--resume", "--overwrite").code == 0
    assert pellucid_command(*arguments, "--resume").err == ("1 of 1 images skipped: done already\n")


def test_in_place_cannot_be_gone_on_with(pellucid_command: Command, scans: Path) -> None:
    said = pellucid_command("restore", scans, "--in-place", "--resume")
    assert said.code == 2
    assert "-o FOLDER with --resume" in said.err


def test_in_place_leaves_no_manifest(pellucid_command: Command, scans: Path, tiny_prior: Path) -> None:
    assert pellucid_command("restore", scans, "--in-place", "-p", tiny_prior, *FAST).code == 0
    assert set(written(scans)) == set(NAMES)
    assert not list(scans.rglob(".pellucid*"))


def test_patterns_that_no_shell_expanded(
    pellucid_command: Command, scans: Path, tmp_path: Path, tiny_prior: Path
) -> None:
    said = pellucid_command("restore", scans / "[ab].*", "-o", tmp_path / "out", "-p", tiny_prior, *FAST)
    assert said.code == 0
    assert set(written(tmp_path / "out")) == {"a.png", "b.png"}
    assert "matches no file" in pellucid_command("restore", scans / "*.gif", "-o", tmp_path / "out").err


def test_traces_and_kernels_go_on_with_the_job(
    pellucid_command: Command, scans: Path, tmp_path: Path, tiny_prior: Path
) -> None:
    blind = ("--task", "unblur", "-m", "gibbsddrm", "--set", "kernel=5", "--set", "steps=4")
    places = ("--trace", tmp_path / "traces", "--save-kernel", tmp_path / "kernels")
    job = ("restore", scans / "a.png", scans / "b.png", "-o", tmp_path / "out", "-p", tiny_prior, *blind, *places)
    assert pellucid_command(*job, "--time-limit", "1e-9").code == 130
    assert pellucid_command(*job, "--resume").code == 0
    # The one that is left of two goes where both go.
    assert {path.name for path in (tmp_path / "kernels").iterdir()} == {"a.png.png", "b.png.png"}
    assert {path.name for path in (tmp_path / "traces").glob("*.csv")} == {"a.png.csv", "b.png.csv"}


def test_less_memory_is_said(job: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scans: Path) -> None:
    for name in NAMES[1:]:
        (scans / name).unlink()
    Image.new("RGB", (100, 40), "teal").save(scans / "a.png")
    picture = Restorer.picture

    def large_fails(self: Restorer, *arguments: Any) -> Any:
        if self.tile > 66:
            raise MemoryError
        return picture(self, *arguments)

    monkeypatch.setattr(Restorer, "picture", large_fails)
    said = job("--json")
    assert said.code == 0
    assert json.loads(said.out)["note"] == "did not fit into memory: done in tiles of 66 pixels"
    line = json.loads((tmp_path / "out" / ".pellucid.jsonl").read_text().splitlines()[-1])
    assert "tiles of 66 pixels" in line["note"]


@pytest.mark.skipif(sys.platform != "linux", reason="names are texts elsewhere")
def test_names_that_are_no_text(job: Command, scans: Path, tmp_path: Path) -> None:
    (scans / "a.png").rename(scans / "caf\udce9.png")
    said = job()
    assert said.code == 0
    assert "caf\\udce9.png  " in said.out
    assert (tmp_path / "out" / "caf\udce9.png").is_file()
    assert "4 skipped" in job("--resume").err


def test_stripping_is_part_of_what_was_asked_for(job: Command, scans: Path, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x013B] = "somebody"
    Image.new("RGB", (6, 5)).save(scans / "a.png", exif=exif)
    assert job().code == 0
    assert b"somebody" in written(tmp_path / "out")["a.png"]
    said = job("--resume", "--strip-metadata")
    assert said.code == 0
    assert "4 of 4 images done" in said.err
    assert b"somebody" not in written(tmp_path / "out")["a.png"]
    assert job("--resume", "--strip-metadata").out == ""


def test_a_dry_run_counts_all_pages(pellucid_command: Command, tmp_path: Path, tiny_prior: Path) -> None:
    images.write(images.bound([images.from_array(np.zeros((5, 6, 3), np.uint8))] * 3), tmp_path / "in.tif")
    said = pellucid_command(
        "restore", tmp_path / "in.tif", "-o", tmp_path / "out.tif", "-p", tiny_prior, *FAST, "--dry-run"
    )
    assert "6x5" in said.out
    assert "of 3 tiles" in said.out


def test_latents_are_traced_beside_the_truth(
    pellucid_command: Command, scans: Path, tmp_path: Path, tiny_prior: Path
) -> None:
    walk = ("-p", tiny_prior, "-m", "dreamclean", "-s", "100", "--set", "steps=30")
    places = ("-o", tmp_path / "out", "--trace", tmp_path / "traces")
    said = pellucid_command("restore", scans / "a.png", scans / "b.png", *walk, *places, "--truth", scans)
    assert said.code == 0, said.err
    for name in ("a.png", "b.png"):
        with (tmp_path / f"traces/{name}.latents.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert [(row["way"], row["t"]) for row in rows] == [
            *(("up", t) for t in ("33", "66", "100")),
            *(("down", t) for t in ("100", "66", "33")),
        ]
        with Image.open(tmp_path / f"traces/{name}.latents.png") as sheet:
            assert sheet.size[0] > sheet.size[1] // 2
    out = ("-o", tmp_path / "other")
    assert "goes with --trace" in pellucid_command("restore", scans / "a.png", *walk, *out, "--truth", scans).err
    trace = ("--trace", tmp_path / "more")
    said = pellucid_command("restore", scans / "a.png", *walk, *out, *trace, "--truth", tmp_path)
    assert (said.code, "there is no" in said.err) == (2, True)
    calm = ("-p", tiny_prior, "-m", "denoise")
    said = pellucid_command("restore", scans / "a.png", *calm, *out, *trace, "--truth", scans)
    assert (said.code, "corrects no latents" in said.err) == (1, True)
    # The second page's latents are not those of the first one's truth.
    pages = tmp_path / "pages.tif"
    images.write(images.bound([images.from_array(np.zeros((5, 6, 3), np.uint8))] * 2), pages)
    said = pellucid_command("restore", pages, *walk, *out, "--trace", tmp_path / "third", "--truth", pages)
    assert (said.code, "of a single page, not of 2" in said.err) == (1, True), said.err
