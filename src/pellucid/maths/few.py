"""Means of a few pixels and values by their rank: torch's own numbers, in a part of its time."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

_SOME = 16
"""One in so many values suggests a bound of the values near an end."""


def means(x: Tensor, rows: int, columns: int) -> Tensor:
    """Means of blocks of a few pixels of images, (..., H, W); an incomplete block at an end is left out.

    `avg_pool2d` adds the same numbers in the same order, and takes three times as long.
    """
    height, width = x.shape[-2] // rows * rows, x.shape[-1] // columns * columns
    some = [x[..., row:height:rows, column:width:columns] for row in range(rows) for column in range(columns)]
    if len(some) == 1:
        return x
    sums = some[0] + some[1]
    for own in some[2:]:
        sums += own
    return sums.div_(rows * columns)


def median(values: Tensor) -> Tensor:
    """Median over the first axis, of an even number the lower one, without a sort as torch has it.

    Args:
        values: (n, ...), without NaN.
    """
    lines = np.ascontiguousarray(values.detach().cpu().numpy().reshape(len(values), -1).T)
    middle = (len(values) - 1) // 2
    return torch.from_numpy(np.partition(lines, middle, 1)[:, middle]).view(values.shape[1:]).to(values.device)


def ranked(values: Tensor, *ranks: int) -> Tensor:
    """The values with so many others below them, near one of the ends of many values.

    Args:
        values: (n,), without NaN.
        ranks: near the same end, from 0 to n - 1.
    """
    numbers, last = values.detach().cpu().numpy(), len(values) - 1
    high = 2 * min(ranks) > last
    most = last - min(ranks) if high else max(ranks)
    some = np.ascontiguousarray(numbers[::_SOME])
    near = min(len(some) - 1, 2 * most // _SOME + _SOME)
    near = len(some) - 1 - near if high else near
    # Of the few values beyond a bound that some of them suggest; of all, where it is too near to the end.
    bound = np.partition(some, near)[near]
    few = numbers[numbers >= bound] if high else numbers[numbers <= bound]
    few = np.sort(few if len(few) > most else numbers)
    return torch.from_numpy(few[[rank - last - 1 if high else rank for rank in ranks]]).to(values.device)
