"""What hangs, crashes, swells or lies in a process apart costs one line, and the next call finds another process."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from pellucid import apart, images
from pellucid.apart import Bounds
from pellucid.apart.bounds import free_memory
from pellucid.errors import PellucidError, UsageError

linux = pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are kept to on Linux alone")

# Functions of a module that a process apart has, too.
PID = os.getpid


@pytest.fixture(scope="module")
def bounds() -> Bounds:
    return Bounds(seconds=30, memory=300_000_000, most=1)


def test_nothing_is_apart_where_it_is_not_said() -> None:
    assert apart.call(PID) == os.getpid()
    assert apart.place(Path("a.png")) == Path("a.png")


def test_a_process_stays_warm_for_the_next_call(bounds: Bounds) -> None:
    with apart.inside(bounds):
        first = apart.call(PID)
        assert first != os.getpid()
        assert apart.call(PID) == first
    with apart.inside(bounds):
        assert apart.call(PID) == first
    assert apart.call(PID) == os.getpid()


@pytest.mark.skipif(sys.platform == "win32", reason="has no such signals")
@pytest.mark.parametrize("number", ["SIGSEGV", "SIGABRT", "SIGKILL"])
def test_one_that_crashes_is_replaced(bounds: Bounds, number: str) -> None:
    with apart.inside(bounds):
        before = apart.call(PID)
        with pytest.raises(PellucidError, match=f"^the process that read it was ended by {number}"):
            apart.call(os.kill, before, getattr(signal, number))
        assert apart.call(PID) not in (before, os.getpid())


def test_one_that_hangs_is_given_up() -> None:
    line = r"^took more than 0\.5 s to read and was given up$"
    with apart.inside(Bounds(seconds=0.5, most=1)), pytest.raises(PellucidError, match=line):
        apart.call(time.sleep, 1000)
    with apart.inside(Bounds(seconds=30, memory=300_000_000, most=1)):
        assert apart.call(abs, -2) == 2


@linux
def test_one_that_swells_ends_in_a_line(bounds: Bounds) -> None:
    with apart.inside(bounds):
        with pytest.raises(PellucidError, match=r"^does not fit into memory$"):
            apart.call(bytes, 400_000_000)
        assert len(apart.call(bytes, 10_000_000)) == 10_000_000


@pytest.mark.parametrize("value", [OrderedDict(a=1), Path("a"), ValueError("a"), print], ids=repr)
def test_an_answer_holds_no_other_classes(bounds: Bounds, value: object) -> None:
    """What an answer is made of is read without a class being looked up, but for those of pictures."""
    with apart.inside(bounds), pytest.raises(PellucidError, match=r"invalid answer .* is no part of an answer"):
        apart.call(_same(), value)


def _same() -> Any:
    from copy import copy

    return copy


def test_an_answer_is_no_larger_than_a_call_may_take() -> None:
    with apart.inside(Bounds(memory=50_000_000, most=1)), pytest.raises(PellucidError, match=r"invalid answer|memory"):
        apart.call(bytes, 60_000_000)


def test_errors_are_of_their_kind(bounds: Bounds) -> None:
    with apart.inside(bounds):
        with pytest.raises(UsageError, match="is uint8"):
            apart.call(images.from_array, np.zeros((2, 2), np.int32))
        with pytest.raises(PellucidError, match=r"^failed unexpectedly \(ZeroDivisionError: "):
            apart.call(divmod, 1, 0)


def test_calls_of_several_threads_wait_for_each_other(bounds: Bounds) -> None:
    found: list[int] = []
    with apart.inside(bounds):
        threads = [threading.Thread(target=lambda: found.append(apart.call(PID))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp"])
@pytest.mark.parametrize("kind", ["L", "RGB", "LA", "RGBA"])
def test_pictures_are_those_that_are_read_here(bounds: Bounds, tmp_path: Path, suffix: str, kind: str) -> None:
    if suffix == ".jpg" and "A" in kind:
        pytest.skip("the format has no transparency")
    path, rng = tmp_path / f"a{suffix}", np.random.default_rng(0)
    texts = PngImagePlugin.PngInfo()
    texts.add_itxt("Title", "Bær", "no", "Tittel")
    exif = Image.Exif()
    exif[0x010E] = "a view"
    exif[0x0112] = 6
    pixels = rng.integers(0, 256, (5, 7, len(kind)), np.uint8)
    more: dict[str, Any] = {"pnginfo": texts} if suffix == ".png" else {}
    Image.fromarray(pixels.squeeze(), kind).save(path, exif=exif, dpi=(72, 96), **more)
    here = images.read(path)
    with apart.inside(bounds):
        there = images.read(path)
        assert images.sizes_of(path) == [(7, 5)]
    assert np.array_equal(there.pixels, here.pixels)
    assert there.pixels.dtype == here.pixels.dtype
    assert (there.metadata, there.jpeg, there.note, there.more) == (here.metadata, here.jpeg, here.note, here.more)
    if suffix == ".png":
        assert there.metadata["texts"]["Title"].lang == "no"


def test_a_file_is_named_as_it_was_said(bounds: Bounds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.png").write_bytes(b"no image")
    lines = []
    for name in ("a.png", "b.png", "."):
        with pytest.raises(PellucidError) as here:
            images.read(Path(name))
        with apart.inside(bounds), pytest.raises(PellucidError) as there:
            images.read(Path(name))
        assert str(there.value) == str(here.value)
        lines.append(str(here.value))
    assert lines[1] == "b.png: there is no such file"


@linux
def test_free_memory_is_within_this_machines() -> None:
    free = free_memory()
    assert free is not None
    assert 0 < free <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


@linux
def test_free_memory_is_what_a_process_may_still_take(bounds: Bounds) -> None:
    with apart.inside(bounds):
        free = apart.call(free_memory)
    assert free is not None
    assert free <= 300_000_000


@linux
@pytest.mark.parametrize(("suffix", "each"), [(".png", 14.3), (".webp", 22.8), (".tif", 12.4), (".jpg", 14.3)])
def test_what_will_not_fit_is_refused_with_its_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, each: float
) -> None:
    path, need = tmp_path / f"a{suffix}", round(each * 5_000_000)
    Image.new("L" if suffix == ".tif" else "RGB", (2500, 2000)).save(path)
    monkeypatch.setattr("pellucid.images.formats.free_memory", lambda: need - 1)
    line = f"a{suffix}: has 5 megapixels, which take 0.1 GB of memory to read, and {(need - 1) / 1e9:.1f} GB are free"
    for function in (images.read, images.sizes_of):
        with pytest.raises(PellucidError, match=line):
            function(path)
    monkeypatch.setattr("pellucid.images.formats.free_memory", lambda: need)
    assert images.sizes_of(path) == [(2000, 2500)]
