from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from pellucid.api import Restorer
from pellucid.errors import PellucidError, UsageError
from pellucid.jobs import Entry, Item, Manifest, Outcome, Shard, plan, run
from pellucid.jobs.fingerprint import of_files
from pellucid.jobs.run import Outcomes
from pellucid.maths.noise import derive_seed
from pellucid.methods import DreamClean
from pellucid.priors import GaussianPrior

RESTORER = Restorer(DreamClean(strength=30), GaussianPrior(torch.zeros(3, 1, 1), torch.tensor(0.3)))


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    folder = tmp_path / "scans"
    folder.mkdir()
    for index, name in enumerate("abcd"):
        Image.new("RGB", (6, 5), (40 * index, 90, 10)).save(folder / f"{name}.png")
    (folder / "d.png").write_bytes(b"broken")
    return folder


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def restore(items: list[Item], manifest: Manifest, configuration: str = "x") -> list[Outcome]:
    return list(manifest.record(items, lambda begun: run(begun, RESTORER), 0, configuration))


def left(scans: Path, out: Path, configuration: str = "x", seed: int = 0) -> list[str]:
    """The names of what a further run would do."""
    manifest = Manifest(out)
    items = plan([scans], out, owned=manifest.owns)
    return [item.name for item in manifest.left(items, seed, configuration)]


def test_what_is_done_alike_is_skipped_and_what_failed_is_not(scans: Path, out: Path) -> None:
    outcomes = restore(plan([scans], out), Manifest(out))
    assert left(scans, out) == ["d.png"]
    lines = [json.loads(line) for line in (out / ".pellucid.jsonl").read_text().splitlines()]
    assert [line["state"] for line in lines] == ["begun", "done"] * 3 + ["begun", "failed"]
    assert lines[1] == {
        "state": "done",
        "output": "a.png",
        "input": "a.png",
        "input_sha256": of_files([scans / "a.png"]),
        "configuration": "x",
        "seed": derive_seed(0, "a.png"),
        "output_sha256": of_files([out / "a.png"]),
        "seconds": round(outcomes[0].seconds, 3),
        "nfe": 9,
        "note": None,
        "error": None,
    }
    assert "is no image" in lines[-1]["error"]


def test_another_configuration_seed_input_or_a_lost_output_is_work(scans: Path, out: Path) -> None:
    restore(plan([scans], out), Manifest(out))
    everything = ["a.png", "b.png", "c.png", "d.png"]
    assert left(scans, out, configuration="y") == everything
    assert left(scans, out, seed=1) == everything
    (out / "a.png").unlink()
    Image.new("RGB", (6, 5), "white").save(scans / "b.png")
    assert left(scans, out) == ["a.png", "b.png", "d.png"]


def test_an_output_that_somebody_changed_is_not_replaced(scans: Path, out: Path) -> None:
    restore(plan([scans], out), Manifest(out))
    (out / "a.png").write_bytes(b"retouched by hand")
    with pytest.raises(UsageError, match=r"a\.png: exists and is not as the job left it.*--overwrite"):
        left(scans, out)
    manifest = Manifest(out)
    items = plan([scans], out, overwrite=True)
    assert [item.name for item in manifest.left(items, 0, "x")] == ["a.png", "d.png"]


def test_an_output_whose_line_was_lost_is_the_jobs_own(scans: Path, out: Path) -> None:
    """Killed between the output and its line: the line before says whose it is."""
    restore(plan([scans], out), Manifest(out))
    path = out / ".pellucid.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    for lost in (b"", lines[5][:40]):
        path.write_bytes(b"".join(lines[:5]) + lost)
        assert left(scans, out) == ["c.png", "d.png"]
    # What nobody has begun is somebody else's.
    path.write_bytes(b"".join(lines[:4]))
    with pytest.raises(UsageError, match=r"c\.png: exists"):
        left(scans, out)


def test_an_output_is_the_jobs_own_though_its_process_died_before_it_could_say_so(scans: Path, out: Path) -> None:
    def dying(begun: Iterator[Item]) -> Outcomes:
        for outcome in run(begun, RESTORER):
            yield replace(outcome, error="its process was ended")

    items = plan([scans / "a.png"], out)
    list(Manifest(out).record(items, dying, 0, "x"))
    manifest = Manifest(out)
    again = plan([scans / "a.png"], out, owned=manifest.owns)
    assert manifest.left(again, 0, "x") == again
    (out / "a.png").write_bytes(b"a person's")
    with pytest.raises(UsageError, match="exist"):
        plan([scans / "a.png"], out, owned=Manifest(out).owns)


def test_every_torn_end_is_readable_and_can_be_written_after(scans: Path, out: Path) -> None:
    items = plan([scans], out)
    restore(items, Manifest(out))
    path = out / ".pellucid.jsonl"
    whole = path.read_bytes()
    before = whole.rindex(b"\n", 0, -1) + 1
    for end in range(before, len(whole)):
        path.write_bytes(whole[:end])
        entry = Entry("done", "z.png", "z.png", "in", "x", 0, "out")
        Manifest(out).append(entry)
        lines = path.read_bytes().splitlines()
        assert json.loads(lines[-1])["output"] == "z.png"
        assert lines[:-1][: whole[:before].count(b"\n")] == whole[:before].splitlines()


@pytest.mark.parametrize("line", [b"", b"null", b"[1]", b"{", b'{"output": 3}', b"\xff\xfe", b"[" * 100_000])
def test_lines_that_are_none_of_ours_are_passed_over(scans: Path, out: Path, line: bytes) -> None:
    restore(plan([scans], out), Manifest(out))
    path = out / ".pellucid.jsonl"
    path.write_bytes(line + b"\n" + path.read_bytes() + line)
    assert left(scans, out) == ["d.png"]


def test_each_shard_writes_its_own_and_reads_all(scans: Path, out: Path) -> None:
    for index in (1, 2, 3):
        shard = Shard(index, 3)
        restore(plan([scans], out, shard=shard), Manifest(out, shard))
    names = {path.name for path in out.iterdir()}
    assert names == {"a.png", "b.png", "c.png", *(f".pellucid-{i}-of-3.jsonl" for i in (1, 2, 3))}
    assert left(scans, out) == ["d.png"]


def test_several_exposures_count_all(scans: Path, out: Path) -> None:
    item = Item(scans / "a.png", out / "a.png", others=(scans / "b.png",))
    manifest = Manifest(out)
    (out / "a.png").write_bytes(b"result")
    entry = Entry("done", "a.png", "a.png", of_files(item.sources), "x", 0, of_files([out / "a.png"]))
    manifest.append(entry)
    assert Manifest(out).is_done(item, 0, "x")
    assert not Manifest(out).is_done(replace(item, others=(scans / "c.png",)), 0, "x")


def test_a_manifest_that_cannot_be_written_ends_the_job(scans: Path, out: Path) -> None:
    (out / ".pellucid.jsonl").mkdir()
    with pytest.raises(PellucidError, match=r"\.pellucid\.jsonl: cannot be"):
        restore(plan([scans], out), Manifest(out))


def test_a_folder_that_is_not_there_has_no_entries(tmp_path: Path) -> None:
    assert not Manifest(tmp_path / "nowhere").owns(tmp_path / "nowhere" / "a.png")
