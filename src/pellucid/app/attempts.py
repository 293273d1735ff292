"""Wrong passwords: repeated guesses wait longer each time."""

from __future__ import annotations

import ipaddress
import threading
import time
from collections.abc import Callable

FREE = 3
"""Wrong passwords before the first wait."""

LONGEST = 60.0
"""Seconds between two attempts at most."""

PER_MINUTE = 120
"""Wrong passwords in a minute, of all addresses together."""

_FORGET = 3600.0
_MOST = 10_000


class Attempts:
    """Counts wrong passwords by address.

    Args:
        clock: gives seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._wrong: dict[str, tuple[int, float]] = {}
        self._minute: list[float] = []

    def begin(self, address: str) -> float:
        """Counts an attempt as wrong until `right` is called, so that simultaneous attempts evade nothing.

        Args:
            address: source of the attempt.

        Returns:
            Seconds to wait, if the attempt is too early and must be ignored; 0 otherwise.
        """
        key, now = _network(address), self._clock()
        with self._lock:
            self._minute = [then for then in self._minute if now - then < 60]
            number, last = self._wrong.get(key, (0, now))
            pause = 0.0 if number < FREE else min(2.0 ** (number - FREE), LONGEST)
            wait = max(last + pause - now, self._minute[0] + 60 - now if len(self._minute) >= PER_MINUTE else 0)
            if wait > 0:
                return wait
            self._wrong = {k: v for k, v in self._wrong.items() if now - v[1] < _FORGET}
            while len(self._wrong) >= _MOST:
                self._wrong.pop(next(iter(self._wrong)))
            self._wrong[key] = number + 1, now
            self._minute.append(now)
            return 0.0

    def right(self, address: str) -> None:
        """Forgets the wrong attempts of an address whose password is right."""
        with self._lock:
            self._wrong.pop(_network(address), None)
            if self._minute:
                self._minute.pop()


def _network(address: str) -> str:
    """Returns the network of one person: an IPv4 address, or the half of an IPv6 address that providers assign."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    return str(ip if ip.version == 4 else ipaddress.ip_network((ip, 64), strict=False))
