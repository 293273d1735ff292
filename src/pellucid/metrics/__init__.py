"""How close a restored image is to the clean one."""

from .psnr import psnr

__all__ = ["psnr"]
