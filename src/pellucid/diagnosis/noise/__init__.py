"""Noise of any kind: the finding, and the search for it with a prior."""

from .calm import Calm, part
from .finding import LEAST, Noise
from .search import CALLS, estimate, examined
from .white import whitened

__all__ = ["CALLS", "LEAST", "Calm", "Noise", "estimate", "examined", "part", "whitened"]
