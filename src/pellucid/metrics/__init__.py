"""How good a restored image is: beside the clean one, beside the damaged one, or by itself."""

from .lpips import Lpips
from .metric import Metric, SetMetric
from .psnr import Psnr, psnr
from .registry import get, get_set, missing, names
from .ssim import Ssim, ssim

__all__ = ["Lpips", "Metric", "Psnr", "SetMetric", "Ssim", "get", "get_set", "missing", "names", "psnr", "ssim"]
