"""Prints every route of the page and of the gradio behind it, and which of them are open.

python tests/app/routes.py PRIOR > tests/app/routes.txt
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import Any


def _all(found: Any) -> Iterator[Any]:
    for route in found:
        # What is included or mounted has routes of its own.
        inner = getattr(getattr(route, "original_router", route), "routes", None)
        if inner and not hasattr(route, "endpoint"):
            yield from _all(inner)
        else:
            yield route


def lines(prior: str) -> list[str]:
    """A line for each method of each route of a page with this prior."""
    from pellucid.app import server

    serving = server.Serving(priors=(prior,), device="cpu")
    with server.desk_of(serving) as desk:
        return lines_of(server.application(desk, serving))


def lines_of(app: Any) -> list[str]:
    """A line for each method of each route of a page."""
    from pellucid.app.gate import SESSION, is_open

    found = {("POST", SESSION)}
    for route in _all(app.app.app.routes):
        found |= {(method, route.path) for method in getattr(route, "methods", None) or ["ANY"]}
    # Where a part of a path is anything, a name is put that fits all patterns; of functions, the one that is called.
    found_named = ((method, path, path.replace("{api_name}", "predict")) for method, path in found)
    named = ((method, path, re.sub(r"\{[^}]*\}", "abcd1234", name)) for method, path, name in found_named)
    return sorted(f"{'open' if is_open(method, name) else 'closed'} {method} {path}" for method, path, name in named)


if __name__ == "__main__":
    print("\n".join(lines(sys.argv[1])))
