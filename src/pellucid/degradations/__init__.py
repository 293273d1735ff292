"""Simulated damage: from a clean image to a damaged one, the same for the same seed."""

from .jpeg import compress, multiple_jpeg
from .noise import gaussian_noise

__all__ = ["compress", "gaussian_noise", "multiple_jpeg"]
