from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pellucid.errors import UsageError
from pellucid.maths.problem import Problem, to_model, to_unit
from pellucid.operators import AveragePool, Fourier, Hadamard, Mask, Operator


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


def test_a_problem_has_a_level_for_each_image() -> None:
    images = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    problem = Problem.of(images, Mask.random(4, 4), torch.tensor([0.1, 0.2]))
    assert problem.sigma_y is None
    assert problem.levels == pytest.approx((0.2, 0.4))
    for part, image, level in zip(problem.split(), problem.y, (0.2, 0.4), strict=True):
        assert torch.equal(part.y, image[None])
        assert part.sigma_y == pytest.approx(level)
    assert Problem.of(images, noise=[0.1, 0.1]).sigma_y == pytest.approx(0.2)
    with pytest.raises(UsageError, match="3 noise levels for 2 images"):
        Problem(images, levels=(0.1, 0.2, 0.3))
    with pytest.raises(UsageError, match="noise level"):
        Problem(images, levels=(0.1, -0.2))
    with pytest.raises(UsageError, match="for each image"):
        Problem(images, sigma_y=torch.tensor([0.1, 0.2]))  # type: ignore[arg-type]


@pytest.mark.parametrize("operator", [Fourier.lines(8, 8), Hadamard(8, 8), Mask.random(8, 8), AveragePool(2)])
def test_units_of_measurements_are_those_of_images(operator: Operator) -> None:
    image = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    expected = operator.A(to_model(image))
    found = Problem.of(operator.A(image), operator).y
    if isinstance(operator, Mask):  # what is missing is never looked at
        expected, found = (y * operator.known for y in (expected, found))
    torch.testing.assert_close(found, expected)


def test_complex_numbers_need_who_measured_them() -> None:
    y = torch.zeros(1, 3, 8, 8, dtype=torch.complex64)
    with pytest.raises(UsageError, match="complex"):
        Problem(y)
    with pytest.raises(UsageError, match="AveragePool measures real numbers"):
        Problem(y, AveragePool(2))
