"""The common loop of all trainings: updates, log lines, checkpoints, and a stop at any time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch

from .data import Pixels
from .devices import Devices

CHECKPOINT = "checkpoint.safetensors"


@dataclass(frozen=True)
class TrainingOptions:
    """Options that change how a run is made, not its result.

    Attributes:
        device: "cpu", "cuda", "cuda:1" ...; None for a GPU if there is one.
        precision: of a prior's training; see `Devices`.
        workers: threads that prepare crops.
        memory: bytes of decoded images to keep in memory.
        held_out: images reserved for validation, at most a tenth, without a validation folder.
        validation: folders of images to validate on, by the set's name.
        save_minutes: minutes between two checkpoints, each with a validation.
        log_every: updates between two lines of the log.
        minutes: minutes until a stop with a checkpoint; None for no limit.
        samples: number of images on the sample sheet; 0 for none.
        sample_size: their side in pixels.
        threads: processor threads of the arithmetic; None for torch's default. A single one is fastest beside other
            work on the processor, since two wait for each other at every layer.
        initial: folder of a prior or of a run to start from instead of fresh weights. Its network may be smaller, or
            have more channels and blocks, or lack the finest levels.
    """

    device: str | None = None
    precision: str | None = None
    workers: int = 2
    memory: float = 8e9
    held_out: int = 12
    validation: Mapping[str, Path] = field(default_factory=dict)
    save_minutes: float = 10.0
    log_every: int = 100
    minutes: float | None = None
    samples: int = 16
    sample_size: int = 128
    threads: int | None = None
    initial: Path | None = None


@dataclass(frozen=True)
class Trained:
    """End of a run, or of a part of it.

    Attributes:
        step: number of updates so far.
        finished: whether all updates are made; then the result exists.
        result: the result: a prior's folder, a GAN's, or a file of weights.
        psnr: of a prior, mean validation PSNR in dB of the averaged weights, by set and by noise level over 255.
    """

    step: int
    finished: bool
    result: Path | None
    psnr: dict[str, dict[int, float]] = field(default_factory=dict)


class Trains(Protocol):
    """The state of a run and its one move.

    Attributes:
        step: number of updates so far.
        seen: number of crops so far, the position in the data.
    """

    step: int

    @property
    def seen(self) -> int: ...  # noqa: D102 - described above

    def update(self, pixels: Pixels) -> Any:
        """Makes one update of the weights on a batch of crops, (B, H, W, C), 8 bits."""

    def save(self, path: Path) -> None:
        """Writes a checkpoint."""

    def restore(self, path: Path) -> None:
        """Restores the state of a checkpoint."""


class Journal(Protocol):
    """Records of a run beside its checkpoints."""

    def see(self, result: Any) -> None:
        """Takes in the result of an update."""

    def note(self) -> None:
        """Writes a line about the updates since the last."""

    def save(self) -> None:
        """Writes a line, and the additions to each checkpoint."""


def resume(trainer: Trains, run: Path, tell: Callable[[str], None]) -> bool:
    """Restores the checkpoint in a run's folder, which is made if missing.

    Returns:
        True if there was a checkpoint.

    Raises:
        PellucidError: the checkpoint cannot be used.
    """
    run.mkdir(parents=True, exist_ok=True)
    if not (run / CHECKPOINT).is_file():
        return False
    trainer.restore(run / CHECKPOINT)
    tell(f"going on from update {trainer.step}")
    return True


def loop(
    trainer: Trains,
    journal: Journal | None,
    pixels: Iterator[Pixels],
    steps: int,
    run: Path,
    options: TrainingOptions,
    tell: Callable[[str], None],
    devices: Devices | None = None,
) -> bool:
    """Makes updates until there are `steps` or the time is over; leaves a checkpoint.

    Args:
        trainer: the trainer at the update to continue from.
        journal: journal of the run; None in further processes, which write and save nothing.
        pixels: batches from that update on.
        steps: updates in all.
        run: folder of the run.
        options: times of saving, logging and stopping.
        tell: called with one line for each event.
        devices: devices of several processes with the same updates, which stop together.

    Returns:
        True if all updates are made.

    Raises:
        KeyboardInterrupt: passed on, after a checkpoint.
    """

    def save() -> None:
        if journal is not None:
            trainer.save(run / CHECKPOINT)
            journal.save()

    if options.threads is not None:
        torch.set_num_threads(options.threads)
    crowd = _Crowd(torch.get_num_threads())
    started = saved = time.monotonic()
    # Averages of gradients that stay at zero fade into denormal numbers, which take a processor ten times as long.
    kept = _denormal()
    torch.set_flush_denormal(True)
    try:
        while trainer.step < steps:
            result = trainer.update(next(pixels))
            if journal is not None:
                journal.see(result)
            now = time.monotonic()
            # Every process counts the same updates; only the first looks at the clock, for its own files.
            if trainer.step < steps and now - saved >= 60 * options.save_minutes:
                save()
                saved = time.monotonic()
            elif journal is not None and trainer.step % options.log_every == 0:
                journal.note()
                if crowd.waits():
                    tell(f"{crowd.threads} threads wait for each other beside other work: --threads 1 is faster there")
            over = options.minutes is not None and now - started >= 60 * options.minutes
            if over if devices is None else devices.agree(over):
                break
    except KeyboardInterrupt:
        if journal is not None:
            trainer.save(run / CHECKPOINT)
            tell(f"interrupted; saved at update {trainer.step}")
        raise
    finally:
        torch.set_flush_denormal(not kept)
    save()
    return trainer.step >= steps


def _denormal() -> bool:
    """True if the processor computes with denormal numbers."""
    return bool((torch.full((1,), 1e-40) * 1).item())


class _Crowd:
    """Detects once that threads wait for processor time of other processes.

    Args:
        threads: of the arithmetic.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._said = threads == 1
        self._since = time.monotonic(), time.process_time()

    def waits(self) -> bool:
        """True if the threads had less than 0.7 of their processors since the last call; True only once."""
        now = time.monotonic(), time.process_time()
        wall, busy = (b - a for a, b in zip(self._since, now, strict=True))
        self._since = now
        # A process that hardly computes by itself waits for a GPU or for images, not for processors.
        crowded = not self._said and 0.25 < busy / max(wall * self.threads, 1e-9) < 0.7
        self._said |= crowded
        return crowded
