"""What a person asks for, as one object, and what it is spelled like."""

from .recipe import Choice, Recipe

__all__ = ["Choice", "Recipe"]
