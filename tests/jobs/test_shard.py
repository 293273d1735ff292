from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.errors import UsageError
from pellucid.jobs import Shard


@given(st.lists(st.integers(), max_size=40, unique=True), st.integers(1, 50))
def test_shards_do_each_item_exactly_once_and_alike_many(items: list[int], number: int) -> None:
    shares = [Shard(index, number).of(items) for index in range(1, number + 1)]
    assert sorted(item for share in shares for item in share) == sorted(items)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_shards_are_named() -> None:
    assert Shard.parse("2/8") == Shard(2, 8)


@pytest.mark.parametrize("text", ["0/4", "5/4", "1/0", "1", "a/b", "1/2/3", "-1/4", "1.5/4", "", "1 / 4"])
def test_others_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="shard"):
        Shard.parse(text)
