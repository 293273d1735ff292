from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pellucid.errors import PellucidError, UsageError
from pellucid.jobs import Item, Left, Shard, make_folders, output_folder, plan, plan_exposures
from pellucid.maths.noise import derive_seed


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """A folder of three images in two levels, and what is none."""
    folder = tmp_path / "scans"
    (folder / "1912").mkdir(parents=True)
    for name in ("a.png", "b.JPG", "1912/a.png"):
        Image.new("RGB", (4, 4)).save(folder / name)
    (folder / "notes.txt").write_text("nothing")
    (folder / ".hidden.png").write_text("nothing")
    return folder


def test_a_file_becomes_a_file(scans: Path, tmp_path: Path) -> None:
    assert plan([scans / "a.png"], tmp_path / "out.tif") == [Item(scans / "a.png", tmp_path / "out.tif")]


def test_a_file_goes_into_a_folder_that_is_or_looks_like_one(scans: Path, tmp_path: Path) -> None:
    (tmp_path / "out.png").mkdir()
    for folder in (tmp_path / "out.png", tmp_path / "new"):
        assert plan([scans / "a.png"], folder) == [Item(scans / "a.png", folder / "a.png")]


def test_a_folder_keeps_its_structure_and_names_its_images(scans: Path, tmp_path: Path) -> None:
    items = plan([scans], tmp_path / "out")
    assert [item.name for item in items] == ["1912/a.png", "a.png", "b.JPG"]
    assert [item.target for item in items] == [tmp_path / "out" / item.name for item in items]


def test_an_output_inside_the_input_is_no_input(scans: Path) -> None:
    Image.new("RGB", (4, 4)).save(scans / "1912" / "b.png")
    assert [item.name for item in plan([scans], scans / "1912", overwrite=True)] == ["a.png", "b.JPG"]


def test_a_format_that_cannot_be_written_becomes_png(tmp_path: Path) -> None:
    Image.new("L", (4, 4)).save(tmp_path / "scan.pgm")
    assert plan([tmp_path / "scan.pgm"], tmp_path / "out")[0].target == tmp_path / "out" / "scan.pgm.png"


def test_in_place(scans: Path) -> None:
    assert all(item.source == item.target for item in plan([scans], None, in_place=True))


@pytest.mark.parametrize(
    ("inputs", "output", "options", "says"),
    [
        (["a.png"], None, {}, "say where to write"),
        (["a.png"], "out", {"in_place": True}, "-o and --in-place exclude each other"),
        (["a.png"], "a.png", {}, "is an input"),
        (["a.png"], "a.png", {"overwrite": True}, "is an input"),
        (["a.png"], ".", {}, "is an input"),
        (["."], ".", {"overwrite": True}, "is an input"),
        (["b.JPG"], "a.png", {}, "exists"),
        (["a.png", "1912/a.png"], "out", {}, "would become .*out/a.png, as .*a.png does"),
        (["a.png", "a.png"], "out", {}, "would become .*out/a.png, as .*a.png does"),
        (["a.png", "b.JPG"], "notes.txt", {}, "several images need a folder"),
        (["a.png", "b.JPG"], "out.png", {}, "is the name of a file; several images, and folders, need a folder"),
        (["."], "out.tif", {}, "is the name of a file"),
        (["a.png"], "out.xyz", {}, "cannot write .xyz"),
    ],
)
def test_what_would_lose_something_is_refused(
    scans: Path, inputs: list[str], output: str | None, options: dict[str, Any], says: str
) -> None:
    target = None if output is None else scans / output
    with pytest.raises(PellucidError, match=says):
        plan([scans / name for name in inputs], target, **options)


def test_overwriting_is_said(scans: Path) -> None:
    assert plan([scans / "b.JPG"], scans / "a.png", overwrite=True) == [Item(scans / "b.JPG", scans / "a.png")]


def test_a_link_to_an_input_is_that_input(scans: Path, tmp_path: Path) -> None:
    (tmp_path / "link.png").symlink_to(scans / "a.png")
    with pytest.raises(UsageError, match="is an input"):
        plan([scans / "a.png"], tmp_path / "link.png", overwrite=True)


