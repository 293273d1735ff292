"""Request of a person as one object, and its spelling."""

from .recipe import Choice, Recipe

__all__ = ["Choice", "Recipe"]
