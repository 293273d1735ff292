"""Decomposition of a map that is given as a matrix."""

from __future__ import annotations

import torch
from torch import Tensor

from .operator import Shape, Svd, by_image

_MOST = 1 << 26
"""Number of entries of the largest matrix to decompose."""


def svd_of_matrix(matrix: Tensor, shape: Shape, *, channelwise: bool) -> Svd | None:
    """Decomposes y = M x, with x an image, or a channel of an image, as a row of numbers.

    V is a product of Householder reflections that complete the right singular vectors, without a square matrix of the
    image's size.

    Args:
        matrix: (m, n), real.
        shape: of the images, (B, C, H, W).
        channelwise: whether n = H W, and each channel is measured, (B, C, m); else n = C H W, and y is (B, m).

    Returns:
        None for a complex or too large matrix.
    """
    if matrix.is_complex() or matrix.numel() > _MOST:
        return None
    size = tuple(shape[2:]) if channelwise else tuple(shape[1:])
    number = matrix.shape[1]
    u, values, vh = torch.linalg.svd(matrix.detach().cpu().double(), full_matrices=False)
    rank = len(values)
    reflectors, tau = torch.geqrf(vh.mT)
    # Q R = V, with orthonormal columns on both sides: R is diagonal, 1 or -1.
    seen = values > 1e-6 * values.max()
    left = u * reflectors.diagonal().sign() * seen
    reflectors, tau, left = reflectors.float(), tau.float(), left.float()
    s = torch.zeros(number)
    s[:rank] = (values * seen).float()

    def turned(x: Tensor, *, back: bool) -> Tensor:
        def one(image: Tensor) -> Tensor:
            columns = image.reshape(-1, number).mT
            made: Tensor = torch.ormqr(reflectors.to(x), tau.to(x), columns, left=True, transpose=back)
            return made.mT.reshape(image.shape)

        return by_image(one, x)

    def measured(z: Tensor) -> Tensor:
        flat = z.reshape(*z.shape[:2], number) if channelwise else z.reshape(len(z), number)
        return by_image(lambda image: image[..., :rank] @ left.mT.to(z), flat)

    def coordinates(y: Tensor) -> Tensor:
        found = by_image(lambda one: one @ left.to(y), y)
        z = y.new_zeros(*y.shape[:-1], number)
        z[..., :rank] = found
        return z.view(len(y), *shape[1:])

    return Svd(
        s.view(1, *(1,) * channelwise, *size),
        lambda z: turned(z, back=False),
        lambda x: turned(x, back=True),
        measured,
        coordinates,
    )
