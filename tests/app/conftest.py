"""The page's desk with a prior that takes milliseconds, and pictures to restore."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from torch import Tensor

from pellucid import images
from pellucid.app.desk import Desk
from pellucid.app.limits import Limits
from pellucid.app.server import Serving, desk_of
from pellucid.app.session import Session
from pellucid.maths.problem import to_unit


def tab(desk: Desk, page: str = "page") -> Session:
    """The session of a tab that is open, of a visitor of its own."""
    desk.sessions.opened(page)
    return desk.sessions.of(desk.sessions.token(desk.sessions.visitor()), page)


@pytest.fixture
def photo(bundled: dict[str, Tensor], tmp_path: Path) -> Path:
    """A small photograph with metadata, as a JPEG file."""
    path = tmp_path / "photo.jpg"
    picture = images.from_tensor(to_unit(bundled["coffee"])[..., :40, :56])
    picture.metadata["dpi"] = (300, 300)
    images.write(picture, path)
    return path


@pytest.fixture
def desk(tiny_prior: Path) -> Iterator[Desk]:
    serving = Serving(
        priors=(str(tiny_prior),), device="cpu", limits=Limits(pixels=100_000, bytes=1_000_000, pictures=3)
    )
    with desk_of(serving) as desk:
        yield desk


@pytest.fixture
def session(desk: Desk) -> Session:
    return tab(desk)


@pytest.fixture
def finish() -> Callable[[Session], None]:
    """Waits for a session's job to be over."""

    def wait(session: Session) -> None:
        assert session.job is not None, session.messages
        assert session.job.ended.wait(60)

    return wait


def until(holds: Callable[[], object], seconds: float = 30) -> None:
    """Waits for something to hold."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)


class Served(NamedTuple):
    """A server of the page in a process of its own.

    Attributes:
        address: of the page.
        notes: file of the addresses beyond this machine that it tried to reach.
        folder: for temporary files.
    """

    address: str
    notes: Path
    folder: Path


@contextmanager
def serving(folder: Path, *arguments: object, end: signal.Signals = signal.SIGINT) -> Iterator[Served]:
    """Runs `pellucid app` on a free port for as long as the block lasts."""
    pytest.importorskip("gradio", reason='needs gradio: pip install "pellucid[app]"')
    notes, temporary, said = folder / "reached.txt", folder / "tmp", folder / "said.txt"
    notes.touch()
    temporary.mkdir()
    script = Path(__file__).with_name("guarded.py")
    command = [sys.executable, str(script), str(notes), "app", "--port", "0", "--device", "cpu", *map(str, arguments)]
    environment = {**os.environ, "TMPDIR": str(temporary), "PELLUCID_APP_PASSWORD": ""}
    with said.open("w") as file, subprocess.Popen(command, stderr=file, env=environment) as process:
        try:
            until(lambda: process.poll() is not None or "http://" in said.read_text(), 300)
            found = re.search(r"http://\S+", said.read_text())
            assert found, said.read_text()
            yield Served(found[0], notes, temporary)
        finally:
            process.send_signal(end)
            process.wait(60)
    # Nothing of the pictures stays behind.
    assert [path.name for path in temporary.iterdir() if path.name.startswith("pellucid-")] == []


@pytest.fixture(scope="session")
def local(tiny_prior: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A page for this machine alone."""
    prior = "natural" if os.environ.get("PELLUCID_SCREENSHOTS") else tiny_prior
    with serving(
        tmp_path_factory.mktemp("local"), "--prior", prior, "--max-megabytes", 1, end=signal.SIGTERM
    ) as served:
        yield served
