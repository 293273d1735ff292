"""State of one open page: its pictures, its results, its job."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .. import apart
from ..errors import PellucidError
from .choices import Variant
from .limits import Limits, clean_name, named
from .look import Verdict
from .preview import previews
from .queue import Job
from .words import plain


@dataclass
class Upload:
    """A picture of the session with its mask and diagnosis.

    Attributes:
        name: the owner's, without folders.
        path: the uploaded file, unchanged.
        output: its name in a format that can be written and holds it; see `images.targets_of`.
        size: height and width in pixels.
        shown: the copy for the browser.
        thumb: thumbnail as a data URL.
        mask: mask, white where the picture is missing, painted or uploaded; None if there is none.
        painting: whether the mask is being painted.
        hint: what is to be said to whoever paints; empty for the usual.
        proposals: how many times a mask was proposed.
        verdict: what was found wrong with it; None before.
        prior: that found it out.
        looked: whether nobody looks for that any more.
    """

    name: str
    path: Path
    output: str
    size: tuple[int, int]
    shown: Path
    thumb: str
    mask: Path | None = None
    painting: bool = False
    hint: str = ""
    proposals: int = 0
    verdict: Verdict | None = None
    prior: str = ""
    looked: bool = True

    @property
    def id(self) -> str:
        """The picture's name in the session, which no other has had."""
        return self.path.parent.name


@dataclass(frozen=True)
class Version:
    """A restored picture: the file to download, the copy that is shown, and what is to be said of it.

    Attributes:
        label: what the page calls it.
        path: the file to download.
        shown: the copy for the browser.
        note: how it was made.
        seconds: that it took; None for what no method made.
        lost: what the picture had and the file has no place for; empty if that is nothing.
    """

    label: str
    path: Path
    shown: Path
    note: str
    seconds: float | None = None
    lost: str = ""


@dataclass
class Outcome:
    """Result of one picture.

    Attributes:
        versions: one for each variant that did not fail.
        before: picture to compare with, if only a part was restored.
        spread: where the samples differ; see `preview.spread`.
        errors: a line for each failed variant.
        left: reason why the picture was left alone; empty if it was restored.
    """

    versions: list[Version] = field(default_factory=list)
    before: Path | None = None
    spread: Version | None = None
    errors: list[str] = field(default_factory=list)
    left: str = ""

    @property
    def any(self) -> bool:
        """True if there is anything to show."""
        return bool(self.versions or self.errors or self.left)


