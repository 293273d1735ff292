from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.errors import PellucidError
from pellucid.jobs import lines


@given(st.integers(0, 40))
def test_a_torn_line_costs_itself_alone(tmp_path_factory: pytest.TempPathFactory, kept: int) -> None:
    path = tmp_path_factory.mktemp("lines") / "a.jsonl"
    lines.append(path, {"a": 1})
    whole = path.read_bytes()
    lines.append(path, {"b": "two"})
    torn = path.read_bytes()[: len(whole) + min(kept, len('{"b": "two"}') - 1)]
    path.write_bytes(torn)
    lines.append(path, {"c": 3})
    assert list(lines.read(path)) == [{"a": 1}, {"c": 3}]


def test_what_is_no_object_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'[1]\n{"a": 1}\n\xff\n\n"x"\n' + b"[" * 100_000)
    assert list(lines.read(path)) == [{"a": 1}]


def test_places_that_cannot_be_used_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(PellucidError, match="cannot be written"):
        lines.append(tmp_path / "none" / "a.jsonl", {})
    with pytest.raises(PellucidError, match="cannot be read"):
        list(lines.read(tmp_path / "a.jsonl"))
