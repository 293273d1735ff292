"""How close a restored image is to the clean one."""

from .lpips import Lpips
from .psnr import psnr
from .ssim import ssim

__all__ = ["Lpips", "psnr", "ssim"]
