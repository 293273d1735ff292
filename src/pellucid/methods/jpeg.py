r"""JPEG by splitting the prior from the quantisation, with a result within the cells that the file leaves open.

q are the file's coefficients, and A is the linear part of the encoder (`operators.Quantised`). The prior's estimate x0
and the image x of the measurement are two variables, coupled by a growing penalty (half-quadratic splitting):

.. math::
    x_0 = D(x, g), \qquad x = \arg\min_x 12\, |q - A x|^2 + \frac{\lambda}{g^2} |x - x_0|^2

Rounding has the variance 1/12. With A = U s V^T the second line is exact in spectral coordinates:

.. math:: V^T x = \frac{12\, s\, U^T q + (\lambda / g^2)\, V^T x_0}{12\, s^2 + \lambda / g^2}

g falls geometrically. At each step the prior sees the image in another of eight orientations. There are two ends: the
last x, with a share of lambda, agrees with the measurement; the last x_0 has the least squared error. Either is moved
into the cells |q - A x| <= 1/2, where the original lies.

A picture may have an earlier, coarser compression. On the same blocks, the first compression's cells are known and
used. If the earlier quality is fine, its result counts as the clean picture, and only the last compression is undone.
On other blocks the last compression's cells are narrower than the damage: they get less weight and are not enforced.

References:
    Zhang et al., "Plug-and-Play Image Restoration with Deep Denoiser Prior", IEEE TPAMI 2021: the splitting.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from ..diagnosis import CALLS as LOOKS
from ..diagnosis import Diagnosis, noise_alone
from ..diagnosis.coefficients import quality
from ..diagnosis.compression import MILD, OLD, Compression, known
from ..diagnosis.content import Content
from ..diagnosis.content import estimate as content_of
from ..diagnosis.noise import LEAST
from ..errors import UsageError
from ..images import JpegCoding
from ..maths.noise import Streams
from ..maths.problem import Problem
from ..operators import Jpeg, Quantised
from ..operators.quantised import SIGMA
from ..priors.prior import Counted, Prior
from . import walk
from .dpir import geometric, turned
from .jpeg_colours import kept
from .measurement import tells
from .method import Method, State
from .onebyone import Run, left_alone, one_by_one, shared
from .plan import LEFT, Framing, Plan

CALLS, WEIGHT = 7, 0.2
"""Evaluations, and lambda: chosen for the least squared error on training photographs."""

_COARSE, _FINE = (30, 0.14), (80, 0.45)
"""Quality, and the share of lambda in the last step there: the coarser a file, the more its LPIPS rises without."""

_WHOLE_COLOURS = 0.8
"""Factor of this share where colours are not reduced: there is more to smooth, and LPIPS rises by a third more."""

_GREY = 2.0
"""Factor of lambda for grey pictures, of which a file has a third of a colour picture's numbers for the same pixels.

On 8 grey training crops it gains nothing at quality 10, 0.11 dB at 30, 0.21 at 60 and 0.33 at 80. A factor of 3 loses
0.05 at 10.
"""

_HIGHEST, _LOWEST = 0.2, 0.02

FINE, FINE_CALLS, FINE_WEIGHT = 75, 3, 0.3
"""Quality from which `auto` makes fewer evaluations, their number, and lambda there."""

_FINE_HIGHEST, _FINE_LOWEST = 0.15, 0.014
"""First and last level of these.