def test_an_empty_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(PellucidError, match="holds no images"):
        plan([tmp_path], tmp_path / "out")


def test_names_that_differ_in_case_alone_are_kept_apart(tmp_path: Path) -> None:
    (tmp_path / "Scans").mkdir()
    (tmp_path / "more").mkdir()
    for name in ("Scans/A.png", "more/a.PNG"):
        Image.new("L", (4, 4)).save(tmp_path / name)
    both = [tmp_path / "Scans" / "A.png", tmp_path / "more" / "a.PNG"]
    left: list[Left] = []
    (first,) = plan(both, tmp_path / "out", left=left)
    assert first.target == tmp_path / "out" / "A.png"
    same = "upper and lower case, and two spellings of an accent, count as one"
    why = f"would become {tmp_path / 'out' / 'a.PNG'}, as {both[0]} does ({same})"
    assert left == [Left(both[1], f"{why}: restore it into another folder", failed=True)]
    # So are the two ways to write an accent.
    for name in ("Scans/\u00e9.png", "more/e\u0301.png"):
        Image.new("L", (4, 4)).save(tmp_path / name)
    accents = [tmp_path / "Scans" / "\u00e9.png", tmp_path / "more" / "e\u0301.png"]
    assert [item.source for item in plan(accents, tmp_path / "out", left=left)] == accents[:1]
    assert left[1].path == accents[1]
    # Where both are there already, the disk can tell them apart.
    assert len(plan(both, None, in_place=True)) == 2


def test_what_becomes_png_does_not_meet_a_png(tmp_path: Path) -> None:
    for name in ("a.pgm", "a.pgm.png", "a.jpg", "a.png"):
        Image.new("L", (4, 4)).save(tmp_path / name)
    kept = [tmp_path / "a.jpg", tmp_path / "a.png"]
    assert [item.target.name for item in plan(kept, tmp_path / "out")] == ["a.jpg", "a.png"]
    # Whichever comes first, the name is the one's that had it.
    for names in (["a.pgm", "a.pgm.png"], ["a.pgm.png", "a.pgm"]):
        items = plan([tmp_path / name for name in names], tmp_path / "out")
        assert {item.source.name: item.target.name for item in items} == {
            "a.pgm": "a.pgm.tif",
            "a.pgm.png": "a.pgm.png",
        }
        assert all("a.pgm.tif" not in {name.name for name in item.spare} for item in items)


def test_an_output_has_other_names_in_case_its_format_does_not_do(scans: Path, tmp_path: Path) -> None:
    def names(suffix: str, **options: Any) -> list[str]:
        Image.new("L", (4, 4)).save(tmp_path / f"a{suffix}", format="PNG")
        return [name.name for name in plan([tmp_path / f"a{suffix}"], tmp_path / "out", **options)[0].names]

    assert names(".jpg") == ["a.jpg", "a.jpg.png", "a.jpg.tif"]
    assert names(".heic") == ["a.heic", "a.heic.tif", "a.heic.png"]
    assert names(".png") == ["a.png", "a.png.tif"]
    assert names(".gif") == ["a.gif.png", "a.gif.tif"]
    assert names(".jpg", samples=2) == ["a-1.jpg", "a.jpg-1.png", "a.jpg-1.tif"]
    # A name that a person chose is kept.
    (item,) = plan([tmp_path / "a.jpg"], tmp_path / "b.jpg")
    assert item.names == (tmp_path / "b.jpg",)


