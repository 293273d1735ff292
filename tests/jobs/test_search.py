from __future__ import annotations

from pathlib import Path

import pytest

from pellucid.errors import PellucidError
from pellucid.jobs.search import expand, find


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.png", "b.png", "c.tif", "sub/d.png", "[e].png", ".hidden.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    return tmp_path


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*.png", ["[e].png", "a.png", "b.png"]),
        ("?.tif", ["c.tif"]),
        ("**/d.png", ["sub/d.png"]),
        ("[e].png", ["[e].png"]),  # a name before it is a pattern
        ("missing.png", ["missing.png"]),  # its turn will say so
    ],
)
def test_patterns_that_the_shell_left(folder: Path, pattern: str, names: list[str]) -> None:
    assert expand([folder / pattern]) == [folder / name for name in names]


def test_a_pattern_without_files_is_said(folder: Path) -> None:
    with pytest.raises(PellucidError, match=r"\*\.jpg: matches no file"):
        expand([folder / "*.jpg"])


def test_a_loop_of_links_ends(folder: Path) -> None:
    (folder / "sub" / "up").symlink_to(folder, target_is_directory=True)
    (folder / "self.png").symlink_to(folder / "self.png")
    (folder / "good.png").symlink_to(folder / "a.png")
    names = [name for _, name in find(folder, None)]
    assert names == ["[e].png", "a.png", "b.png", "c.tif", "good.png", "sub/d.png"]
    # Named by itself it fails when its turn comes.
    assert find(folder / "self.png", folder / "out") == [(folder / "self.png", "")]
