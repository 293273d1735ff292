from __future__ import annotations

import pytest
import torch

from pellucid.bench import cases, spec
from pellucid.bench.measure import Measures
from pellucid.errors import PellucidError, UsageError
from pellucid.methods import DDRM, GDP, DreamClean
from pellucid.operators import Jpeg

TRUTH = torch.rand(1, 3, 32, 36, generator=torch.Generator().manual_seed(0))


def made(**about: object) -> cases.Case:
    return cases.given(spec.TableTask("t", **about), "a.png", TRUTH, None, 0, stand_in=True)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "operator",
    [
        {"name": "reduce", "factor": 4},
        {"name": "published-blur", "kind": "gaussian"},
        {"name": "valid-blur"},
        {"name": "random-mask", "share": 0.5},
        {"name": "box-mask", "share": 0.25},
        {"name": "grey"},
    ],
    ids=lambda operator: operator["name"],
)
def test_each_measurement_is_an_image_too(operator: dict[str, object]) -> None:
    given = made(operator=operator)
    assert given.damaged.shape == TRUTH.shape
    assert given.known is not None
    assert given.known.operator is not None
    assert torch.equal(given.known.y, given.known.operator.A(2 * TRUTH - 1))
    assert not torch.equal(given.damaged, TRUTH)


def test_noise_is_twice_as_large_in_the_librarys_units() -> None:
    quiet, loud = (made(operator={"name": "reduce", "factor": 1}, noise=noise) for noise in (0.0, 0.1))
    assert quiet.known is not None
    assert loud.known is not None
    assert loud.known.sigma_y == 0.2
    assert 0.18 < (loud.known.y - quiet.known.y).std().item() < 0.22


def test_methods_are_told_what_they_can_be_told() -> None:
    given = made(operator={"name": "reduce", "factor": 4})
    assert given.problem(DDRM()) is given.known
    assert given.problem(GDP()) is given.known
    assert given.problem(DreamClean()) is given.blind
    blind = made(damage={"name": "jpeg"})
    assert blind.problem(GDP()) is blind.blind
    with pytest.raises(PellucidError, match="needs the degradation"):
        blind.problem(DDRM())


def test_exposures_lie_along_the_channels_and_the_middle_one_is_shown() -> None:
    given = made(damage={"name": "exposures", "gains": [0.5, 1.0, 2.0]})
    assert given.blind.y.shape == (1, 9, 32, 36)
    assert torch.equal(given.damaged, TRUTH)


def test_a_task_without_damage_needs_the_data_sets() -> None:
    with pytest.raises(PellucidError, match=r"a\.png: the data set has no damaged image"):
        made()
    with pytest.raises(PellucidError, match="no clean image"):
        cases.given(spec.TableTask("t", operator={"name": "grey"}), "a", None, TRUTH, 0, True)


def test_operators_of_a_table_are_checked() -> None:
    with pytest.raises(UsageError, match="did you mean 'reduce'"):
        cases.operator({"name": "reduced"}, 8, 8)
    with pytest.raises(UsageError, match="has no 'factr'"):
        cases.operator({"name": "reduce", "factr": 2}, 8, 8)


def test_the_truth_agrees_with_what_was_measured() -> None:
    measures = Measures(spec.load("gdp-1"), {})
    for operator in ({"name": "reduce", "factor": 4}, {"name": "random-mask", "share": 0.25}, {"name": "grey"}):
        given = made(operator=operator)
        found = measures(TRUTH, given)
        assert found["consistency"] < 1e-6
        assert found["psnr"] == float("inf")
        assert measures(TRUTH.flip(-1), given)["consistency"] > 1


def test_a_method_that_needs_noise_is_told_the_least_there_is() -> None:
    quiet, loud = (made(operator={"name": "grey"}, noise=noise) for noise in (0.0, 0.1))
    assert quiet.known is not None
    assert quiet.noisy(0.0) is quiet
    assert loud.noisy(0.01) is loud
    told = quiet.noisy(0.01).known
    assert told is not None
    assert told.noise == 0.01
    assert told.y is quiet.known.y


def test_a_method_may_be_told_what_was_not_done() -> None:
    """A table's worst case: the image was compressed several times, and the method is told of once."""
    given = made(damage={"name": "multiple-jpeg"})
    assert given.assuming({}) is given
    told = given.assuming({"name": "jpeg", "quality": 10}).problem(DDRM())
    assert isinstance(told.operator, Jpeg)
    assert told.sigma_y == 0
    assert torch.equal(told.y, given.blind.y)


def test_missing_pixels_are_shown_black_where_the_table_says_so() -> None:
    mask = {"name": "box-mask", "share": 0.5}
    black, mean = made(operator=mask, missing="black"), made(operator=mask)
    assert black.damaged[..., 16, 18].tolist() == [[0.0, 0.0, 0.0]]
    assert mean.damaged[..., 16, 18].min() > 0.2
    assert torch.equal(black.damaged[..., :4, :], mean.damaged[..., :4, :])
