"""Operators: models of known damage, for methods that use them."""

from .blur import Blur
from .compose import Compose, Stack
from .fourier import Fourier
from .hadamard import Hadamard
from .jpeg import Jpeg
from .operator import Operator, Svd
from .phase import PhaseRetrieval
from .pixels import Denoise, Grayscale, Mask, ToneCurve
from .quantised import Quantised
from .resize import AveragePool, Bicubic, Thumbnail

__all__ = [
    "AveragePool",
    "Bicubic",
    "Blur",
    "Compose",
    "Denoise",
    "Fourier",
    "Grayscale",
    "Hadamard",
    "Jpeg",
    "Mask",
    "Operator",
    "PhaseRetrieval",
    "Quantised",
    "Stack",
    "Svd",
    "Thumbnail",
    "ToneCurve",
]
