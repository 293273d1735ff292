"""Records of a run beside its checkpoints."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .loop import Trains
from .recipe import band_of, bands, learning_rate
from .report import Log, LossLog, LossRow, plot
from .validation import Scores, Sets

if TYPE_CHECKING:
    from .run import Trainer


class NamedJournal:
    """`log.csv` of a run whose updates return losses by name.

    Args:
        trainer: of the run.
        run: its folder.
        names: of the losses.
        tell: called with each line.
    """

    def __init__(self, trainer: Trains, run: Path, names: Sequence[str], tell: Callable[[str], None]) -> None:
        self._trainer, self._tell = trainer, tell
        self._log = LossLog(run / "log.csv", names, trainer.step, trainer.seen)

    def see(self, result: Mapping[str, float]) -> None:
        """See `loop.Journal`."""
        self._log.see(result)

    def note(self) -> None:
        """See `loop.Journal`."""
        if line := self._log.write(self._trainer.step, self._trainer.seen):
            self._tell(line)

    def save(self) -> None:
        """See `loop.Journal`."""
        self.note()


class PriorJournal:
    """`log.csv` and `curve.png` of a prior's run.

    Args:
        trainer: of the run.
        run: its folder.
        validation: sets of images to validate on at each checkpoint.
        tell: called with each line.

    Attributes:
        scores: PSNR in dB of the last validation, by set and by level over 255.
    """

    def __init__(self, trainer: Trainer, run: Path, validation: Sets, tell: Callable[[str], None]) -> None:
        self.scores: Scores = {}
        self._trainer, self._run, self._validation, self._tell = trainer, run, validation, tell
        self._log = Log(run / "log.csv", trainer.step, tuple(validation))
        self._meter = _Meter()

    def see(self, result: tuple[Tensor, Tensor, float]) -> None:
        """Takes in one update."""
        self._meter.add(*result)

    def note(self) -> None:
        """Writes a line."""
        self._write({})

    def save(self) -> None:
        """Validates, writes a line and draws all of them."""
        self.scores = self._trainer.validate(self._validation)
        self._write(self.scores)
        plot(self._log.rows(), self._run / "curve.png")

    def _write(self, scores: Scores) -> None:
        self._log.add(self._meter.row(self._trainer, scores))
        self._meter = _Meter()
        self._tell(self._log.line())


@dataclass
class _Meter:
    """Averages since the last line of the log."""

    started: float = field(default_factory=time.monotonic)
    updates: int = 0
    norms: float = 0.0
    totals: Tensor = field(default_factory=lambda: torch.zeros(len(bands())))
    counts: Tensor = field(default_factory=lambda: torch.zeros(len(bands())))

    def add(self, sigma: Tensor, losses: Tensor, norm: float) -> None:
        """Takes in one update."""
        index = band_of(sigma)
        self.totals.index_add_(0, index, losses)
        self.counts.index_add_(0, index, torch.ones_like(losses))
        self.updates += 1
        self.norms += norm

    def row(self, trainer: Trainer, scores: Scores) -> LossRow:
        """A line of the log; `scores` is empty where nothing was validated."""
        seconds = max(time.monotonic() - self.started, 1e-9)
        return LossRow(
            step=trainer.step,
            seen=trainer.seen,
            lr=learning_rate(trainer.recipe, max(trainer.step - 1, 0)),
            images_per_second=self.updates * trainer.recipe.batch / seconds,
            gradient=self.norms / max(self.updates, 1),
            losses=tuple((self.totals / self.counts).tolist()),
            psnr=scores,
        )
