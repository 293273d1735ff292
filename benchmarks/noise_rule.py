"""Fits the rule that tells noise from texture: `python -m benchmarks.noise_rule PHOTOGRAPHS.tar [--crops N]`.

Middles of training photographs, half of them from the most textured, with and without noise, compressed, blurred or
enlarged. A sample is a gain if its row has noise and removing what is found gains more than 0.2 dB. Prints what
held-out folds say of the rule at some limits, and the rule itself, for `pellucid.diagnosis.noise.signs`. The rule there
was fitted on other draws of the same damages.
"""

from __future__ import annotations

import argparse
import io
import random
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from pellucid import degradations
from pellucid.diagnosis.content import estimate as content_of
from pellucid.diagnosis.noise import Calm, examined, signs
from pellucid.diagnosis.noise.blocks import calmest
from pellucid.images import from_pil
from pellucid.maths.noise import Streams
from pellucid.maths.problem import to_model, to_unit
from pellucid.methods.method import last
from pellucid.methods.walk import Denoising
from pellucid.metrics import psnr
from pellucid.priors import Counted, Prior, load_prior

ROWS = {
    "clean": "",
    "JPEG 5": "jpeg:5",
    "JPEG 10": "jpeg:10",
    "JPEG 30": "jpeg:30",
    "JPEG 60": "jpeg:60",
    "JPEG 80": "jpeg:80",
    "JPEG 92": "jpeg:92",
    "blur 1.2": "blur:1.2",
    "x2": "reduce:factor=2;enlarge=bicubic",
    "grain 0.7 px": "grain:sigma=0.0588;size=0.7",
    "grain 1.2 px": "grain:sigma=0.0588;size=1.2",
    "grain 1.0 px, weak": "grain:sigma=0.0314;size=1.0",
    "same in all channels 25": "shared-noise:0.098",
    "colour 5 + JPEG 92": "noise:0.0196|jpeg:92",
    "colour 10 + JPEG 92": "noise:0.0392|jpeg:92",
    "colour 25 + JPEG 92": "noise:0.098|jpeg:92",
    "colour 20 + JPEG 70": "noise:0.0784|jpeg:70",
    "chroma": "chroma-noise",
    "grey 10": "grey|shared-noise:0.0392",
    "grey 25": "grey|shared-noise:0.098",
    "clean, grey": "grey",
}
"""Damages as `pellucid degrade` takes them; what is grey is so in the truth, too."""

CLEAN = ("clean", "clean, grey", "JPEG 5", "JPEG 10", "JPEG 30", "JPEG 60", "JPEG 80", "JPEG 92", "blur 1.2", "x2")
NOISY = (
    "grain 0.7 px", "grain 1.2 px", "grain 1.0 px, weak", "same in all channels 25", "colour 5 + JPEG 92",
    "colour 10 + JPEG 92", "colour 25 + JPEG 92", "colour 20 + JPEG 70", "chroma", "grey 10", "grey 25",
)  # fmt: skip
_GAIN, _HARM = 0.2, -0.15


@dataclass(frozen=True)
class Sample:
    """One damaged crop: its photograph and kind, its signs, if its row has noise, and the gain of removing it in dB."""

    crop: int
    kind: signs.Sort
    row: str
    signs: dict[str, float]
    noisy: bool
    gain: float


