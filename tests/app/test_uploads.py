from __future__ import annotations

import io
from pathlib import Path

import pytest

from pellucid.app.limits import Limits
from pellucid.app.uploads import WAIT, Uploads
from pellucid.errors import PellucidError


@pytest.fixture
def uploads(tmp_path: Path) -> Uploads:
    return Uploads(tmp_path, Limits(share=100, total=150), lambda visitor: 20 if visitor is None else 10)


def test_a_file_is_its_visitors_and_is_taken_once(uploads: Uploads) -> None:
    handle = uploads.put("me", "../my.png", io.BytesIO(b"mine"))
    with uploads.taken("somebody else", {"path": handle}) as files:
        assert files == {}
    with uploads.taken("me", [{"path": handle, "orig_name": "/etc/passwd"}]) as files:
        ((path, name),) = files.items()
        assert (path.read_bytes(), name) == (b"mine", "my.png")
    assert not path.exists()
    with uploads.taken("me", {"path": handle}) as files:
        assert files == {}
    handle = uploads.put("me", "%22my%22.png", io.BytesIO(b"mine"))
    with uploads.taken("me", {"path": handle, "name": '../"my".png'}) as files:
        assert list(files.values()) == ['"my".png']


@pytest.mark.parametrize("nonsense", [None, "a.png", [{"path": 3}], {"path": "/etc/passwd"}, {"path": ["a"]}, [[]], 7])
def test_what_is_no_handle_is_left_out(uploads: Uploads, nonsense: object) -> None:
    with uploads.taken("me", nonsense) as files:
        assert files == {}


def test_room_is_each_ones_share_and_the_total(uploads: Uploads) -> None:
    with uploads.room("me", 60), pytest.raises(PellucidError, match="one person"), uploads.room("me", 31):
        pass
    full = pytest.raises(PellucidError, match="no room")
    with uploads.room("me", 60), uploads.room("you", 70), full, uploads.room("they", 1):
        pass
    uploads.put("me", "a", io.BytesIO(bytes(50)))
    with pytest.raises(PellucidError, match="one person"), uploads.room("me", 41):
        pass
    with uploads.room("me", 40):
        pass


def test_what_nobody_takes_in_is_removed(uploads: Uploads, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.monotonic", lambda: 100.0)
    uploads.put("me", "a", io.BytesIO(b"a"))
    uploads.sweep(now=100 + WAIT - 1)
    assert len(list(uploads.folder.iterdir())) == 1
    uploads.sweep(now=100 + WAIT)
    assert list(uploads.folder.iterdir()) == []