@dataclass
class Round:
    """Results of one press of the button, which Undo takes back.

    Attributes:
        variants: the requested restorations.
        outcomes: results by the picture's name.
        part: whether only a part of a picture was tried.
        seconds: duration; None while it runs.
        folder: folder of its files; None if it has none.
        names: names of its pictures.
        job: the job.
    """

    variants: tuple[Variant, ...]
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    part: bool = False
    seconds: float | None = None
    folder: Path | None = None
    names: tuple[str, ...] = ()
    job: Job | None = None

    def discard(self) -> None:
        """Removes its files."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def any(self) -> bool:
        """True if it has any result."""
        # A copy: the job that fills it in runs beside whoever asks.
        return any(outcome.any for outcome in list(self.outcomes.values()))


class Session:
    """State of one page on this machine; a reload of the page finds it again.

    Attributes:
        folder: folder of all its files; made with the first one.
        visitor: browser of the session.
        pictures: pictures in the order of the page.
        current: index of the current picture.
        rounds: results, the newest last.
        job: the newest job; None before the first.
        messages: errors of the last action.
        kernel: uploaded kernel of the blur; None if there is none.
        following: whether the page follows the job.
    """

    def __init__(self, folder: Path, visitor: str = "") -> None:
        self.folder = folder
        self.visitor = visitor
        self.pictures: list[Upload] = []
        self.current = 0
        self.rounds: list[Round] = []
        self.job: Job | None = None
        self.messages: list[str] = []
        self.kernel: Path | None = None
        self.following = True
        self._number = 0

    @property
    def picture(self) -> Upload | None:
        """The current picture."""
        return self.pictures[self.current] if self.pictures else None

    @property
    def mask(self) -> Path | None:
        """The mask of the current picture."""
        return self.picture.mask if self.picture else None

    @property
    def looking(self) -> bool:
        """True if the diagnosis of a picture is still in progress."""
        return not all(picture.looked for picture in self.pictures)

    @property
    def busy(self) -> bool:
        """True if its job has not ended."""
        return self.job is not None and not self.job.over

    def new_folder(self) -> Path:
        """Makes a new empty folder."""
        self._number += 1
        folder = self.folder / str(self._number)
        folder.mkdir(parents=True, mode=0o700)
        return folder

    def add(self, files: Mapping[Path, str], limits: Limits) -> None:
        """Takes pictures in; rejected ones are named in `messages`.

        Args:
            files: the uploaded files and their owner's names.
            limits: limits of uploads.
        """
        self.messages = []
        before = len(self.pictures)
        for path, name in files.items():
            name = clean_name(name, {picture.name for picture in self.pictures})
            if len(self.pictures) >= limits.pictures:
                self.messages.append(f"{name}: no more than {limits.pictures} pictures at a time")
                continue
            try:
                self.pictures.append(self._taken(path, name, limits))
            except PellucidError as error:
                self.messages.append(plain(named(error, path, name), self.folder))
        # Whoever watches a job goes on watching it.
        if len(self.pictures) > before and not self.busy:
            self.current = before

    def _taken(self, path: Path, name: str, limits: Limits) -> Upload:
        size = limits.check(path, name)
        output, content, suffix, small = apart.call(previews, path, name)
        folder = self.new_folder()
        own, shown = folder / name, folder / f"shown{suffix}"
        shutil.copyfile(path, own)
        shown.write_bytes(content)
        return Upload(name, own, output, size, shown, small)

    def look_at(self, id: str) -> bool:
        """Shows a picture, whichever one the job works on; False if it was removed meanwhile."""
        found = self._index(id)
        if found is not None:
            self.current, self.following, self.messages = found, False, []
        return found is not None

    def _index(self, id: str) -> int | None:
        return next((number for number, picture in enumerate(self.pictures) if picture.id == id), None)

    @property
    def in_work(self) -> str | None:
        """Name of the picture that the job works on, or worked on last."""
        names = list(self.rounds[-1].outcomes) if self.rounds else []
        return names[-1] if names else None

    def follow(self) -> None:
        """Shows the picture that the job works on, unless another was chosen since the job began."""
        names = [picture.name for picture in self.pictures]
        if self.following and self.in_work in names:
            self.current = names.index(self.in_work)

    def remove(self, id: str) -> None:
        """Removes a picture and its results from the page."""
        index = self._index(id)
        if not self.busy and index is not None:
            picture = self.pictures.pop(index)
            shutil.rmtree(picture.path.parent, ignore_errors=True)
            for done in self.rounds:
                done.outcomes.pop(picture.name, None)
                done.names = tuple(name for name in done.names if name != picture.name)
            for done in self.rounds:
                if not (done.outcomes or done.names):
                    done.discard()
            self.rounds = [done for done in self.rounds if done.outcomes or done.names]
            # The picture that is looked at stays, or the next one comes.
            self.current = max(min(self.current - (index < self.current), len(self.pictures) - 1), 0)

    def result(self, name: str) -> tuple[Round, Outcome] | None:
        """Result of a picture in the last round that has one."""
        for done in reversed(self.rounds):
            outcome = done.outcomes.get(name)
            if outcome is not None and outcome.any:
                return done, outcome
        return None

    def asked(self, name: str) -> Round | None:
        """The last round that included a picture, with or without a result."""
        return next((done for done in reversed(self.rounds) if name in done.names), None)

    @property
    def newest(self) -> Round | None:
        """The last round with a result."""
        return next((done for done in reversed(self.rounds) if done.any), None)

    def forget(self) -> None:
        """Removes messages about earlier choices."""
        self.messages = []
        if not self.busy:
            self.job = None
            # Of what failed, no file is there.
            self.rounds = [done for done in self.rounds if done.any or done.job is None or done.job.state != "failed"]

    def undo(self) -> None:
        """Removes the results of the last round."""
        newest = self.newest
        if not self.busy and newest is not None:
            first = self.rounds.index(newest)
            for done in self.rounds[first:]:
                done.discard()
            del self.rounds[first:]
            self.messages, self.job = [], None
