"""Images between people and tensors: files, PIL, numpy, torch, without losing anything on the way."""

from .atomic import clear
from .files import MAX_PIXELS, SUFFIXES, check_holds, check_suffix, probe, read, size_of, write
from .picture import JpegCoding, Picture, check_unit_range, from_array, from_pil, from_tensor, to_pil, turns

__all__ = [
    "MAX_PIXELS",
    "SUFFIXES",
    "JpegCoding",
    "Picture",
    "check_holds",
    "check_suffix",
    "check_unit_range",
    "clear",
    "from_array",
    "from_pil",
    "from_tensor",
    "probe",
    "read",
    "size_of",
    "to_pil",
    "turns",
    "write",
]
