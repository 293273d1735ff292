from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from pellucid.images import clear
from pellucid.images.atomic import replacing

KILLED = """
import os, sys
from pathlib import Path
from pellucid.images.atomic import replacing
with replacing(Path(sys.argv[1])) as file:
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), 9)
"""


def test_a_file_takes_its_name_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 250)  # as long as names can be, all but
    path.write_bytes(b"before")
    with replacing(path) as file:
        file.write(b"after")
        assert path.read_bytes() == b"before"
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"after"]


@pytest.mark.parametrize("problem", [OSError("the disk is full"), KeyboardInterrupt()])
def test_what_fails_leaves_nothing(tmp_path: Path, problem: BaseException) -> None:
    def fail() -> None:
        with replacing(tmp_path / "a.png") as file:
            file.write(b"half")
            raise problem

    with pytest.raises(type(problem)):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"precious")
    (tmp_path / "a.png").symlink_to(tmp_path / "elsewhere")
    with replacing(tmp_path / "a.png") as file:
        file.write(b"new")
    assert (tmp_path / "elsewhere").read_bytes() == b"precious"
    assert not (tmp_path / "a.png").is_symlink()


@pytest.mark.skipif(sys.platform == "win32", reason="has no such permissions")
@pytest.mark.parametrize("mode", [0o600, 0o664])
def test_who_may_read_a_file_stays_as_it_was(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"before")
    path.chmod(mode)
    with replacing(path) as file:
        (partly,) = set(tmp_path.iterdir()) - {path}
        assert stat.S_IMODE(partly.stat().st_mode) == mode
        file.write(b"after")
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"after", mode)


@pytest.mark.skipif(sys.platform == "win32", reason="has no SIGKILL")
def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        assert subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / name)], check=False).returncode == -9
    kept = tmp_path / ".pellucid-notes.part"
    kept.write_text("somebody's")
    left = set(tmp_path.iterdir()) - {kept}
    assert len(left) == 2
    assert not any(path.name.endswith(".png") for path in left)
    # b.png is another machine's.
    (removed,) = clear(tmp_path, ["a.png", "c.png"])
    assert set(tmp_path.iterdir()) == (left | {kept}) - {removed}


@pytest.mark.skipif(sys.platform == "win32", reason="knows other locks")
def test_what_is_being_written_stays(tmp_path: Path) -> None:
    with replacing(tmp_path / "a.png") as file:
        file.write(b"whole")
        assert clear(tmp_path, ["a.png"]) == []
    assert (tmp_path / "a.png").read_bytes() == b"whole"
