"""Noise of any kind: the finding, and the search for it with a prior."""

from .calm import Calm, part
from .finding import LEAST, Noise
from .scale import changed, reduced
from .search import CALLS, estimate, examined
from .white import whitened

__all__ = ["CALLS", "LEAST", "Calm", "Noise", "changed", "estimate", "examined", "part", "reduced", "whitened"]
