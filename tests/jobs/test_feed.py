from __future__ import annotations

import time
from pathlib import Path

import pytest

from pellucid.jobs import Feed, Item, Outcome

ITEMS = [Item(Path(f"{name}.png"), Path("out") / f"{name}.png") for name in "abc"]


def test_all_are_handed_out() -> None:
    feed = Feed(ITEMS, 60)
    assert list(feed) == ITEMS
    assert feed.stopped == ""


def test_the_first_is_handed_out_however_little_time_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    feed = Feed(ITEMS, 2)
    handed = iter(feed)
    now = 500.0
    assert next(handed) == ITEMS[0]
    now = 119.9
    assert next(handed) == ITEMS[1]
    now = 120.0
    assert list(handed) == []
    assert (feed.stopped, feed.full) == ("time limit reached", False)
    assert list(Feed([], 1e-9)) == []


def test_nothing_is_handed_out_when_nothing_can_be_written() -> None:
    feed = Feed(ITEMS)
    handed = iter(feed)
    feed.heed(Outcome(next(handed), 0, 0, 0.0, None, "a.png: is no image"))
    feed.heed(Outcome(next(handed), 0, 0, 0.0, None, "the disk is full", stops=True))
    assert list(handed) == []
    assert (feed.stopped, feed.full) == ("nothing more can be written", True)
