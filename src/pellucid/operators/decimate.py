r"""The decomposition of a circular filter of which every f-th pixel is kept: super-resolution by any kernel.

A small frequency k of the measurement sees the f^2 frequencies of the image that are taken for it, through a row
:math:`g_k^H` of the filter's transfer function: :math:`\hat y_k = s_k\, g_k^H \hat x_k`, with :math:`g_k` of norm 1. An
image that is 0 between the pixels that are kept has :math:`\hat x_k` along e, all of whose entries are equal. V turns
e into :math:`g_k` by a reflection (Householder's) in each group, and U is left with a phase; the coordinates of what is
measured are the Hartley transform of the pixels that are kept.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .blur import hartley
from .operator import Svd

_ZERO = 1e-6
"""Singular values below this share of the largest are taken for 0."""


def decimated(row: Tensor, factor: int) -> Svd:
    """The decomposition of A, (C, H, W) -> (C, H / f, W / f).

    Args:
        row: A^T of a bright first pixel, (1, C, H, W), float64: what that pixel of a measurement sees of the image.
        factor: f; divides H and W.
    """
    height, width = row.shape[-2] // factor, row.shape[-1] // factor

    def grouped(spectrum: Tensor) -> Tensor:
        parts: Tensor = spectrum.unflatten(-1, (factor, width)).unflatten(-3, (factor, height))
        return parts

    g = grouped(torch.fft.fft2(row))
    s = g.abs().square().sum((-4, -2), keepdim=True).sqrt() / factor
    kept = s > _ZERO * s.max()
    g = torch.where(kept, g / (factor * s).clamp_min(1e-300), 0)
    along = g.sum((-4, -2), keepdim=True) / factor
    turned = torch.where(along.abs() > 1e-9, -along.conj() / along.abs().clamp_min(1e-300), -1.0)
    mirror = 1 / factor - turned * g
    mirror = (mirror / mirror.abs().square().sum((-4, -2), keepdim=True).sqrt()).to(torch.complex64)
    phase = (turned * kept).squeeze((-4, -2)).to(torch.complex64)
    values = torch.zeros(row.shape)
    values[..., ::factor, ::factor] = (s * kept).squeeze((-4, -2)).float()
    known = values[..., ::factor, ::factor] > 0

    def reflected(x: Tensor) -> Tensor:
        spectrum, m = grouped(torch.fft.fft2(x)), mirror.to(x.device)
        spectrum = spectrum - 2 * m * (m.conj() * spectrum).sum((-4, -2), keepdim=True)
        made: Tensor = torch.fft.ifft2(spectrum.flatten(-4, -3).flatten(-2)).real
        return made

    def placed(x: Tensor, kept_pixels: Tensor) -> Tensor:
        x = x.clone()
        x[..., ::factor, ::factor] = kept_pixels
        return x

    def turn(z: Tensor, by: Tensor) -> Tensor:
        made: Tensor = torch.fft.ifft2(by.to(z.device) * torch.fft.fft2(z)).real
        return made

    def outer(y: Tensor) -> Tensor:
        small = hartley(turn(y, phase.conj())) * known.to(y)
        return placed(y.new_zeros(*y.shape[:-2], *row.shape[-2:]), small)

    def inner(x: Tensor) -> Tensor:
        w = reflected(x)
        return placed(w, hartley(w[..., ::factor, ::factor]))

    return Svd(
        values,
        lambda z: reflected(placed(z, hartley(z[..., ::factor, ::factor]))),
        inner,
        lambda z: turn(hartley(z[..., ::factor, ::factor] * known.to(z)), phase),
        outer,
    )
