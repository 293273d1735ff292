"""A person's request as one object, and its spellings."""

from .recipe import Choice, Recipe

__all__ = ["Choice", "Recipe"]
