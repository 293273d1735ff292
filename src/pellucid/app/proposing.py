"""A proposal of where a picture is scratched, for somebody to correct before anything is filled."""

from __future__ import annotations

from dataclasses import dataclass

from .. import images
from ..diagnosis import scratches
from ..errors import PellucidError
from ..maths.problem import to_model
from .calls import MASK
from .queue import Job
from .session import Session, Upload
from .words import plain

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
            picture = to_model(images.read(upload.path).tensor())
            job.total = picture.shape[-2] * picture.shape[-1]
            found = scratches.propose(picture, progress=job.advance)
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
