"""What a folder holds beside its images is said, and what cannot be read is a failure; nobody's output is replaced."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from pellucid import apart, cli, images
from pellucid.apart import processes
from pellucid.api import Restorer
from pellucid.bench import data
from pellucid.errors import PellucidError, UsageError
from pellucid.jobs import Item, Left, Manifest, described, make_folders, plan, run
from pellucid.jobs.fingerprint import of_files
from pellucid.methods import DreamClean
from pellucid.priors import GaussianPrior
from pellucid.support.locks import lock
from pellucid.train.data import find as find_sources

RESTORER = Restorer(DreamClean(strength=30), GaussianPrior(torch.zeros(3, 1, 1), torch.tensor(0.3)))
posix = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="has no pipes")


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    folder = tmp_path / "scans"
    (folder / "closed").mkdir(parents=True)
    for index, name in enumerate(("a.png", "b.png")):
        Image.fromarray(np.full((5, 6, 3), 90 + index, np.uint8)).save(folder / name)
    return folder


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of that name cannot be read, whoever runs the tests."""
    scandir = os.scandir

    def refuse(path: Any) -> Any:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)


@posix
def test_what_is_not_taken_is_counted_and_named(scans: Path, tmp_path: Path, closed: None) -> None:
    (scans / "gone.png").symlink_to(scans / "nowhere.png")
    os.mkfifo(scans / "pipe.png")
    (scans / ".hidden.png").touch()
    (scans / "link").symlink_to(scans / "closed", target_is_directory=True)
    for name in (".pellucid.jsonl", ".pellucid-1-of-8.jsonl"):  # a job's own records, which nobody misses
        (scans / name).touch()
    for name in ("c.tga", "d.tga", "e.tga", "f.TGA", "g.jpg_large"):
        (scans / name).touch()
    Image.new("RGB", (6, 5)).save(scans / "h.jfif", "JPEG")
    Image.new("RGB", (6, 5)).save(scans / "i.jpe", "JPEG")
    left: list[Left] = []
    items = plan([scans], tmp_path / "out", left=left)
    assert [item.name for item in items] == ["a.png", "b.png", "h.jfif", "i.jpe"]
    assert {one.path.name: one.why for one in left if one.failed} == {
        "closed": "cannot be read (Permission denied)",
        "gone.png": "is a link to nothing",
        "pipe.png": "is a pipe or a device, not a file",
    }
    assert sorted(described(left)) == [
        f"not taken, .jpg_large is not read in folders: {scans / 'g.jpg_large'}",
        f"not taken, .tga is not read in folders: {scans / 'c.tga'}, {scans / 'd.tga'}, {scans / 'e.tga'} and 1 more",
        f"not taken, a link to a folder: {scans / 'link'}",
        f"not taken, its name begins with a dot: {scans / '.hidden.png'}",
    ]


def test_a_pattern_says_which_folders_it_could_not_look_into(scans: Path, tmp_path: Path, closed: None) -> None:
    left: list[Left] = []
    plan([scans / "**" / "*.png"], tmp_path / "out", left=left)
    assert [(one.path, one.failed) for one in left] == [(scans / "closed", True)]
    with pytest.raises(PellucidError, match=r"closed: cannot be read"):
        plan([scans / "*" / "*.png"], tmp_path / "out")


@posix
@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_the_command_says_so_and_fails(
    pellucid_command: Callable[..., Any], scans: Path, tmp_path: Path, tiny_prior: Path, dry: tuple[str, ...]
) -> None:
    (scans / ".hidden.png").touch()
    arguments = ("restore", scans, "-o", tmp_path / "out", "-p", tiny_prior, "-s", 20, *dry)
    said = pellucid_command(*arguments)
    assert said.code == 0
    assert f"not taken, its name begins with a dot: {scans / '.hidden.png'}\n" in said.err
    os.mkfifo(scans / "pipe.png")
    said = pellucid_command(*arguments, "--overwrite", "--json")
    assert said.code == 1
    assert f"pellucid: {scans / 'pipe.png'}: is a pipe" in said.err
    records = {Path(record["input"]).name: record for record in map(json.loads, said.out.splitlines())}
    assert records["pipe.png"]["error"] == "is a pipe or a device, not a file"
    assert records[".hidden.png"]["left_out"] == "its name begins with a dot"
    if not dry:
        assert "2 of 2 images done, 1 not begun, 1 not taken" in said.err


