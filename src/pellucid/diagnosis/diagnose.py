"""Diagnosis of a picture: all findings."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from ..errors import UsageError
from ..images import Picture
from ..maths.problem import check_finite, to_model
from ..priors.prior import Padded, Prior, device_of
from .blur import Blur
from .blur import estimate as blur_of
from .compression import MILD, Compression
from .compression import estimate as compression_of
from .compression import of as told_by
from .content import Content
from .content import estimate as content_of
from .enlarged import Enlarged
from .enlarged import estimate as enlarged_of
from .exposure import Exposure
from .exposure import estimate as exposure_of
from .finding import Finding
from .frame import Frame
from .noise import CALLS as CALLS
from .noise import Noise
from .noise import estimate as noise_of
from .scratches import Scratches
from .scratches import estimate as scratches_of
from .screen import Screen
from .screen import estimate as screen_of

_READABLE = 9 / 127.5
"""Largest white noise, in [-1, 1] units, at which a blur finding counts."""


@dataclass(frozen=True)
class Diagnosis:
    """All findings of one picture.

    Attributes:
        content: the kind of picture, which decides what is believed of the rest.
        compression: as a JPEG; None where there is none.
        screen: the dots of a print; None where there are none.
        noise: None where there is none.
        blur: likewise.
        exposure: None where the light is as in most photographs.
        enlarged: None where nothing tells that it was smaller before.
        scratches: None where there are none beyond doubt.
        whole: whether all of it was looked for, so that None means that there is none.
    """

    content: Content | None = None
    compression: Compression | None = None
    screen: Screen | None = None
    noise: Noise | None = None
    blur: Blur | None = None
    exposure: Exposure | None = None
    enlarged: Enlarged | None = None
    scratches: Scratches | None = None
    whole: bool = False

    @property
    def findings(self) -> list[Finding]:
        """Findings in the order of the fields."""
        values = (getattr(self, field.name) for field in fields(self))
        return [value for value in values if isinstance(value, Finding)]

    def __str__(self) -> str:
        """Lists the findings in words, a line each, with the confidence of damage."""
        kind = [] if self.content is None else [self.content.text]
        damage = [one for one in self.findings if one is not self.content]
        found = [f"{one.text} (confidence {one.confidence:.2f})" for one in damage]
        return "\n".join([*kind, *(found or ["nothing found to repair"])])

    @property
    def inner(self) -> Content:
        """Kind of the part inside a plain frame; that of an unknown picture is a photograph in colour."""
        return Content(0.0, False) if self.content is None else self.content.inner

    @property
    def frame(self) -> Frame | None:
        """Plain frame around the picture; None without one."""
        return None if self.content is None else self.content.frame


def noise_alone(prior: Prior, y: Tensor, known: Diagnosis | None = None, *, dots: bool = False) -> Diagnosis:
    """Finds the kind of picture, its compression and its noise only; see `diagnose`.

    Args:
        prior: the prior.
        y: one picture, (1, C, H, W) in [-1, 1].
        known: what the file itself tells, or an earlier look found; that is not looked for again.
        dots: whether to look for a print's dots, too. The noise is that of the picture without these.
    """
    known = known or Diagnosis()
    content = known.content or content_of(y)
    compression = known.compression or compression_of(y)
    screen = _screen(*content.inside(y)) if dots else None
    inside, content = _without(screen, y, content)
    return Diagnosis(content, compression, screen, _noise(prior, inside, content.inner, compression, screen))


def _screen(y: Tensor, content: Content) -> Screen | None:
    """Dots of a print in a photograph; what a program drew in dots is meant to have them."""
    return None if content.digital else screen_of(y, 1 if content.grey else y.shape[1])


def _without(screen: Screen | None, y: Tensor, content: Content) -> tuple[Tensor, Content]:
    """The part of a picture inside its frame, without the dots, and the kind of picture that this is."""
    inside = content.inside(y)[0]
    if screen is None:
        return inside, content
    inside = screen.without(inside).clamp(-1, 1)
    kind = replace(content_of(inside), frame=None, framed=None)
    return inside, kind if content.frame is None else replace(content, framed=kind)


def _noise(
    prior: Prior, y: Tensor, content: Content, compression: Compression | None, screen: Screen | None
) -> Noise | None:
    fine = compression is not None and compression.quality >= MILD
    return noise_of(Padded(prior), y, content, compression is not None, fine, printed=screen is not None)


@torch.no_grad()
def diagnose(prior: Prior, y: Tensor, known: Diagnosis | None = None) -> Diagnosis:
    """Looks for every kind of damage.

    Costs at most `CALLS` evaluations of the prior; for large pictures, on a part.

    Args:
        prior: the prior.
        y: one picture, (1, C, H, W) in [-1, 1].
        known: what the file itself tells, or an earlier look found; that is not looked for again.
    """
    known = known or Diagnosis()
    if known.whole:
        return known
    content = known.content or content_of(y)
    compression = known.compression or compression_of(y)
    screen = known.screen or _screen(*content.inside(y))
    inside, content = _without(screen, y, content)
    kind = content.inner
    noise = known.noise or _noise(prior, inside, kind, compression, screen)
    # Strong or coloured noise hides the spectrum that a blur is read off, and was taken for one; so do dots.
    readable = screen is None and (noise is None or (noise.white and noise.level <= _READABLE))
    blur = known.blur or (blur_of(inside, kind.drawn) if readable else None)
    light = known.exposure or exposure_of(y)
    return replace(
        known,
        content=content,
        compression=compression,
        screen=screen,
        noise=noise,
        blur=blur,
        exposure=light,
        enlarged=known.enlarged or enlarged_of(inside, kind.drawn),
        scratches=known.scratches or scratches_of(inside, kind.drawn),
        whole=True,
    )


def of_picture(prior: Prior, picture: Picture) -> Diagnosis:
    """Looks for every kind of damage in a picture's first page; see `diagnose`.

    Raises:
        UsageError: the prior has another number of channels, or pixels are not finite.
    """
    pixels = picture.filled().tensor()
    check_finite(pixels)
    grey = pixels.shape[1] == 1
    if not grey and pixels.shape[1] != prior.channels:
        raise UsageError(f"the prior takes images of {prior.channels} channels, this one has {pixels.shape[1]}")
    pixels = to_model(pixels.expand(-1, prior.channels, -1, -1).to(device_of(prior), torch.float32))
    return diagnose(prior, pixels, from_file(picture))


def from_file(picture: Picture) -> Diagnosis:
    """The part of a diagnosis that a picture's file gives."""
    return Diagnosis(compression=told_by(picture))
