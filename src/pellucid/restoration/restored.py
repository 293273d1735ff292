"""Tensors of a restored batch, and what is known of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

SAMPLES_IDENTICAL = "no random numbers are used: all samples are equal"
"""Warning for samples that are not `Restored.random`."""


@dataclass(frozen=True)
class Restored:
    """Result of one batch.

    Attributes:
        colours: (B, C, H, W) in [0, 1], on the CPU.
        nfe: evaluations of the prior by the method; each may consist of many tiles.
        noise: noise level for the method for each image, given or estimated, in [0, 1] units; empty if it is blind.
        notes: notes of the method for each image; empty without notes.
        found: estimates of the degradation by name, (B, ...) on the CPU; see `State`.
        random: whether any random numbers were used; if not, every seed gives the same result.
    """

    colours: Tensor
    nfe: int
    noise: tuple[float, ...] = ()
    notes: tuple[str, ...] = ()
    found: Mapping[str, Tensor] = field(default_factory=dict)
    random: bool = True

    @classmethod
    def joined(cls, single: Iterable[Restored]) -> Restored:
        """Joins images that were restored one by one to a batch."""
        each = list(single)
        return cls(
            torch.cat([one.colours for one in each]),
            max(one.nfe for one in each),
            tuple(level for one in each for level in one.noise),
            tuple(note for one in each for note in one.notes or ("",)) if any(one.notes for one in each) else (),
            {name: torch.cat([one.found[name] for one in each]) for name in each[0].found},
            any(one.random for one in each),
        )

    def divided(self) -> list[Restored]:
        """Splits the batch into single images."""
        return [
            replace(
                self,
                colours=self.colours[i : i + 1],
                noise=self.noise[i : i + 1],
                notes=self.notes[i : i + 1],
                found={name: value[i : i + 1] for name, value in self.found.items()},
            )
            for i in range(len(self.colours))
        ]