def test_a_file_under_a_spare_name_is_replaced_where_it_may_be(tmp_path: Path) -> None:
    Image.new("L", (4, 4)).save(tmp_path / "a.jpg")
    spare = tmp_path / "out" / "a.jpg.png"
    spare.parent.mkdir()
    spare.write_bytes(b"precious")
    (item,) = plan([tmp_path / "a.jpg"], tmp_path / "out")
    assert item.replaces == frozenset()
    assert plan([tmp_path / "a.jpg"], tmp_path / "out", owned=lambda path: path == spare)[0].replaces == {spare}
    assert plan([tmp_path / "a.jpg"], tmp_path / "out", overwrite=True)[0].replaces == set(item.names)
    # A further input is never one of these names.
    other = tmp_path / "out" / "b" / "a.jpg.png"
    for path in (other, tmp_path / "scans" / "b" / "a.jpg"):
        path.parent.mkdir(parents=True)
        Image.new("L", (4, 4)).save(path)
    item, _ = plan([tmp_path / "scans", other], tmp_path / "out", overwrite=True)
    assert [name.name for name in item.names] == ["a.jpg", "a.jpg.tif"]
    # Where a job was, it probably is the job's.
    (tmp_path / "out" / ".pellucid.jsonl").touch()
    with pytest.raises(UsageError, match=r"a\.jpg\.png: exists; say --resume"):
        plan([tmp_path / "a.jpg"], tmp_path / "out")


def test_in_place_what_cannot_be_written_is_left_out(tmp_path: Path) -> None:
    for name in ("a.gif", "b.png"):
        Image.new("L", (4, 4)).save(tmp_path / name)
    left: list[Left] = []
    assert [item.source.name for item in plan([tmp_path], None, in_place=True, left=left)] == ["b.png"]
    assert left == [
        Left(tmp_path / "a.gif", ".gif cannot be written, so it is not replaced: say -o FOLDER", failed=True)
    ]
    with pytest.raises(UsageError, match=r"a\.gif: \.gif cannot be written"):
        plan([tmp_path / "a.gif"], None, in_place=True, left=left)


def test_another_name_of_an_input_is_that_input(scans: Path, tmp_path: Path) -> None:
    """As on a disk that knows no case, where A.PNG is a.png."""
    (tmp_path / "A.PNG").hardlink_to(scans / "a.png")
    with pytest.raises(UsageError, match="is an input"):
        plan([scans / "a.png"], tmp_path / "A.PNG", overwrite=True)


@pytest.mark.parametrize("elsewhere", ["elsewhere", "scans"])
def test_links_lead_no_output_out_of_its_folder(scans: Path, tmp_path: Path, elsewhere: str) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out" / "1912").symlink_to(tmp_path / elsewhere)
    with pytest.raises(UsageError, match="is a link out of the output folder"):
        plan([scans], tmp_path / "out", overwrite=True)
    # The output folder itself may be a link, and an input's name may hold what it likes.
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for item in plan([scans], tmp_path / "link"):
        assert (tmp_path / "link") in item.target.parents
    (item,) = plan([scans / "1912" / ".." / "b.JPG"], tmp_path / "link")
    assert item.target == tmp_path / "link" / "b.JPG"


