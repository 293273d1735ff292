"""Diagnosis of a picture's damage from the picture: a `Diagnosis`, finding by finding."""

from .compression import Compression
from .content import Content
from .diagnose import CALLS, Diagnosis, diagnose, from_file, noise_alone, of_picture
from .enlarged import Enlarged
from .exposure import Exposure
from .finding import Finding
from .noise import Noise
from .scratches import Scratches
from .screen import Screen

__all__ = [
    "CALLS",
    "Compression",
    "Content",
    "Diagnosis",
    "Enlarged",
    "Exposure",
    "Finding",
    "Noise",
    "Scratches",
    "Screen",
    "diagnose",
    "from_file",
    "noise_alone",
    "of_picture",
]
