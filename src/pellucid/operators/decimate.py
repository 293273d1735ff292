r"""Decomposition of a circular filter with every f-th pixel kept: super-resolution by any kernel.

A frequency k of the measurement mixes the f^2 frequencies of the image that alias to it, by a row
:math:`g_k^H` of the filter's transfer function: :math:`\hat y_k = s_k\, g_k^H \hat x_k`, with :math:`g_k` of norm 1. An
image that is 0 except at the kept pixels has :math:`\hat x_k` along e, the vector of equal entries. V maps e to
:math:`g_k` by a Householder reflection in each group, and U is a phase. The coordinates of the measured part are the
Hartley transform of the kept pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .blur import hartley
from .operator import Svd

_ZERO = 1e-6
"""Share of the largest singular value below which one counts as 0."""


def decimated(row: Tensor, factor: int) -> Svd:
    """Decomposition of A, (C, H, W) -> (C, H / f, W / f).

    Args:
        row: A^T of a bright first pixel, (1, C, H, W), float64: the weights of the image in that pixel of a
            measurement.
        factor: f; divides H and W.
    """
    height, width = row.shape[-2] // factor, row.shape[-1] // factor

    def grouped(spectrum: Tensor) -> Tensor:
        groups: Tensor = spectrum.unflatten(-1, (factor, width)).unflatten(-3, (factor, height))
        return groups

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