Beside 4 evaluations from 0.2 on with a lambda of 0.2, on 14 training photographs: 0.00 dB at quality 75, +0.01 at 82
and 90, with an LPIPS of 0.030 for 0.028, 0.019 for 0.017 and 0.0086 for 0.0080. With whole colours +0.08 and +0.11 at
75 and 90, in grey +0.03 and +0.10. Two evaluations lose 0.04 to 0.25 dB.
"""

_LESS = 18.0
"""Reduction of the weight of the last of several compressions on different grids."""

_PAGE, _PAGE_FINE, _PAGE_COARSE = 0.2, 70, 40
"""Share of constant windows of a drawn page, and qualities: from the first it is left alone, from the second treated as
one. A prior of photographs knows less of its thin lines than the file keeps. Of 32 drawn pages at quality 75, 5 lost,
2.6 dB at worst.
"""

_CLIPPED = 0.999

_BEYOND, _STRANGE = 0.6, 0.02
"""Deviation from the last compression's numbers, in steps, that is too large, and the share of such numbers that
refutes the first one's table.
"""


@dataclass(frozen=True)
class Decompression:
    """Undoes one compression; see `plan.Treatment`.

    Attributes:
        compression: the finding.
        steps: evaluations.
        weight: lambda.
        toward: share of the prior's last estimate in the result, [0, 1]; the rest is the image of the measurement.
        grey: whether the picture is grey and must stay grey.
        highest: level of the first evaluation, in [-1, 1] units.
        lowest: level of the last one.
        sharp: whether macroblocks with clipped pixels stay as they are: on a page, the pixels at an edge of ink are
            clipped, and tell less of the file's numbers than they need.
    """

    # Its border cuts through blocks of the file, which are known as wholes.
    frame: ClassVar[Framing] = "kept"

    compression: Compression
    steps: int = CALLS
    weight: float = WEIGHT
    toward: float = 0.0
    grey: bool = False
    highest: float = _HIGHEST
    lowest: float = _LOWEST
    sharp: bool = False

    @classmethod
    def of(cls, compression: Compression, steps: int, weight: float, strength: float, grey: bool) -> Decompression:
        """Makes the treatment for a finding and a strength from 1 on; 2 gives the least squared error."""
        return cls(compression, steps, strength * weight, strength - 1, grey)

    @property
    def note(self) -> str:
        """Note on the removed compression."""
        return f"{self.compression.text} undone"

    @property
    def nfe(self) -> int:
        """One evaluation a step."""
        return self.steps

    @torch.no_grad()
    def iterate(self, y: Tensor, prior: Counted, rng: Streams) -> Iterator[State]:
        """See `plan.Treatment`; draws nothing."""
        coding, before = self.compression.coding, self.compression.before
        # With the numbers of the colours, a change of the brightness would be one of the colours, too.
        coding = coding.brightness if self.grey else coding
        last = Quantised(coding, tuple(y.shape[1:]))
        shifted = before is not None and not before.aligned
        if before is not None and before.aligned:
            # Not of the colours, which may have been reduced in another way then.
            coding = replace(coding, tables=(Jpeg(before.quality).coding.tables[0], *coding.tables[1:]))
        operator, end = (Quantised(coding, tuple(y.shape[1:]), apart=apart) for apart in (False, True))
        q = operator.coefficients(y)
        if before is not None and before.aligned and before.quality >= OLD:
            x = operator.within(y, q, 0.0)
            strange = ((last.A(x) - last.coefficients(y)).abs() > _BEYOND).float().mean().item()
            if strange > _STRANGE:
                yield State(1, 1, 0.0, y, y, prior.nfe, notes=(f"{self.compression.text}, left unchanged",))
            else:
                note = f"{self.compression.text}: the last one undone"
                yield State(1, 1, 0.0, x, x, prior.nfe, notes=(note,))
            return
        x = y
        weight = self.weight * (_LESS if shifted else 1.0) * (_GREY if self.grey else 1.0)
        for step, level in enumerate(geometric(self.highest, self.lowest, self.steps), 1):
            x0 = turned(prior, x, level, step - 1)
            x0 = x0.mean(1, keepdim=True).expand_as(x0).contiguous() if self.grey else x0
            done = step == self.steps
            more = _share(coding) if done and not shifted else 1.0
            # Green changes of the brightness are noise that the next evaluation removes; after the last one they stay.
            x = (end if done else operator).nearest(x0, q, more * weight * (SIGMA / level) ** 2)
            if done:
                x = torch.lerp(x, x0, self.toward)
                x = x if shifted else self._within(end, q, y, x)
                x = torch.where(operator.around(y.abs() > _CLIPPED), y, x) if self.sharp else x
            yield State(step, self.steps, 0.0 if done else level, x, x0, prior.nfe)

    def _within(self, operator: Quantised, q: Tensor, y: Tensor, x: Tensor) -> Tensor:
        """Moves a result into the cells, with the file's own colours where the prior does not know them."""
        within = operator.within(x, q)
        if self.grey or len(operator.coding.tables) == 1:
            return within
        left = kept(operator.coding, y, x, within)
        # Macroblocks that are cut by the picture's border are marked from its corner on, not as they lie.
        return within if left is None else operator.within(left, q)


def _share(coding: JpegCoding) -> float:
    """The share of lambda in the last step, by the quality and the reduction of the colours."""
    (low, least), (high, most) = _COARSE, _FINE
    share = least + (most - least) * min(max((quality(coding) - low) / (high - low), 0.0), 1.0)
    return share * (_WHOLE_COLOURS if coding.shrunk == (1, 1) and len(coding.tables) > 1 else 1.0)


def _page(content: Content, fineness: int) -> bool:
    """True for a drawn page; coarse compression makes areas of photographs constant, too."""
    return content.flat > _PAGE and fineness >= _PAGE_COARSE


