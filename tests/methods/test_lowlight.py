from __future__ import annotations

from importlib import resources

import pytest
import torch
from torch import Tensor

from pellucid import degradations, images
from pellucid.diagnosis import exposure
from pellucid.errors import UsageError
from pellucid.maths.noise import Streams
from pellucid.maths.problem import Problem, to_model, to_unit
from pellucid.methods import LowLight
from pellucid.methods.lowlight import curve
from pellucid.methods.method import last
from pellucid.metrics import psnr
from pellucid.priors import load_prior


def scene(black: float = 0.0, white: float = 1.0) -> Tensor:
    """All values from black to white, in [-1, 1]."""
    line = torch.linspace(black, white, 64 * 64).view(1, 1, 64, 64)
    return to_model(line.expand(1, 3, -1, -1))


def test_the_curve_reaches_white_and_level() -> None:
    dark = to_model(0.2 * to_unit(scene()) ** 2)
    light = exposure.measure(curve(dark, 0.95, 0.4, 20, 3.0))
    assert light.white == pytest.approx(0.95, abs=0.02)
    assert light.mean == pytest.approx(0.4, abs=0.002)


def test_a_linear_picture_gets_its_factor_alone() -> None:
    # The mean of this scene, half of white, is above the level already: no curve is added.
    dark = to_model(0.2 * to_unit(scene()))
    white = exposure.measure(dark).white
    torch.testing.assert_close(to_unit(curve(dark, 0.95, 0.4, 20, 3.0)), (to_unit(dark) * 0.95 / white).clamp(0, 1))
    # The most that light is multiplied by.
    torch.testing.assert_close(to_unit(curve(dark, 0.95, 0.1, 2, 3.0)), 2 * to_unit(dark))


def test_what_is_bright_stays() -> None:
    assert torch.equal(curve(scene(), 0.95, 0.4, 20, 3.0), to_model(to_unit(scene()).clamp(0, 1)))


def test_black_does_not_become_infinite() -> None:
    assert curve(torch.full((1, 3, 8, 8), -1.0), 0.95, 0.4, 20, 2.5).isfinite().all()


@pytest.mark.parametrize("wrong", [{"white": 0.0}, {"level": 1.0}, {"gain": 0.5}, {"gamma": 0.9}])
def test_wrong_values(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        LowLight(**wrong)


def test_noise_goes_before_the_light_and_the_note_says_both() -> None:
    prior = load_prior("natural")
    with resources.as_file(resources.files("pellucid") / "assets" / "cat.png") as path:
        truth = images.read(path).tensor(3)[..., 64:160, 64:160]
    dark = degradations.low_light(truth, 0.2, 1.0, 0.02, 1)
    state = last(LowLight().iterate(Problem.of(dark), prior, Streams([0])))
    assert "removed, then brightened" in state.notes[0]

    def fitted(image: Tensor) -> float:
        factor = (image * truth).sum() / image.square().sum()
        return psnr((factor * image).clamp(0, 1), truth).item()

    assert fitted(to_unit(state.x)) > fitted(dark) + 5
    assert exposure.measure(state.x).mean > 0.3


def test_dark_and_faded_are_found_and_told() -> None:
    assert exposure.estimate(scene()) is None
    dark = exposure.estimate(scene(0.0, 0.3))
    assert dark is not None
    assert (dark.text, dark.remedy) == ("dark", "--task lowlight")
    assert dark.white == pytest.approx(0.3, abs=0.01)
    assert dark.confidence > 0.9
    faded = exposure.estimate(to_model(degradations.faded(to_unit(scene()), 0.5, 0.3, (1.1, 1.0, 0.7))))
    assert faded is not None
    assert (faded.text, faded.remedy) == ("faded, with a colour cast", "--task unfade")
    assert exposure.estimate(torch.full((1, 1, 1, 1), 0.2)) is None