def test_a_shard_is_refused_for_its_own_outputs_alone(scans: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    whole = plan([scans], out)
    first, second = (plan([scans], out, shard=Shard(index, 2)) for index in (1, 2))
    assert sorted(first + second, key=lambda item: item.name) == whole
    out.mkdir()
    (out / "a.png").write_bytes(b"the second's")
    assert plan([scans], out, shard=Shard(1, 2)) == first
    with pytest.raises(UsageError, match="exists"):
        plan([scans], out, shard=Shard(2, 2))


def test_shards_do_not_depend_on_the_order_of_inputs(scans: Path, tmp_path: Path) -> None:
    inputs = [scans / "a.png", scans / "b.JPG"]
    for index in (1, 2):
        shard = Shard(index, 2)
        assert plan(inputs, tmp_path / "out", shard=shard) == plan(inputs[::-1], tmp_path / "out", shard=shard)


def test_the_folder_of_a_job(scans: Path, tmp_path: Path) -> None:
    assert output_folder([scans / "a.png"], tmp_path / "out.png") == tmp_path
    assert output_folder([scans / "a.png"], tmp_path / "out") == tmp_path / "out"
    assert output_folder([scans], tmp_path / "out.d") == tmp_path / "out.d"
    assert output_folder([scans / "*.png"], tmp_path / "out.png") == tmp_path


def test_what_killed_runs_left_is_removed_where_a_job_writes(scans: Path, tmp_path: Path) -> None:
    items = plan([scans], tmp_path / "out")
    make_folders(items)
    for target in (items[0].target, tmp_path / "out" / "another.png"):
        key = hashlib.sha256(target.name.encode()).hexdigest()[:16]
        (target.parent / f".pellucid-{key}-0123abcd.part").write_bytes(b"half")
    make_folders(items)
    (kept,) = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert hashlib.sha256(b"another.png").hexdigest()[:16] in kept.name


def test_samples_are_outputs_of_their_own(scans: Path, tmp_path: Path) -> None:
    items = plan([scans], tmp_path / "out", samples=2)
    names = ["1912/a-1.png", "1912/a-2.png", "a-1.png", "a-2.png", "b-1.JPG", "b-2.JPG"]
    assert [item.target.relative_to(tmp_path / "out").as_posix() for item in items] == names
    assert [item.label for item in items[2:4]] == ["a.png-1", "a.png-2"]
    assert [item.seed(3) for item in items[2:4]] == [derive_seed(3, "a.png"), derive_seed(3, "a.png", 1)]
    (alone,) = plan([scans / "a.png"], tmp_path / "out")
    assert (alone.label, alone.seed(3)) == ("a.png", 3)
    # More samples add to fewer.
    assert [item for item in plan([scans], tmp_path / "out", samples=3) if item.sample != 3] == items
    first, second = (plan([scans], tmp_path / "out", shard=Shard(i, 2), samples=2) for i in (1, 2))
    assert sorted(first + second, key=lambda item: item.target) == sorted(items, key=lambda item: item.target)


def test_samples_of_files_and_exposures(scans: Path, tmp_path: Path) -> None:
    targets = [tmp_path / "out-1.tif", tmp_path / "out-2.tif"]
    assert [item.target for item in plan([scans / "a.png"], tmp_path / "out.tif", samples=2)] == targets
    both = plan_exposures([scans / "a.png", scans / "b.JPG"], tmp_path / "out.tif", samples=2)
    assert [(item.target, item.others) for item in both] == [(target, (scans / "b.JPG",)) for target in targets]
    Image.new("L", (4, 4)).save(tmp_path / "scan.pgm")
    (item, _) = plan([tmp_path / "scan.pgm"], tmp_path / "out", samples=2)
    assert item.target.name == "scan.pgm-1.png"


def test_samples_that_would_meet_a_file_or_an_input_are_refused(scans: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="samples are 1 or more"):
        plan([scans], tmp_path / "out", samples=0)
    with pytest.raises(UsageError, match="cannot take its place"):
        plan([scans], None, in_place=True, samples=2)
    # By the next run they would be taken for inputs.
    with pytest.raises(UsageError, match="folder of inputs"):
        plan([scans], scans, samples=2)
    Image.new("RGB", (4, 4)).save(scans / "a-1.png")
    with pytest.raises(UsageError, match=r"a-1\.png: is an input"):
        plan([scans / "a.png", scans / "a-1.png"], scans, samples=2)
    # Names that look like samples' are kept apart.
    targets = [item.target.name for item in plan([scans / "a.png", scans / "a-1.png"], tmp_path / "out", samples=2)]
    assert targets == ["a-1.png", "a-2.png", "a-1-1.png", "a-1-2.png"]
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a-2.png").write_bytes(b"precious")
    with pytest.raises(UsageError, match=r"a-2\.png: exists"):
        plan([scans / "a.png"], tmp_path / "out", samples=2)


def test_two_of_one_name_are_not_said_to_differ_in_spelling(tmp_path: Path) -> None:
    both = [tmp_path / folder / "a.png" for folder in "pq"]
    for path in both:
        path.parent.mkdir()
        Image.new("L", (4, 4)).save(path)
    left: list[Left] = []
    plan(both, tmp_path / "out", left=left)
    why = f"would become {tmp_path / 'out' / 'a.png'}, as {both[0]} does: restore it into another folder"
    assert left == [Left(both[1], why, failed=True)]
