from __future__ import annotations

from pellucid.app.attempts import FREE, LONGEST, PER_MINUTE, Attempts


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_each_wrong_password_beyond_the_first_waits_twice_as_long() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    assert [attempts.begin("1.2.3.4") for _ in range(FREE)] == [0] * FREE
    for wait in (1, 2, 4, 8, 16, 32, LONGEST, LONGEST):
        assert attempts.begin("1.2.3.4") == wait
        clock.now += wait
        assert attempts.begin("1.2.3.4") == 0
    # Others are not kept waiting, and who is right begins anew.
    assert attempts.begin("1.2.3.5") == 0
    attempts.right("1.2.3.4")
    assert attempts.begin("1.2.3.4") == 0


def test_many_addresses_are_no_way_around() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    passed = [attempts.begin(f"10.0.{number // 250}.{number % 250}") for number in range(2 * PER_MINUTE)]
    assert passed.count(0) == PER_MINUTE
    clock.now += 60
    assert attempts.begin("10.1.0.1") == 0


def test_one_network_of_ipv6_is_one_address() -> None:
    attempts = Attempts(Clock())
    assert [attempts.begin(f"2001:db8::{number}") for number in range(FREE + 1)] == [0, 0, 0, 1]
