"""Training-free image restoration with diffusion priors.

    import pellucid
    out = pellucid.restore("photo.jpg")

Nothing heavy is imported before it is used: the names below are looked up on first access.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import degradations, methods, metrics, operators, priors
    from .api import diagnose, propose_mask, restore
    from .errors import PellucidError, UsageError
    from .maths.problem import Problem
    from .priors import load_prior
    from .restoration import Recipe

__all__ = [
    "PellucidError",
    "Problem",
    "Recipe",
    "UsageError",
    "degradations",
    "diagnose",
    "load_prior",
    "methods",
    "metrics",
    "operators",
    "priors",
    "propose_mask",
    "restore",
]

_HOMES = {
    "PellucidError": "errors",
    "Problem": "maths.problem",
    "Recipe": "restoration",
    "UsageError": "errors",
    "degradations": "degradations",
    "diagnose": "api",
    "load_prior": "priors",
    "methods": "methods",
    "metrics": "metrics",
    "operators": "operators",
    "priors": "priors",
    "propose_mask": "api",
    "restore": "api",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module(".release", __name__).VERSION
    if name not in _HOMES:
        raise AttributeError(f"module 'pellucid' has no attribute {name!r}")
    home = import_module(f".{_HOMES[name]}", __name__)
    return home if name == _HOMES[name] else getattr(home, name)


def __dir__() -> list[str]:
    return sorted(__all__)
