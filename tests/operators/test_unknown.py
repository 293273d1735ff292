"""Degradations with unknown numbers."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pellucid.errors import UsageError
from pellucid.maths.noise import Streams
from pellucid.maths.problem import to_model, to_zero_one
from pellucid.operators import AveragePool, Blur, blur
from pellucid.operators.blur import convolve
from pellucid.operators.unknown import Kernel, Known, Light


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("border", ["circular", "replicate"])
@pytest.mark.parametrize("size", [(3, 3), (5, 2), (4, 5)])
def test_each_image_has_its_own_kernel(border: str, size: tuple[int, int]) -> None:
    x, kernels = draw(2, 3, 7, 6), draw(2, 1, *size, seed=1)
    expected = [Blur(k[0], border).A(x[i : i + 1]) for i, k in enumerate(kernels)]  # type: ignore[arg-type]
    torch.testing.assert_close(convolve(x, kernels, border), torch.cat(expected))  # type: ignore[arg-type]


def test_a_convolution_is_differentiable_in_both() -> None:
    x, k = draw(1, 1, 4, 5).requires_grad_(), draw(1, 1, 3, 3, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(convolve, (x, k))


def test_light_is_a_factor_and_a_map_in_unit_range() -> None:
    x = to_model(torch.full((1, 3, 4, 4), 0.5).double())
    y = to_model(torch.full((1, 6, 4, 4), 0.9).double())
    theta = {"gain": torch.tensor([0.4, 1.2]).double().view(1, 2, 1, 1, 1), "map": torch.zeros(1, 2, 1, 1).double()}
    theta["map"][0, 0] = 0.1
    made = to_zero_one(Light(cell=4).A(x, theta, y))
    torch.testing.assert_close(made[:, :3], torch.full((1, 3, 4, 4), 0.3).double())
    torch.testing.assert_close(made[:, 3:], torch.full((1, 3, 4, 4), 0.6).double())


def test_what_is_clipped_only_disagrees_on_one_side() -> None:
    """A white pixel may have been any brighter, a black one any darker."""
    x = to_model(torch.tensor([0.2, 0.9, 0.2, 0.9]).double().view(1, 1, 2, 2))
    y = to_model(torch.tensor([1.0, 1.0, 0.0, 0.0]).double().view(1, 1, 2, 2))
    theta = {"gain": torch.full((1, 1, 1, 1, 1), 2.0).double(), "map": torch.full((1, 1, 1, 1), -0.5).double()}
    made = to_zero_one(Light(cell=2).A(x, theta, y)).flatten()
    # 2 x - 0.5: -0.1 and 1.3; the second and third are beyond what a picture holds.
    torch.testing.assert_close(made, torch.tensor([-0.1, 1.0, 0.0, 1.3]).double())


def test_exposures_lie_along_the_channels() -> None:
    assert Light().image_shape((2, 9, 4, 5), 3) == (2, 3, 4, 5)
    with pytest.raises(UsageError, match="exposures of 3 channels"):
        Light().image_shape((2, 8, 4, 5), 3)
    theta = Light(cell=4, per_channel=True).start(draw(2, 6, 9, 5), 3, Streams([0, 1]))
    assert theta["gain"].shape == (2, 2, 3, 1, 1)
    assert theta["map"].shape == (2, 2, 3, 2)
    assert Light(cell=4).found(theta, draw(2, 6, 9, 5))["map"].shape == (2, 2, 9, 5)


def test_the_maps_rate_is_that_of_one_pixel() -> None:
    """With cells of a pixel, M moves by the rate against the derivative of its own pixel's squared error."""
    x, y = to_model(torch.full((1, 1, 2, 2), 0.5)), to_model(torch.full((1, 1, 2, 2), 0.8))
    light = Light(rate=0, map_rate=0.1, cell=1)
    theta = {"gain": torch.ones(1, 1, 1, 1, 1).requires_grad_(), "map": torch.zeros(1, 1, 2, 2).requires_grad_()}
    (to_zero_one(light.A(x, theta, y)) - to_zero_one(y)).square().mean().backward()
    light.optimiser(theta).step()
    torch.testing.assert_close(theta["map"].detach(), torch.full((1, 1, 2, 2), 0.1 * 2 * 0.3))


def test_a_kernel_begins_as_a_gaussian_and_stays_a_kernel() -> None:
    family = Kernel(9, spread=1.0)
    theta = family.start(draw(2, 3, 8, 8), 3, Streams([0, 1]))
    kernel = family.found(theta, draw(2, 3, 8, 8))["kernel"]
    assert kernel.shape == (2, 1, 9, 9)
    torch.testing.assert_close(kernel.sum((1, 2, 3)), torch.ones(2).double())
    torch.testing.assert_close(kernel[0, 0], blur.gaussian(1.0, 9), atol=3e-3, rtol=0)


def test_a_known_degradation_has_nothing_unknown() -> None:
    family = Known(AveragePool(2))
    assert family.image_shape((1, 3, 2, 2), 3) == (1, 3, 4, 4)
    assert family.start(draw(1, 3, 2, 2), 3, Streams([0])) == {}
    assert family.optimiser({}) is None
