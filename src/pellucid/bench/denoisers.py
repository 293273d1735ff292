"""Published PSNR of other denoisers on the standard sets, to be read beside a prior's own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePath


@dataclass(frozen=True)
class Standard:
    """A standard set and what is published on it.

    Attributes:
        name: of the set.
        images: names of its images, without suffix.
        psnr: mean PSNR in dB by denoiser and noise level over 255, colour, white Gaussian noise of known level.
        source: where the figures are from.
    """

    name: str
    images: frozenset[str]
    psnr: Mapping[str, Mapping[int, float]]
    source: str


_CBSD68 = """
101085 101087 102061 103070 105025 106024 108005 108070 108082 109053 119082 12084 123074 126007 130026 134035
14037 143090 145086 147091 148026 148089 157055 159008 160068 16077 163085 167062 167083 170057 175032 175043
182053 189080 19021 196073 197017 208001 210088 21077 216081 219090 220075 223061 227092 229036 236037 24077
241004 241048 253027 253055 260058 271035 285079 291000 295087 296007 296059 299086 300091 302008 304034
304074 306005 3096 33039 351093
"""

CBSD68 = Standard(
    "CBSD68",
    frozenset(_CBSD68.split()),
    {
        "CBM3D": {15: 33.52, 25: 30.71, 50: 27.38},
        "DnCNN": {15: 33.90, 25: 31.24, 50: 27.95},
        "FFDNet": {15: 33.87, 25: 31.21, 50: 27.96},
        "DRUNet": {15: 34.30, 25: 31.69, 50: 28.51},
    },
    "the figures of their papers, as Zhang et al. gather them (IEEE TPAMI 2021, the paper of DRUNet)",
)

STANDARDS = (CBSD68,)


def standard(names: Iterable[str]) -> Standard | None:
    """The standard set that has exactly these images; None if there is none.

    Args:
        names: file names.
    """
    stems = {PurePath(name).stem for name in names}
    return next((one for one in STANDARDS if one.images == stems), None)
