"""What is wrong with a picture, from the picture: a `Diagnosis`, finding by finding."""

from .content import Content
from .diagnose import CALLS, Diagnosis, diagnose, of_picture
from .exposure import Exposure
from .finding import Finding
from .noise import Noise

__all__ = ["CALLS", "Content", "Diagnosis", "Exposure", "Finding", "Noise", "diagnose", "of_picture"]
