from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path, PosixPath

import numpy as np
import pytest
from PIL import Image

from pellucid.api import Restorer
from pellucid.errors import PellucidError, UsageError
from pellucid.jobs import Item, Manifest, Work, make_folders, plan
from pellucid.jobs.executors import InProcess, Processes
from pellucid.methods import Denoise

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="ends processes by signals")
NAMES = [f"{letter}.png" for letter in "abcde"]


@dataclass(frozen=True)
class Disturbed:
    """Where kernels are written, for work that must not get so far: what its process runs into instead."""

    what: Callable[[], object]
    name: str = "b.png"

    def __call__(self, item: Item) -> Path:
        if item.name == self.name:
            self.what()
        raise PellucidError("not disturbed")


def crash() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


class Stuck(PosixPath):
    """The path of a file on a disk that never answers a worker."""

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        if multiprocessing.parent_process() is not None:
            threading.Event().wait()
        return super().stat(follow_symlinks=follow_symlinks)


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    folder = tmp_path / "scans"
    folder.mkdir()
    for index, name in enumerate(NAMES):
        pixels = np.random.default_rng(index).integers(0, 255, (6 + index, 9, 3), np.uint8)
        Image.fromarray(pixels).save(folder / name)
    (folder / "d.png").write_bytes(b"broken")
    return folder


def items(scans: Path, target: Path) -> list[Item]:
    planned = plan([scans], target)
    make_folders(planned)
    return planned


def test_the_same_bytes_lines_and_progress_as_in_this_process(scans: Path, tmp_path: Path, tiny_prior: Path) -> None:
    restorer = Restorer(Denoise(), tiny_prior)
    said: list[dict[str, tuple[object, ...]]] = []
    shares: list[dict[str, float]] = []
    for name, executor, batch in (("this", InProcess(), 1), ("two", Processes(2), 1), ("batch", Processes(2), 2)):
        seen: dict[str, float] = {}

        def progress(item: Item, share: float, seen: dict[str, float] = seen) -> None:
            seen[item.name] = seen.get(item.name, 0) + share

        done = executor(Work(restorer, 5, batch=batch), items(scans, tmp_path / name), progress)
        said.append({o.item.name: (o.nfe, o.seed, o.size, o.error, o.noise, o.note) for o in done})
        shares.append(seen)
    assert said[0] == said[1] == said[2]
    assert shares[0] == shares[1] == shares[2]
    written = {path.name: path.read_bytes() for path in (tmp_path / "this").iterdir()}
    assert set(written) == {*NAMES} - {"d.png"}
    for name in ("two", "batch"):
        assert {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} == written


@pytest.mark.parametrize("batch", [1, 3])
def test_a_process_that_dies_costs_one_image(scans: Path, tmp_path: Path, tiny_prior: Path, batch: int) -> None:
    work = Work(Restorer(Denoise(), tiny_prior), kernels=Disturbed(crash), batch=batch)
    outcomes = {o.item.name: o for o in Processes(1)(work, items(scans, tmp_path / "out"))}
    assert set(outcomes) == set(NAMES)
    assert outcomes["b.png"].error == f"{scans / 'b.png'}: its process was ended by SIGSEGV"
    # The others came as far as they do without it, in a new process.
    assert {o.error for o in outcomes.values() if o.item.name in "a.png c.png e.png"} == {
        f"{scans / name}: not disturbed" for name in ("a.png", "c.png", "e.png")
    }


def test_a_file_that_takes_forever_to_read_is_given_up(scans: Path, tmp_path: Path, tiny_prior: Path) -> None:
    planned = [item for item in items(scans, tmp_path / "out") if item.name in ("a.png", "b.png", "c.png")]
    planned[1] = replace(planned[1], source=Stuck(planned[1].source))
    outcomes = list(Processes(1, reading=1.0)(Work(Restorer(Denoise(), tiny_prior)), planned))
    assert [o.item.name for o in outcomes] == ["a.png", "b.png", "c.png"]
    assert outcomes[1].error == f"{scans / 'b.png'}: took more than 1 s to read and was given up"
    assert outcomes[2].error is None


def test_what_is_closed_leaves_nothing_and_can_be_gone_on_with(scans: Path, tmp_path: Path, tiny_prior: Path) -> None:
    work, planned = Work(Restorer(Denoise(), tiny_prior)), items(scans, tmp_path / "out")
    manifest = Manifest(tmp_path / "out")
    outcomes = manifest.record(planned, lambda begun: Processes(2)(work, begun), 0, "x")
    next(outcomes)
    outcomes.close()
    assert not [path for path in (tmp_path / "out").iterdir() if path.suffix == ".part"]
    again = Manifest(tmp_path / "out")
    left = again.left(plan([scans], tmp_path / "out", owned=again.owns), 0, "x")
    rest = list(again.record(left, lambda begun: InProcess()(work, begun), 0, "x"))
    assert len(rest) in (4, 5)  # the first was the broken one
    assert [o.item.name for o in rest if o.error] in ([], ["d.png"])


def test_what_cannot_be_sent_is_said(scans: Path, tmp_path: Path, tiny_prior: Path) -> None:
    work = Work(Restorer(Denoise(), tiny_prior), kernels=lambda item: item.target)
    with pytest.raises(UsageError, match=r"cannot be sent to other processes.*--executor this"):
        next(Processes(1)(work, items(scans, tmp_path / "out")))
    with pytest.raises(UsageError, match="1 or more, not 0"):
        Processes(0)


class Hostile:
    """Ends the process that it is sent to."""

    def __reduce__(self) -> tuple[object, ...]:
        return os._exit, (3,)


def test_a_process_that_cannot_begin_ends_the_job(scans: Path, tmp_path: Path, tiny_prior: Path) -> None:
    work = Work(Restorer(Denoise(), tiny_prior), kernels=Hostile())  # type: ignore[arg-type]
    with pytest.raises(PellucidError, match=r"exit code 3\), before it began"):
        list(Processes(1)(work, items(scans, tmp_path / "out")))


def test_processes_end_with_the_one_that_began_them(scans: Path, tmp_path: Path, tiny_prior: Path) -> None:
    """Killed without a word, a job leaves nobody behind who goes on writing."""
    code = f"""
import sys
from pathlib import Path
from pellucid.api import Restorer
from pellucid.jobs import Work, plan, make_folders
from pellucid.jobs.executors import Processes
import multiprocessing, os
if __name__ == "__main__":
    items = plan([Path({str(scans)!r})], Path({str(tmp_path / "out")!r}))
    make_folders(items)
    outcomes = Processes(1)(Work(Restorer("denoise", {str(tiny_prior)!r})), items)
    next(outcomes)
    assert "torch._dynamo" not in sys.modules, "a second and more of every start"
    Path({str(tmp_path / "pid")!r}).write_text(str(multiprocessing.active_children()[0].pid))
    os.kill(os.getpid(), 9)
"""
    import subprocess

    (tmp_path / "job.py").write_text(code)
    assert subprocess.run([sys.executable, str(tmp_path / "job.py")], check=False).returncode == -9
    pid = int((tmp_path / "pid").read_text())
    for _ in range(1000):
        if not _is_alive(pid):
            return
        time.sleep(0.01)
    raise AssertionError("it is still there")


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # One that nobody has waited for is no more, either.
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"
