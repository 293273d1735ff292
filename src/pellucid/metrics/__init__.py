"""Metrics of restored images: against clean images, against damaged ones, or without a reference."""

from .consistency import Consistency
from .fid import Fid, frechet
from .loe import Loe
from .lpips import Lpips
from .metric import Metric, SetMetric
from .niqe import Niqe, Pristine
from .psnr import Psnr, psnr
from .registry import get, get_set, is_set, missing, names, options, sets
from .ssim import Ssim, ssim

__all__ = [
    "Consistency",
    "Fid",
    "Loe",
    "Lpips",
    "Metric",
    "Niqe",
    "Pristine",
    "Psnr",
    "SetMetric",
    "Ssim",
    "frechet",
    "get",
    "get_set",
    "is_set",
    "missing",
    "names",
    "options",
    "psnr",
    "sets",
    "ssim",
]
