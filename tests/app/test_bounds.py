from __future__ import annotations

from pathlib import Path

import pytest

from pellucid.app.bounds import MOST_EVALUATIONS, check, check_evaluations
from pellucid.app.choices import Choices
from pellucid.app.desk import Desk
from pellucid.app.session import Session
from pellucid.errors import UsageError


@pytest.mark.parametrize(
    "choices",
    [
        Choices(method="dreamclean", steps=10**9),
        Choices(method="dreamclean", settings=("corrections=1000000000",)),
        Choices(method="dreamclean", tile=1),
        Choices(settings=("a" * 10_000,)),
    ],
    ids=["steps", "corrections", "tile", "settings"],
)
def test_what_nobody_waits_for_is_refused_before_anything_is_made(
    desk: Desk, session: Session, photo: Path, choices: Choices
) -> None:
    with pytest.raises(UsageError):
        check(choices)
    session.add({photo: "a.jpg"}, desk.limits)
    desk.run(session, choices)
    assert session.job is None
    assert len(session.messages) == 1


def test_the_product_is_bounded_too() -> None:
    check_evaluations(MOST_EVALUATIONS)
    with pytest.raises(UsageError, match="evaluations"):
        check_evaluations(MOST_EVALUATIONS + 1)
