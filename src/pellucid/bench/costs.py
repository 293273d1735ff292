"""Cost of a table before its run: evaluations and hours."""

from __future__ import annotations

from typing import NamedTuple

import torch

from ..errors import PellucidError, UsageError
from ..priors.exact import GaussianPrior
from .run_table import entrant_method
from .spec import Table


class TableCost(NamedTuple):
    """Of a whole table.

    Attributes:
        nfe: evaluations for an image, over all methods and tasks.
        images: number of images in all data sets.
        hours: total time.
    """

    nfe: int
    images: int
    hours: float


def cost(table: Table, seconds: float) -> TableCost:
    """Counts evaluations; those of methods that compute gradients take longer than the hours say.

    Args:
        table: which.
        seconds: time of one evaluation.
    """
    ladder = GaussianPrior(torch.zeros(3, 1, 1), torch.tensor(1.0))
    nfe = 0
    for task in table.tasks:
        for entrant in table.methods:
            if entrant.takes_part(task.name):
                try:
                    nfe += entrant_method(entrant, task.name, False, {}).nfe(ladder)
                except UsageError:
                    raise
                except PellucidError:
                    continue  # other people's networks, which make none
    images = sum(source.images for source in table.data)
    return TableCost(nfe, images, nfe * images * seconds / 3600)