def middles(archive: Path, many: int, size: int = 128) -> list[Tensor]:
    """Middles of photographs, every other one from the tenth with the most power in the calmest blocks."""
    with tarfile.open(archive) as files:
        members = sorted((member for member in files.getmembers() if member.isfile()), key=lambda member: member.name)
        random.Random(7).shuffle(members)
        crops = []
        for member in members[: 10 * many]:
            content = files.extractfile(member)
            assert content is not None
            photograph = Image.open(io.BytesIO(content.read())).convert("RGB")
            left, top = (photograph.width - size) // 2, (photograph.height - size) // 2
            crops.append(from_pil(photograph.crop((left, top, left + size, top + size))).tensor())
    busy = sorted(crops, key=_activity, reverse=True)[: (many + 1) // 2]
    usual = [crop for crop in crops if not any(crop is other for other in busy)]
    return [crop for pair in zip(busy, usual, strict=False) for crop in pair][:many]


def _activity(crop: Tensor) -> float:
    y = to_model(crop)
    return calmest(y, signs.unclipped(y), 3).level


@torch.no_grad()
def sample(prior: Prior, crop: Tensor, number: int, row: str) -> Sample | None:
    """None where nothing but white noise is looked for, and found, or where there is nothing to look at."""
    first, _, damage = ROWS[row].partition("|") if ROWS[row].startswith("grey") else ("", "", ROWS[row])
    truth = (degradations.get(first)(crop, 0) if first else crop).mul(255).round() / 255
    damaged = degradations.get(damage)(truth, number + 1) if damage else truth
    damaged = (damaged.clamp(0, 1) * 255).round() / 255
    y = to_model(damaged)
    content = content_of(y)
    calm = None if content.clean else Calm.of(y, content, "jpeg" in damage)
    found = None if calm is None else examined(prior, calm)
    if calm is None or found is None or found.white:
        return None
    # All of it is removed, however doubtful it is to the rule that there was before.
    stage = Denoising(replace(found, confidence=1.0), content.grey)
    out = psnr(to_unit(last(stage.iterate(y, Counted(prior), Streams([number]))).x), truth).item()
    # An undamaged picture that comes back at 50 dB is as good as untouched.
    before = min(psnr(damaged, truth).item(), 50.0)
    return Sample(number, calm.kind, row, found.numbers, row in NOISY, out - before)


Rule = tuple[dict[str, tuple[float, float]], float]


def fit(samples: Sequence[Sample], names: Sequence[str]) -> Rule:
    """Logistic regression with a Gaussian prior of its weights, by Newton's method; harm counts twice."""
    values = torch.tensor([[one.signs[name] for name in names] for one in samples], dtype=torch.float64)
    target = torch.tensor([float(one.noisy and one.gain > _GAIN) for one in samples], dtype=torch.float64)
    weight = torch.tensor([2.0 if one.gain < _HARM else 1.0 for one in samples], dtype=torch.float64)
    middle, scale = values.mean(0), values.std(0)
    values = torch.cat([(values - middle) / scale, torch.ones(len(values), 1)], 1)
    penalty = torch.eye(values.shape[1], dtype=torch.float64)
    penalty[-1, -1] = 0
    rule = torch.zeros(values.shape[1], dtype=torch.float64)
    for _ in range(30):
        odds = torch.sigmoid(values @ rule)
        slope = values.T @ (weight * (odds - target)) + penalty @ rule
        rule = rule - torch.linalg.solve(values.T @ (values * (weight * odds * (1 - odds))[:, None]) + penalty, slope)
    pairs = zip(middle.tolist(), (rule[:-1] / scale).tolist(), strict=True)
    return dict(zip(names, pairs, strict=True)), rule[-1].item()


def odds(rule: Rule, one: Sample) -> float:
    """What the rule says of a sample."""
    return (
        torch.tensor(
            rule[1]
            + sum(w * (one.signs[name] - middle) for name, (middle, w) in rule[0].items())
            + signs.beside(one.signs, one.kind)
        )
        .sigmoid()
        .item()
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("archive", type=Path)
    parser.add_argument("--crops", type=int, default=90)
    parser.add_argument("--prior", default="natural")
    arguments = parser.parse_args()
    prior, choose, samples = load_prior(arguments.prior), random.Random(3), []
    for number, crop in enumerate(middles(arguments.archive, arguments.crops)):
        for row in ["clean", *choose.sample(CLEAN[1:], 3), *choose.sample(NOISY, 5)]:
            one = sample(prior, crop, number, row)
            samples += [one] if one else []
    report(samples)


def report(samples: Sequence[Sample]) -> None:
    """Prints the rule, and what those of four fifths each say of the fifth that was held out."""
    names = list(signs.RULE)
    held = [
        (odds(rule, one), one)
        for fold in range(5)
        for rule in [fit([one for one in samples if one.crop % 5 != fold], names)]
        for one in samples
        if one.crop % 5 == fold
    ]
    noisy = sum(one.noisy and one.gain > _GAIN for one in samples)
    for limit in (0.45, 0.6, 0.75, 0.85):
        kept = [one for share, one in held if share >= limit]
        right = sum(one.noisy and one.gain > _GAIN for one in kept)
        print(f"held out, {limit}: {right} of {noisy} found, harm to {sum(one.gain < _HARM for one in kept)} others")
    rule, offset = fit(samples, names)
    for name, (middle, weight) in rule.items():
        print(f'    "{name}": ({middle:.3f}, {weight:.3f}),')
    print(f"_OFFSET = {offset:.3f}")


if __name__ == "__main__":
    main()
