from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pellucid.errors import UsageError
from pellucid.problem import Problem, to_model, to_unit


def test_units_are_converted_once_images_and_noise_alike() -> None:
    image = torch.tensor([0.0, 0.5, 1.0]).view(1, 1, 1, 3)
    problem = Problem.of(image, noise=0.05)
    assert problem.y.flatten().tolist() == [-1, 0, 1]
    assert problem.sigma_y == pytest.approx(0.1)
    assert torch.equal(to_unit(problem.y), image)


@given(st.integers(0, 65535))
def test_sixteen_bit_values_survive_the_conversion(value: int) -> None:
    assert round(to_unit(to_model(torch.tensor(value / 65535))).item() * 65535) == value


def test_only_the_way_back_clamps() -> None:
    assert to_model(torch.tensor(1.5)).item() == 2
    assert to_unit(torch.tensor([-3.0, 3.0])).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("y", "sigma_y", "message"),
    [
        (torch.zeros(1, 3, 4, 4, dtype=torch.uint8), None, "floating-point"),
        (torch.zeros(3, 4, 4), None, "shape"),
        (torch.zeros(1, 3, 0, 4), None, "shape"),
        (torch.full((1, 3, 4, 4), float("nan")), None, "not finite"),
        (torch.zeros(1, 3, 4, 4), -0.1, "noise level"),
        (torch.zeros(1, 3, 4, 4), float("nan"), "noise level"),
    ],
)
def test_what_is_no_problem_is_refused(y: torch.Tensor, sigma_y: float | None, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Problem(y, sigma_y=sigma_y)
