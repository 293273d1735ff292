"""The page about choosing a method says what the methods do now."""

from __future__ import annotations

from benchmarks import choosing


def test_the_page_is_current() -> None:
    assert choosing.PAGE.read_text() == choosing.page(), "run python -m benchmarks.choosing"
