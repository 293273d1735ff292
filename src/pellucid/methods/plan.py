"""A restoration in stages: the treatments for the findings, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import torch
from torch import Tensor

from ..diagnosis import Diagnosis, Finding
from ..diagnosis.frame import Frame
from ..maths.noise import Streams
from ..priors.prior import Counted, Padded
from ..support.ranges import percent
from .method import State

Framing = Literal["left out", "kept", "treated"]
"""A frame is left out of the picture, or is seen but stays as it is, or is treated like the rest."""


class Treatment(Protocol):
    """One stage of a plan: a frozen dataclass with its finding."""

    @property
    def note(self) -> str:
        """The damage and its treatment as a phrase: "noise of 9.8 removed"."""
        ...

    @property
    def nfe(self) -> int:
        """Number of evaluations of the prior."""
        ...

    @property
    def frame(self) -> Framing:
        """Treatment of a plain frame around the picture."""
        ...

    def iterate(self, y: Tensor, prior: Counted, rng: Streams) -> Iterator[State]:
        """Yields its states; the last one's x is the result.

        Args:
            y: one picture, (1, C, H, W) in [-1, 1], after the earlier stages.
            prior: the prior.
            rng: the picture's random stream.
        """
        ...


Maker = Callable[[Diagnosis, float], Treatment | None]
"""Makes a treatment from a diagnosis and a strength in [0, 2], 1 at fidelity 0.5; None if no treatment helps."""


@dataclass(frozen=True)
class Plan:
    """Treatments of one picture.

    Attributes:
        stages: treatments in order; empty to leave the picture unchanged.
        weight: share of each stage's change to keep, [0, 1].
        beside: findings whose treatment is only made on request.
        frame: plain frame around the picture; None without one.
        advice: end of the note; empty for none.
    """

    stages: Sequence[Treatment]
    weight: float = 1.0
    beside: Sequence[Finding] = ()
    frame: Frame | None = None
    advice: str = ""

    @classmethod
    def of(cls, diagnosis: Diagnosis, makers: Sequence[Maker], fidelity: float = 0.5) -> Plan:
        """Asks each maker for its treatment.

        Args:
            diagnosis: the findings.
            makers: in the order of their treatments.
            fidelity: see `Auto`.
        """
        strength = 2 * (1 - fidelity)
        made = [maker(diagnosis, max(strength, 1.0)) for maker in makers] if strength else []
        compression = diagnosis.compression
        old = compression if compression is not None and compression.old and compression.harmful else None
        found = (old, diagnosis.exposure, diagnosis.scratches, diagnosis.enlarged)
        beside = [one for one in found if one is not None]
        stages = [stage for stage in made if stage is not None]
        return cls(stages, min(strength, 1.0), beside, diagnosis.frame)

    @property
    def nfe(self) -> int:
        """Number of evaluations of the prior."""
        return sum(stage.nfe for stage in self.stages)

    @property
    def note(self) -> str:
        """Stages in one line."""
        return self._line([stage.note for stage in self.stages])

    def _line(self, notes: Sequence[str]) -> str:
        waiting = [f"{one.text}: not changed, {one.remedy} does it" if one.remedy else one.text for one in self.beside]
        nothing = UNCHANGED if waiting else LEFT
        done = ", then ".join(notes) or (nothing if self.weight else KEPT)
        partly = self.weight < 1 and any(UNCHANGED not in note for note in notes)
        kept = f"{percent(self.weight)} of the change is kept" if partly else ""
        return "; ".join(filter(None, [done, kept, *waiting, self.advice]))

    def iterate(self, y: Tensor, prior: Counted, rng: Streams) -> Iterator[State]:
        """Runs one stage after the other; `total` counts all steps of started stages, and one for each other stage."""
        if not self.stages:
            yield State(1, 1, 0.0, y, y, 0)
        x, done, notes = y, 0, [stage.note for stage in self.stages]
        for number, stage in enumerate(self.stages, 1):
            state, before = None, x
            for state in self._states(stage, x, prior, rng):
                end = state.step == state.total
                x = torch.lerp(before, state.x, self.weight) if end and self.weight < 1 else state.x
                total = done + state.total + len(self.stages) - number
                # A stage may find out in the end that it does not help.
                notes[number - 1 : number] = state.notes or notes[number - 1 : number]
                said = (self._line(notes),)
                yield replace(state, step=done + state.step, total=total, x=x, nfe=prior.nfe, notes=said)
            done += state.step if state is not None else 0

    def _states(self, stage: Treatment, y: Tensor, prior: Counted, rng: Streams) -> Iterator[State]:
        """States of a stage with the frame as the stage wants it; see `Framing`."""
        frame = self.frame
        if frame is None or stage.frame == "treated":
            yield from stage.iterate(y, prior, rng)
        elif stage.frame == "kept":
            for state in stage.iterate(y, prior, rng):
                yield replace(state, x=frame.around(frame.inside(state.x), y))
        else:
            # Sides that suit a network need not suit it inside a frame.
            for state in stage.iterate(frame.inside(y), Counted(Padded(prior)), rng):
                yield replace(state, x=frame.around(state.x, y), x0=frame.around(state.x0, y))


UNCHANGED = "left unchanged"
LEFT = f"nothing found to repair, {UNCHANGED}"
KEPT = f"fidelity 1, {UNCHANGED}"
