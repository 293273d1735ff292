"""How close a restored image is to the clean one."""

from .lpips import Lpips
from .psnr import psnr

__all__ = ["Lpips", "psnr"]
