"""Actions of the page's buttons; the page draws what `view` makes of the session afterwards."""

from __future__ import annotations

import base64
import binascii
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from .. import images
from ..errors import PellucidError, UsageError
from .bounds import check
from .calls import MASK, command, python
from .choices import Choices, Variant, variants
from .limits import Limits, clean_name
from .queue import Job, Queue
from .session import Round, Session
from .sessions import Sessions
from .uploads import Uploads
from .work import Box, Restorers, Work, crop, part

_PNG = "data:image/png;base64,"


@dataclass(frozen=True)
class Desk:
    """Everything behind the page.

    Attributes:
        queue: the device's jobs.
        sessions: of everybody.
        restorers: see `Restorers`.
        uploads: files that browsers sent.
        limits: what may be uploaded.
        priors: those that the page offers, the usual one first.
    """

    queue: Queue
    sessions: Sessions
    restorers: Restorers
    uploads: Uploads
    limits: Limits
    priors: tuple[str, ...] = ("natural",)

    def run(self, session: Session, choices: Choices) -> None:
        """Lines up the restoration of all pictures; what is wrong with the choices becomes a message."""
        self._start(session, choices, None)

    def try_part(self, session: Session, choices: Choices, centre: tuple[float, float]) -> None:
        """The same for a part of the picture that is looked at; see `work.part`."""
        if session.pictures:
            self._start(session, choices, part(session.pictures[session.current].size, centre))

    def _start(self, session: Session, choices: Choices, box: Box | None) -> None:
        if session.busy or not session.pictures:
            return
        session.messages = []
        try:
            made = variants(choices)
            chosen = [check(variant.choices) for variant in made]
            if choices.prior not in self.priors:
                raise UsageError(f"the page has no prior {choices.prior!r}")
            if self.sessions.bytes(session.visitor) > self.limits.share:
                raise PellucidError("there is no room for more results: remove some pictures first")
            together = any(choice.several for choice in chosen)
            folder = session.new_folder()
            if box is not None and choices.mask is not None:
                made = _cut(made, choices.mask, box, folder)
        except PellucidError as error:
            session.messages = [str(error)]
            return
        whole = box is None or together
        pictures = list(session.pictures) if whole else [session.pictures[session.current]]
        into = Round(made, part=box is not None, folder=folder)
        session.rounds.append(into)
        session.following = True
        session.job = self.queue.add(Job(Work(pictures, together, into, folder, self.restorers, box)))

    def stop(self, session: Session) -> None:
        """Stops the session's job."""
        if session.job is not None and session.busy:
            self.queue.stop(session.job)

    def take(self, session: Session, payload: object) -> None:
        """Takes uploaded pictures in; see `Session.add` and `Uploads.taken`."""
        if not session.busy:
            with self.uploads.taken(session.visitor, payload) as files:
                session.add(files, self.limits)

    def paint(self, session: Session, mask: str) -> None:
        """Keeps a mask that was painted, a PNG file as a data URL; one that is none becomes a message."""
        session.messages = []
        if not session.pictures or len(mask) > 2 * self.limits.bytes:
            return
        picture = session.pictures[session.current]
        try:
            content = base64.b64decode(mask.removeprefix(_PNG), validate=True)
            path = session.new_folder() / MASK
            with self.uploads.room(session.visitor, len(content)):
                path.write_bytes(content)
            if self.limits.check(path, MASK) != picture.size:
                raise PellucidError("the mask is not as large as the picture: paint it again")
        except (PellucidError, binascii.Error) as error:
            session.messages = [str(error)]
            return
        session.mask, session.masked = path, picture.name

    def keep(self, session: Session, payload: object) -> Path | None:
        """Takes in a mask's or a kernel's file under its own name; one that is no picture becomes a message.

        Args:
            session: whose it is.
            payload: see `Uploads.taken`.

        Returns:
            Where it is kept; None if it is not.
        """
        session.messages = []
        with self.uploads.taken(session.visitor, payload) as files:
            for path, owned in files.items():
                name = clean_name(owned)
                try:
                    self.limits.check(path, name)
                except PellucidError as error:
                    session.messages = [str(error)]
                    break
                own = session.new_folder() / name
                shutil.copyfile(path, own)
                return own
        return None

    def calls(self, session: Session, choices: Choices) -> tuple[str, str]:
        """The session's next job as a command and as Python; what is wrong with the choices in place of both."""
        names = [picture.name for picture in session.pictures] or ["photo.jpg"]
        try:
            made = variants(choices)
            for variant in made:
                check(variant.choices)
            said = self.restorers.said
            return command(names, made, said), python(names, made, said)
        except PellucidError as error:
            return str(error), str(error)


def _cut(made: tuple[Variant, ...], mask: Path, box: Box, folder: Path) -> tuple[Variant, ...]:
    """The variants with the part of their mask that belongs to a part of the picture."""
    path = folder / MASK
    images.write(crop(images.read(mask), box), path)
    return tuple(replace(variant, choices=replace(variant.choices, mask=path)) for variant in made)
