"""Actions of the page's buttons; `view` draws the session afterwards."""

from __future__ import annotations

import base64
import binascii
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

from .. import images, jobs
from ..catalogue.tasks import FACTORS
from ..errors import PellucidError, UsageError
from .bounds import check
from .calls import MASK, Call
from .choices import Choices, Variant, variants
from .limits import Limits, clean_name
from .look import ACTIONS, Action
from .proposing import Proposing
from .queue import Job, Queue
from .session import Outcome, Round, Session, Upload
from .sessions import Sessions
from .uploads import Uploads
from .words import plain
from .work import Box, Looking, Restorers, Work, crop, expected, part

_MESSAGES = 50
_WORKS = 1000
_FULL = "there is no room for more results: remove some pictures first"
_PNG = "data:image/png;base64,"


@dataclass(frozen=True)
class Desk:
    """The state and the services behind the page.

    Attributes:
        queue: the device's jobs.
        sessions: all sessions.
        restorers: see `Restorers`.
        uploads: files that browsers sent.
        limits: limits of uploads.
        priors: the page's priors, the default first.
    """

    queue: Queue
    sessions: Sessions
    restorers: Restorers
    uploads: Uploads
    limits: Limits
    priors: tuple[str, ...] = ("natural",)
    _works: dict[object, int] = field(default_factory=dict, compare=False)

    def run(self, session: Session, choices: Choices) -> None:
        """Queues the restoration of all pictures; invalid choices become a message."""
        self._start(session, choices, None, list(session.pictures))

    def act(self, session: Session, choices: Choices, key: str) -> None:
        """Queues an action on the current picture.

        Args:
            session: whose.
            choices: of these, what an action leaves open counts: prior, fidelity, seed and tiles.
            key: one of `look.ACTIONS`, or "fill" for what is painted; all else stays to the bit.
        """
        picture = session.picture
        found = Action("Fill in", "inpaint") if key == "fill" else ACTIONS.get(key)
        if found is None or picture is None:
            return
        if key == "scratches":
            self._propose(session, picture)
            return
        chosen = Choices(
            found.task, prior=choices.prior, seed=choices.seed, tile=choices.tile, fidelity=choices.fidelity,
            mask=picture.mask, by=_factor(found), exact=key == "fill",
        )  # fmt: skip
        self._start(session, chosen, None, [picture])

    def _propose(self, session: Session, picture: Upload) -> None:
        """Lines up a proposal of what to fill, which somebody corrects before it is filled."""
        if session.busy:
            return
        session.forget()
        if self.sessions.bytes(session.visitor) > self.limits.share:
            session.messages = [_FULL]
            return
        session.job = self.queue.add(Job(Proposing(session, picture)))

    def expected(self, upload: Upload, key: str) -> float | None:
        """Expected seconds of an action on a picture; None if unknown."""
        pace, found = self.restorers.pace, ACTIONS[key]
        if pace is None:
            return None
        # The page asks again and again.
        about = (key, upload.size, upload.verdict)
        if about not in self._works:
            choices = Choices(found.task, prior=self.priors[0], by=_factor(found))
            restorer = self.restorers.of(Variant(key, key, choices))
            known = expected(upload, restorer)
            if len(self._works) >= _WORKS:
                self._works.clear()
            self._works[about] = restorer.work(*upload.size) if known is None else known
        return pace * self._works[about]

    def try_part(self, session: Session, choices: Choices, centre: tuple[float, float]) -> None:
        """Queues the restoration of a part of the current picture; see `work.part`."""
        if session.pictures:
            picture = session.pictures[session.current]
            self._start(session, choices, part(picture.size, centre), [picture])

    def _start(self, session: Session, choices: Choices, box: Box | None, pictures: list[Upload]) -> None:
        if session.busy or not pictures:
            return
        session.forget()
        try:
            needs_mask = choices.needs("mask") and not choices.proposes
            left = [picture for picture in pictures if needs_mask and picture.mask is None]
            if len(left) < len(pictures):
                pictures = [picture for picture in pictures if picture not in left]
                choices = replace(choices, mask=pictures[0].mask)
            made = variants(choices)
            chosen = [check(variant.choices) for variant in made]
            if choices.prior not in self.priors:
                raise UsageError(f"the page has no prior {choices.prior!r}")
            if self.sessions.bytes(session.visitor) > self.limits.share:
                raise PellucidError(_FULL)
            together = any(choice.several for choice in chosen)
            if together:
                pictures, left = list(session.pictures), []
                jobs.check_exposures(len(pictures))
            folder = session.new_folder()
            if box is not None and choices.mask is not None:
                made = _cut(made, choices.mask, box, folder)
        except PellucidError as error:
            session.messages = [plain(error, session.folder)]
            return
        named = pictures[:1] if together else pictures
        into = Round(made, part=box is not None, folder=folder, names=tuple(one.name for one in [*left, *named]))
        if len(left) < len(into.names):
            into.outcomes = {one.name: Outcome(left="nothing is painted on it") for one in left}
        for picture in pictures:
            picture.painting, picture.hint = False, ""
        session.rounds.append(into)
        session.following = True
        into.job = session.job = Job(Work(pictures, together, into, folder, self.restorers, box))
        self.queue.add(into.job)

    def stop(self, session: Session) -> None:
        """Stops the session's job."""
        if session.job is not None and session.busy:
            self.queue.stop(session.job)

    def take(self, session: Session, payload: object) -> None:
        """Takes uploaded pictures in and diagnoses them, after the job if one runs; see `Session.add`, `Uploads.taken`.

        Args:
            session: whose they are.
            payload: records as in `Uploads.taken`; a record with a `name` and a `reason` is a file that was not sent.
        """
        before = len(session.pictures)
        with self.uploads.taken(session.visitor, payload) as files:
            session.add(files, self.limits)
        for record in payload if isinstance(payload, list) else []:
            if isinstance(record, dict) and isinstance(record.get("reason"), str) and len(session.messages) < _MESSAGES:
                name = clean_name(str(record.get("name", "")))
                session.messages.append(f"{name}: {plain(record['reason'][:200], session.folder)}")
        for picture in reversed(session.pictures[before:]):
            picture.looked = False
            self.queue.spare(Job(Looking(picture, self.restorers, self.priors[0])))

    def paints(self, session: Session, painting: bool) -> None:
        """Begins or ends painting on the current picture."""
        session.messages = []
        if session.picture is not None:
            session.picture.painting, session.picture.hint = painting, ""

    def paint(self, session: Session, mask: str) -> None:
        """Keeps a painted mask, a PNG file as a data URL; an invalid one becomes a message."""
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
        except binascii.Error:
            session.messages = ["mask.png: is no picture: paint it again"]
        except PellucidError as error:
            session.messages = [plain(error, session.folder)]
        else:
            # What is wiped away again is no mask.
            picture.mask = path if images.read(path).colour.any() else None

    def keep_mask(self, session: Session, payload: object) -> None:
        """Takes in the file of a mask for the current picture; see `keep`."""
        path, picture = self.keep(session, payload), session.picture
        if path is None or picture is None:
            return
        height, width = images.size_of(path)
        if (height, width) != picture.size:
            session.messages = [
                f"{path.name}: is {width}x{height} pixels large and the picture {picture.size[1]}x{picture.size[0]}: "
                "choose a mask of its size, or paint one"
            ]
            return
        picture.mask = path

    def keep(self, session: Session, payload: object) -> Path | None:
        """Takes in the file of a mask or a kernel under its name; an invalid picture becomes a message.

        Args:
            session: whose it is.
            payload: see `Uploads.taken`.

        Returns:
            The file's place; None if it was rejected.
        """
        session.messages = []
        with self.uploads.taken(session.visitor, payload) as files:
            for path, owned in files.items():
                name = clean_name(owned)
                try:
                    self.limits.check(path, name)
                except PellucidError as error:
                    session.messages = [plain(error, session.folder)]
                    break
                own = session.new_folder() / name
                shutil.copyfile(path, own)
                return own
        return None

    def calls(self, session: Session, choices: Choices) -> tuple[str, str]:
        """Shows the session's next job as a command and as Python; invalid choices show their message instead."""
        names = [picture.name for picture in session.pictures] or ["photo.jpg"]
        if session.picture is not None and choices.needs("mask"):
            names = [session.picture.name]
        try:
            made = variants(choices)
            for variant in made:
                check(variant.choices)
            outputs = {picture.name: picture.output for picture in session.pictures}
            call = Call(names, made, self.restorers.options_used, outputs)
            return call.command(), call.python()
        except PellucidError as error:
            return (plain(error, session.folder),) * 2


def _factor(action: Action) -> int | None:
    return None if action.by == FACTORS[0] else action.by


def _cut(made: tuple[Variant, ...], mask: Path, box: Box, folder: Path) -> tuple[Variant, ...]:
    """Cuts the masks of variants to a part of the picture."""
    path = folder / MASK
    images.write(crop(images.read(mask), box), path)
    return tuple(replace(variant, choices=replace(variant.choices, mask=path)) for variant in made)