def test_a_long_name_is_one_images_trouble(scans: Path, tmp_path: Path) -> None:
    Image.new("L", (6, 5)).save(scans / f"{'x' * 251}.gif")
    items = plan([scans], tmp_path / "out")
    make_folders(items)
    manifest = Manifest(tmp_path / "out")
    outcomes = list(manifest.record(items, lambda begun: run(begun, RESTORER), 0, "x"))
    assert [outcome.error is None for outcome in outcomes] == [True, True, False]
    assert "File name too long" in str(outcomes[2].error)
    assert outcomes[2].seconds < outcomes[0].seconds + 60
    assert [item.name for item in Manifest(tmp_path / "out").left(items, 0, "x")] == [items[2].name]


def test_a_folder_that_cannot_be_made_is_its_images_trouble(scans: Path, tmp_path: Path) -> None:
    (scans / "sub").mkdir()
    Image.new("RGB", (6, 5)).save(scans / "sub" / "c.png")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "sub").write_text("a file")
    items = plan([scans], tmp_path / "out")
    make_folders(items)
    assert [outcome.error is None for outcome in run(items, RESTORER)] == [True, True, False]
    with pytest.raises(PellucidError, match="cannot be written to"):
        make_folders(items[2:])


def test_headers_are_read_where_the_work_is_done(
    pellucid_command: Callable[..., Any], scans: Path, tmp_path: Path, tiny_prior: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A decoder that ends its process must not be called in the one that hands out the images."""

    def ends(path: Path, *_: object) -> None:
        raise AssertionError("read in the main process")

    monkeypatch.setattr(images, "read", ends)
    monkeypatch.setattr(images, "sizes_of", ends)
    job = ("restore", scans, "-o", tmp_path / "out", "-p", tiny_prior, "-s", 20, "--workers", 1)
    assert pellucid_command(*job, "--dry-run").code == 0
    assert pellucid_command(*job).code == 0


@pytest.mark.parametrize("second_names", [True, False])
def test_what_appears_while_an_image_is_in_work_is_not_replaced(
    scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, second_names: bool
) -> None:
    def never(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    if not second_names:
        monkeypatch.setattr(Path, "hardlink_to", never)
    out = tmp_path / "out"
    items = plan([scans], out)
    make_folders(items)
    (out / "a.png").write_bytes(b"another job's")
    outcomes = list(Manifest(out).record(items, lambda begun: run(begun, RESTORER), 0, "x"))
    assert "somebody else has written it meanwhile" in str(outcomes[0].error)
    assert outcomes[1].error is None
    assert (out / "a.png").read_bytes() == b"another job's"
    assert {path.name for path in out.iterdir()} == {"a.png", "b.png", ".pellucid.jsonl"}
    # It is not taken for the job's own afterwards, either.
    manifest = Manifest(out)
    with pytest.raises(UsageError, match=r"a\.png: exists and is not as the job left it"):
        plan([scans], out, owned=manifest.owns)
    (done,) = run([Item(scans / "a.png", out / "a.png", replaces=frozenset({out / "a.png"}))], RESTORER)
    assert done.error is None


def test_work_that_is_done_twice_is_done(scans: Path, tmp_path: Path) -> None:
    items = plan([scans], tmp_path / "out")
    make_folders(items)
    assert [o.error for o in (*run(items, RESTORER), *run(items, RESTORER))] == [None] * 4


@pytest.mark.skipif(sys.platform == "win32", reason="has no such locks")
def test_one_job_at_a_time_and_the_next_after_a_kill(scans: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    items = plan([scans], out)
    make_folders(items)
    first = Manifest(out).record(items, lambda begun: run(begun, RESTORER), 0, "x")
    next(first)
    with pytest.raises(UsageError, match="another job is at work"):
        next(Manifest(out).record(items, lambda begun: run(begun, RESTORER), 0, "x"))
    first.close()
    code = (
        "import fcntl, os, sys\n"
        "file = open(sys.argv[1], 'ab')\n"
        "fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(out / ".pellucid.jsonl")], check=False)
    assert killed.returncode == -9
    assert len(list(Manifest(out).record(items[1:], lambda begun: run(begun, RESTORER), 0, "x"))) == 1


@posix
def test_a_manifest_that_is_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".pellucid.jsonl")
    with pytest.raises(PellucidError, match="it is no file"):
        Manifest(tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full")
@pytest.mark.parametrize(("end", "code"), [(">/dev/full", 1), (">&-", 0), ("2>&-", 0), ("2>/dev/full", 0)])
def test_streams_that_take_nothing_end_no_command(end: str, code: int) -> None:
    command = f"'{sys.executable}' -c 'from pellucid.cli import main; main()' methods {end}"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert done.stderr == (
        "pellucid: stdout: cannot be written (No space left on device): results are lost\n" if code else ""
    )


def test_the_command_runs_in_a_thread(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["pellucid", "--version"])
    codes: list[object] = []

    def call() -> None:
        try:
            cli.main()
        except SystemExit as end:
            codes.append(end.code)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    assert codes == [0]
    assert capsys.readouterr().out.strip()


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="has no such signal")
@pytest.mark.parametrize("numbers", [["SIGHUP"], ["SIGTERM", "SIGTERM", "SIGTERM"], ["SIGTERM", "SIGHUP"]])
def test_signals_stop_a_job_in_order(
    pellucid_command: Callable[..., Any],
    scans: Path,
    tmp_path: Path,
    tiny_prior: Path,
    monkeypatch: pytest.MonkeyPatch,
    numbers: list[str],
) -> None:
    write = images.write

    def write_and_end(picture: images.Picture, path: Path, **options: Any) -> None:
        write(picture, path, **options)
        try:
            signal.raise_signal(getattr(signal, numbers[0]))
        finally:
            for name in numbers[1:]:
                signal.raise_signal(getattr(signal, name))

    monkeypatch.setattr(images, "write", write_and_end)
    before = {name: signal.getsignal(getattr(signal, name)) for name in ("SIGINT", "SIGTERM", "SIGHUP")}
    try:
        for name in before:  # under nohup they would be ignored
            signal.signal(getattr(signal, name), signal.SIG_DFL)
        said = pellucid_command("restore", scans, "-o", tmp_path / "out", "-p", tiny_prior, "-s", 20)
        # Whoever called this goes on, and hears signals as before.
        assert {signal.getsignal(getattr(signal, name)) for name in before} == {signal.SIG_DFL}
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)
    assert said.code == 130
    assert "the same command with --resume continues" in said.err
    assert said.err.endswith("pellucid: interrupted\n")


def test_compare_names_what_it_could_not_look_into(
    scans: Path, tmp_path: Path, closed: None, pellucid_command: Callable[..., Any]
) -> None:
    (scans / "c.tga").touch()
    other = tmp_path / "other"
    other.mkdir()
    for name in ("a.png", "b.png"):
        (other / name).write_bytes((scans / name).read_bytes())
    said = pellucid_command("compare", scans, other, "-m", "psnr")
    assert said.code == 1
    assert f"{scans / 'closed'}: cannot be read (Permission denied)" in said.err
    assert f"not taken, .tga is not read in folders: {scans / 'c.tga'}" in said.err
    assert "mean of 2" in said.out
    (scans / "closed").rmdir()
    assert pellucid_command("compare", scans, other, "-m", "psnr").code == 0


def test_neither_training_nor_benchmarks_pass_over_a_closed_folder(scans: Path, closed: None) -> None:
    line = f"{scans / 'closed'}: cannot be read (Permission denied)"
    with pytest.raises(PellucidError) as error:
        find_sources(scans)
    assert str(error.value) == line
    assert data.get("folder").check(scans) == line


def test_hashes_are_of_bytes_that_are_read_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that hangs, or a reader that crashes, is its file's trouble with --resume, too."""
    path = tmp_path / "a.png"
    path.write_bytes(b"abc")
    here = of_files([path])
    calls = []

    def call(function: Callable[..., Any], *arguments: Any) -> Any:
        calls.append(arguments)
        return function(*arguments)

    monkeypatch.setattr("pellucid.apart.call", call)
    assert of_files([path]) == here == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert calls == [(path,)]


CRASHES = """
import os, signal
class LibRawError(Exception): pass
def imread(path):
    if "hang" in path:
        signal.pause()
    os.kill(os.getpid(), signal.SIGSEGV)
"""


@posix
def test_a_decoder_that_crashes_costs_its_file_alone(
    scans: Path, tmp_path: Path, tiny_prior: Path, monkeypatch: pytest.MonkeyPatch,
    pellucid_command: Callable[..., Any],
) -> None:  # fmt: skip
    (tmp_path / "fake").mkdir()
    (tmp_path / "fake" / "rawpy.py").write_text(CRASHES)
    monkeypatch.syspath_prepend(str(tmp_path / "fake"))
    monkeypatch.setattr(processes, "_all", {})
    (scans / "aa.nef").write_bytes(b"II*\0 some camera's own")
    said = pellucid_command("restore", scans, "-o", tmp_path / "out", "-p", tiny_prior, "-m", "dreamclean",
                            "--strength", 30, "--executor", "this")  # fmt: skip
    assert said.code == 1
    line = f"{scans / 'aa.nef'}: the process that read it was ended by SIGSEGV"
    assert said.err.count(line) == 1
    assert sorted(path.name for path in (tmp_path / "out").glob("*.png")) == ["a.png", "b.png"]
    (scans / "hang.nef").write_bytes(b"II*\0 some camera's own")
    with apart.inside(apart.Bounds(seconds=1)), pytest.raises(PellucidError, match="took more than 1 s to read"):
        images.sizes_of(scans / "hang.nef")
    for one in processes._all.values():
        one.close()


@pytest.fixture
def in_place(scans: Path) -> list[Item]:
    (scans / "closed").rmdir()
    return plan([scans], None, in_place=True)


def test_what_another_job_replaced_is_not_restored_twice(in_place: list[Item]) -> None:
    """Both jobs were planned while the files were as they came; the one that comes last finds them replaced."""
    assert [outcome.error for outcome in run(in_place, RESTORER)] == [None, None]
    once = [item.source.read_bytes() for item in in_place]
    errors = [outcome.error for outcome in run(in_place, RESTORER)]
    assert errors == [f"{item.source}: has changed since the job began, and is left unchanged" for item in in_place]
    assert [item.source.read_bytes() for item in in_place] == once


def test_what_changes_while_it_is_in_work_is_left(in_place: list[Item], monkeypatch: pytest.MonkeyPatch) -> None:
    read = images.read

    def read_and_change(path: Path) -> images.Picture:
        picture = read(path)
        if path.name == "a.png":
            path.write_bytes(b"somebody's new one")
        return picture

    monkeypatch.setattr(images, "read", read_and_change)
    first, second = run(in_place, RESTORER)
    assert first.error == f"{in_place[0].source}: has changed since the job began, and is left unchanged"
    assert in_place[0].source.read_bytes() == b"somebody's new one"
    assert second.error is None


@pytest.mark.skipif(sys.platform == "win32", reason="does not replace an open file")
def test_an_input_in_work_is_one_jobs(in_place: list[Item]) -> None:
    before = in_place[0].source.read_bytes()
    with in_place[0].source.open("rb") as file:
        assert lock(file)
        first, second = run(in_place, RESTORER)
    assert first.error == f"{in_place[0].source}: another job is at work on it"
    assert in_place[0].source.read_bytes() == before
    assert second.error is None


def test_windows_locks_a_byte_behind_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: set[tuple[int, int]] = set()

    class Msvcrt:
        LK_NBLCK = 2

        @staticmethod
        def locking(number: int, mode: int, length: int) -> None:
            place = os.fstat(number).st_ino, os.lseek(number, 0, os.SEEK_CUR)
            assert (mode, length) == (2, 1)
            if place in taken:
                raise OSError(36, "deadlock avoided")
            taken.add(place)

    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setitem(sys.modules, "msvcrt", Msvcrt)
    with (tmp_path / "a").open("ab") as one, (tmp_path / "a").open("ab") as other, (tmp_path / "b").open("ab") as third:
        assert (lock(one), lock(other), lock(third)) == (True, False, True)
        one.write(b"line")
    assert (tmp_path / "a").read_bytes() == b"line"
    assert {place for _, place in taken} == {1 << 30}
