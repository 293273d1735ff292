"""Images between people and tensors: files, PIL, numpy, torch, without losing anything on the way."""

from .atomic import clear
from .files import Damaged, coded_anew, copies, keeps_coding, probe, read, size_of, sizes_of, write
from .folders import files_below
from .formats import MAX_PIXELS, SUFFIXES, check_holds, check_suffix, fitting, lacking, left_out, targets_of
from .metadata import MARK, marks
from .picture import Coded, JpegCoding, Picture, Pixels, bound, check_floats, from_array, from_tensor, turns
from .pil import from_pil, orientation, to_pil

__all__ = [
    "MARK",
    "MAX_PIXELS",
    "SUFFIXES",
    "Coded",
    "Damaged",
    "JpegCoding",
    "Picture",
    "Pixels",
    "bound",
    "check_floats",
    "check_holds",
    "check_suffix",
    "clear",
    "coded_anew",
    "copies",
    "files_below",
    "fitting",
    "from_array",
    "from_pil",
    "from_tensor",
    "keeps_coding",
    "lacking",
    "left_out",
    "marks",
    "orientation",
    "probe",
    "read",
    "size_of",
    "sizes_of",
    "targets_of",
    "to_pil",
    "turns",
    "write",
]
