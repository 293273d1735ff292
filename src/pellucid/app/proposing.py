"""A proposal of where a picture is scratched, for somebody to correct before anything is filled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .. import images
from ..diagnosis import scratches
from ..errors import PellucidError
from ..maths.problem import to_model
from .calls import MASK
from .queue import Job
from .session import Session, Upload
from .words import plain

_ROWS = 512
"""Rows that are looked at together: all of a large picture would take gigabytes, and could not be stopped."""

_BEYOND = 128
"""Rows on each side of them that have a say in what is marked there; none further away has."""

FOUND = "Marked is what may be a scratch. Paint what is missing, wipe away what is none, then press Fill in."
NONE = "No scratch was found. Paint over those that you see, then press Fill in."


@dataclass(frozen=True)
class Proposing:
    """A job that marks what seem to be scratches on a picture, beside what is painted on it already.

    Attributes:
        session: whose it is.
        upload: the picture.
    """

    session: Session
    upload: Upload

    def __call__(self, job: Job) -> None:
        """Looks for scratches, and hands the brush over; what goes wrong becomes a message."""
        job.doing = "looking for scratches"
        upload = self.upload
        try:
            found = propose(to_model(images.read(upload.path).tensor()), job)
            upload.hint = FOUND if found.any() else NONE
            if upload.mask is not None:
                found |= images.read(upload.mask).tensor()[0, 0] > 0.5
            if found.any():
                path = self.session.new_folder() / MASK
                images.write(images.from_tensor(found[None, None].float()), path)
                upload.mask = path
            upload.proposals += 1
            upload.painting = True
        except PellucidError as error:
            self.session.messages = [plain(error, self.session.folder)]


def propose(image: Tensor, job: Job, find: Callable[[Tensor], Tensor] = scratches.propose) -> Tensor:
    """The same as `scratches.propose`, some rows after the others.

    Args:
        image: one picture, (1, C, H, W) in [-1, 1].
        job: is told how far it is, and ends it.
        find: proposes.

    Returns:
        (H, W) of bool.
    """
    height, width = image.shape[-2:]
    job.total, marked = height * width, []
    for top in range(0, height, _ROWS):
        first, end = max(0, top - _BEYOND), min(height, top + _ROWS)
        marked.append(find(image[..., first : end + _BEYOND, :])[top - first : end - first])
        job.advance((end - top) * width)
    return torch.cat(marked)
