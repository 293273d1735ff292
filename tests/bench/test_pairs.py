from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pellucid.bench.pairs import Pair, pairs
from pellucid.errors import PellucidError, UsageError
from pellucid.jobs import Left

Folder = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Makes a folder of empty files; nothing here opens one."""

    def make(place: str, *names: str) -> Path:
        for name in names:
            (tmp_path / place / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / place / name).touch()
        return tmp_path / place

    return make


def paired(found: list[Pair]) -> dict[str, str | None]:
    return {pair.name: None if pair.truth is None else pair.truth.name for pair in found}


def test_files_go_together_whatever_they_are_called(folder: Folder) -> None:
    place = folder("x", "a.png", "b.tif", "c.jpg")
    found, lines = pairs(place / "a.png", place / "b.tif", place / "c.jpg")
    assert (found, lines) == ([Pair("a.png", place / "a.png", place / "b.tif", place / "c.jpg")], [])


def test_folders_go_together_by_paths_and_suffixes_may_differ(folder: Folder) -> None:
    restored = folder("r", "a.png", "sub/a.png", "scan.pgm.png", "v1.2.png")
    truth = folder("t", "a.tif", "sub/a.png", "scan.pgm", "v1.2.jpg", "notes.txt")
    found, lines = pairs(restored, truth)
    assert paired(found) == {"a.png": "a.tif", "scan.pgm.png": "scan.pgm", "sub/a.png": "a.png", "v1.2.png": "v1.2.jpg"}
    assert found[2].truth == truth / "sub" / "a.png"
    assert lines == []


def test_the_same_name_comes_before_the_same_stem(folder: Folder) -> None:
    found, lines = pairs(folder("r", "a.jpg", "a.png"), folder("t", "a.jpg", "a.png"))
    assert paired(found) == {"a.jpg": "a.jpg", "a.png": "a.png"}
    found, lines = pairs(folder("one", "a.jpg", "a.png"), folder("two", "a.png"))
    assert paired(found) == {"a.png": "a.png"}
    assert [line.split(": ")[1] for line in lines] == [f"has no partner in {folder('two')}"]


def test_what_could_be_either_is_neither(folder: Folder) -> None:
    found, lines = pairs(folder("r", "a.png", "b.png"), folder("t", "a.jpg", "a.tif", "b.jpg"))
    assert paired(found) == {"b.png": "b.jpg"}
    assert [Path(line.partition(": ")[0]).name for line in lines] == ["a.png", "a.jpg", "a.tif"]
    found, lines = pairs(folder("one", "a.jpg", "a.tif", "b.png"), folder("two", "a.png", "b.png"))
    assert paired(found) == {"b.png": "b.png"}
    assert len(lines) == 3


def test_what_has_no_partner_is_said_of_all_sides(folder: Folder) -> None:
    restored, truth = folder("r", "a.png", "b.png"), folder("t", "a.png", "c.png")
    damaged = folder("d", "b.png")
    found, lines = pairs(restored, truth, damaged)
    assert found == [Pair("a.png", restored / "a.png", truth / "a.png", None)]
    assert lines == [
        f"{restored / 'b.png'}: has no partner in {truth}",
        f"{truth / 'c.png'}: has no partner in {restored}",
        f"{restored / 'a.png'}: has no partner in {damaged}",
    ]


def test_without_truth_all_are_there(folder: Folder) -> None:
    found, lines = pairs(folder("r", "a.png", "b.png"), None)
    assert (paired(found), lines) == ({"a.png": None, "b.png": None}, [])


def test_samples_share_their_truth_and_nothing_else_does(folder: Folder) -> None:
    restored = folder("r", "a-1.png", "a-2.png", "scan.pgm-1.png", "b-1-12.png", "a-1-1.png")
    truth = folder("t", "a.png", "a-1.png", "b-1.jpg", "scan.pgm")
    found, lines = pairs(restored, truth, samples=True)
    # A name of one's own comes first.
    expected = {"a-1-1.png": "a-1.png", "a-1.png": "a-1.png", "a-2.png": "a.png", "b-1-12.png": "b-1.jpg"}
    assert paired(found) == expected | {"scan.pgm-1.png": "scan.pgm"}
    assert lines == []
    assert paired(pairs(restored, truth)[0]) == {"a-1.png": "a-1.png"}


def test_maps_of_samples_are_no_samples(folder: Folder) -> None:
    restored = folder(
        "r", "a-1.png", "a-2.png", "a-mean.png", "a-std.png", "sub/b-1.tif", "sub/b-std.tif", "c-mean.png"
    )
    truth = folder("t", "a.png", "sub/b.tif", "c-mean.png")
    left: list[Left] = []
    found, lines = pairs(restored, truth, samples=True, left=left)
    assert paired(found) == {"a-1.png": "a.png", "a-2.png": "a.png", "sub/b-1.tif": "b.tif", "c-mean.png": "c-mean.png"}
    assert lines == []
    assert [(one.path.name, one.why) for one in left] == [
        (name, "a map of samples") for name in ("a-mean.png", "a-std.png", "b-std.tif")
    ]
    assert [line.split(": ")[1] for line in pairs(restored, truth)[1][:2]] == ["has no partner in " + str(truth)] * 2


def test_places_that_do_not_go_together(folder: Folder) -> None:
    place = folder("r", "a.png")
    with pytest.raises(UsageError, match="folders with folders"):
        pairs(place, place / "a.png")
    with pytest.raises(PellucidError, match=r"nowhere: there is no such"):
        pairs(place, place / "nowhere")
    with pytest.raises(PellucidError, match="holds no images"):
        pairs(place, folder("t", "notes.txt"))
    with pytest.raises(PellucidError, match="no image in it has a partner"):
        pairs(place, folder("other", "b.png"))