def treatment(diagnosis: Diagnosis, strength: float) -> Decompression | None:
    """Decompression if the loss is large enough; see `plan.Maker`."""
    found = diagnosis.compression
    if found is None or not found.harmful:
        return None
    if found.old:
        return None
    if diagnosis.screen is not None:
        # Dots are no picture to a prior, and a file's cells hold them.
        return None
    if (diagnosis.noise is not None or diagnosis.blur is not None) and found.quality >= MILD:
        # What such a file lost is far below the noise, and its cells hold the noise, or the blur, again.
        return None
    content = diagnosis.inner
    if content.drawn and found.quality >= MILD:
        # A prior of photographs knows less of a drawn page than a fine file keeps: 0.8 dB were lost on a screenshot.
        return None
    if found.quality >= _PAGE_FINE and _page(content, found.quality):
        return None
    # Two grids are as much damage as a coarse file.
    if found.before is None and found.quality >= FINE:
        stage = Decompression.of(found, FINE_CALLS, FINE_WEIGHT, strength, content.grey)
        stage = replace(stage, highest=_FINE_HIGHEST, lowest=_FINE_LOWEST)
    else:
        stage = Decompression.of(found, CALLS, WEIGHT, strength, content.grey)
    return replace(stage, sharp=_page(content, found.quality))


@dataclass(frozen=True)
class JPEG(Method):
    """Undoes JPEG compression with known tables, by splitting, and removes noise from before; see `Decompression`.

    Without noise the result could be the original of the file, except for a picture that was compressed before on
    another grid. Costs `steps` evaluations, at most 10 to look for noise and 7 to remove it; with a noise level of 0
    none for noise. Takes a `Jpeg` operator, with y as the decoded image. Above quality 93 a prior can restore nothing,
    and above 84 with noise only that is removed.

    Attributes:
        steps: evaluations, 7 gain what 12 do but for 0.04 dB.
        weight: lambda, which trades the file's numbers against the prior.
        fidelity: how near to the image to stay, [0, 1]; 0 has the least squared error, which looks smooth, 0.5 most of
            its gain, 1 changes nothing.
    """

    blind: ClassVar[bool] = False
    needs_noise: ClassVar[bool] = False
    takes_decoded: ClassVar[bool] = True
    takes_grey_noise: ClassVar[bool] = True

    steps: int = CALLS
    weight: float = WEIGHT
    fidelity: float = 0.5

    def __post_init__(self) -> None:
        self.require(self.steps >= 1, "steps", "at least 1")
        self.require(0 < self.weight <= 100, "weight", "above 0, at most 100")
        self.require(0 <= self.fidelity <= 1, "fidelity", "from 0 to 1")

    def nfe(self, prior: Prior) -> int:
        """One evaluation a step, plus at most those for the noise."""
        return LOOKS + self.steps + walk.CALLS

    @torch.no_grad()
    def iterate(self, problem: Problem, prior: Prior, rng: Streams) -> Iterator[State]:
        """See `Method`; one state a step of each image; `notes` state the file's quality.

        Raises:
            UsageError: another operator than `Jpeg`.
        """
        operator = self.operator_of(problem)
        if not isinstance(operator, Jpeg):
            raise UsageError(f"JPEG undoes Jpeg, not {type(operator).__name__}")
        levels = problem.levels or (problem.sigma_y,) * len(problem.y)
        runs = shared(problem.y, lambda i: self._run(prior, problem.y[i : i + 1], operator.coding, levels[i]))
        yield from one_by_one(problem, rng, runs)

    def _run(self, prior: Prior, y: Tensor, coding: JpegCoding, sigma: float | None) -> Run:
        compression, counted = known(y, coding), Counted(prior)
        strength = 2 * (1 - self.fidelity)
        if not strength:
            return left_alone(LEFT, 0)
        found = Diagnosis(content_of(y), compression)
        if sigma is None and tells(prior):
            found = noise_alone(counted, y, found)
        elif sigma and sigma >= LEAST:
            found = replace(found, noise=walk.white(sigma, y.shape[1], found.inner.grey))
        plan = Plan.of(found, (self._treatment, walk.treatment), self.fidelity)
        note = plan.note if plan.stages else f"{compression.text}, left unchanged"
        return Run(lambda y, rng: plan.iterate(y, Counted(prior), rng), counted.nfe, note)

    def _treatment(self, diagnosis: Diagnosis, strength: float) -> Decompression | None:
        """Decompression, wanted where `treatment` would make none; see there for noise in a fine file."""
        found, content = diagnosis.compression, diagnosis.inner
        if found is None or not found.harmful or (diagnosis.noise is not None and found.quality >= MILD):
            return None
        stage = Decompression.of(found, self.steps, self.weight, strength, content.grey)
        return replace(stage, sharp=_page(content, found.quality))
