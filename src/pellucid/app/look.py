"""Diagnosis of a new picture: its damage, the possible actions, and their times."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .. import diagnosis, images
from ..diagnosis import Diagnosis, exposure
from ..estimate import stretches
from ..methods.auto import Auto
from ..priors import Counted, Prior, fit
from ..priors.prior import Evaluation, Wrapper, device_of
from ..problem import to_model

_WHOLE = 512
_STRETCH, _STRETCHES = 192, 2
"""Longest side that is diagnosed as one piece; of a longer one, two stretches from the middles of its halves count."""


@dataclass(frozen=True)
class Action:
    """An action on a picture, started by one press.

    Attributes:
        label: text of its button.
        task: see `tasks`; None for the automatic method.
        by: how many times larger the picture becomes.
    """

    label: str
    task: str | None = None
    by: int | None = None


ACTIONS = {
    "clean": Action("Clean"),
    "sharpen": Action("Sharpen", "unblur"),
    "brighten": Action("Brighten", "lowlight"),
    "scratches": Action("Fill scratches", "scratches"),
    "colour": Action("Colour", "colorize"),
    "enlarge-2": Action("Enlarge x2", "enlarge", 2),
    "enlarge-4": Action("Enlarge x4", "enlarge", 4),
}
"""The actions by their keys."""


@dataclass(frozen=True)
class Verdict:
    """Result of the diagnosis, in the page's words.

    Attributes:
        words: a phrase for each damage; empty if there is none.
        advised: keys of the recommended actions, the best first.
        grey: whether the picture has no colours.
        calls: evaluations of the prior that the diagnosis takes.
        plan: further evaluations of the automatic method.
        whole: whether the diagnosis saw the whole file, so that both numbers hold.
    """

    words: tuple[str, ...]
    advised: tuple[str, ...]
    grey: bool
    calls: int
    plan: int
    whole: bool


class Timed(Wrapper):
    """Measures the time of a prior.

    Attributes:
        seconds: time in the prior so far.
        pixels: pixels through the prior so far.
    """

    def __init__(self, prior: Prior) -> None:
        super().__init__(prior)
        self.seconds, self.pixels = 0.0, 0

    def evaluate(self, inner: Evaluation, x: Tensor, sigma: float | Tensor) -> Tensor:
        """See `Wrapper`."""
        start = time.monotonic()
        x0 = inner(x, sigma)
        self.seconds += time.monotonic() - start
        self.pixels += x[:, 0].numel()
        return x0


def look(prior: Prior, picture: images.Picture) -> tuple[Verdict, float | None]:
    """Diagnoses the first page of a picture; of a large picture, an excerpt.

    Returns:
        The verdict, and the prior's seconds for a pixel; None if the prior was not evaluated.
    """
    pixels = picture.tensor()
    pixels = pixels.expand(-1, prior.channels, -1, -1) if pixels.shape[1] == 1 else pixels
    # The light is that of all of it; measuring it takes few of its pixels.
    light = exposure.estimate(to_model(pixels))
    seen = excerpt(pixels)
    timed = Timed(prior)
    counted = Counted(fit(timed, None))
    own = to_model(seen.to(device_of(prior), torch.float32))
    found = replace(diagnosis.diagnose(counted, own, diagnosis.from_file(picture)), exposure=light)
    made = verdict(found, counted.nfe, seen.shape == pixels.shape and not picture.more)
    return made, timed.seconds / timed.pixels if timed.pixels else None


def excerpt(pixels: Tensor) -> Tensor:
    """Excerpt to diagnose: at most a quarter of a megapixel, a quarter of what a restoration uses."""
    return stretches(pixels, _STRETCH, _STRETCHES, _WHOLE)


def verdict(found: Diagnosis, calls: int = 0, whole: bool = True) -> Verdict:
    """States a diagnosis in the page's words; see `Verdict`."""
    plan = Auto().plan(found)
    damage = [one for one in found.findings if one is not found.content and (one.remedy or one is found.exposure)]
    advised = []
    if found.exposure is not None and found.exposure.dark:
        # It takes the noise away, too.
        advised.append("brighten")
    if plan.stages:
        advised.append("clean")
    if found.blur is not None:
        advised.append("sharpen")
    grey = found.content is not None and found.content.grey
    return Verdict(tuple(_words(one.text) for one in damage), tuple(advised), grey, calls, plan.nfe, whole)


def _words(text: str) -> str:
    return re.sub(r"of ([\d.]+) of 255", lambda level: f"of {float(level[1]) / 2.55:.0f} %", text)
