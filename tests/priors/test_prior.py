from __future__ import annotations

from typing import Literal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from pellucid.errors import PellucidError, UsageError
from pellucid.maths.noise import linear_ladder
from pellucid.priors import (
    Checkpointed,
    Counted,
    GaussianPrior,
    Padded,
    Prior,
    Tiled,
    VENetwork,
    VPNetwork,
    fit,
    load_prior,
)
from pellucid.priors.network import DenoisingUNet, UNetConfig
from pellucid.priors.tiled import OVERLAP, OWN_TILE, TILE, spans, usual_tile

ROUGH = GaussianPrior(torch.full((3, 1, 1), 0.1), variance=torch.full((3, 1, 1), 0.3))
sizes = st.integers(1, 40)


def draw(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


class Grid:
    """A pixel-wise prior that, like a network, refuses sizes off its grid, and remembers what it was shown."""

    channels, multiple, sigmas = 3, 4, linear_ladder()

    def __init__(self) -> None:
        self.shown: list[tuple[int, ...]] = []

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        assert x.shape[-1] % 4 == x.shape[-2] % 4 == 0
        self.shown.append(tuple(x.shape))
        return ROUGH(x, sigma)


def local_network() -> VENetwork:
    """A random convolutional network with a receptive field of 9 pixels, on a grid of 2."""
    generator = torch.Generator().manual_seed(0)
    layers = [nn.Conv2d(a, b, 3, padding=1) for a, b in ((3, 8), (8, 8), (8, 8), (8, 3))]
    for layer in layers:
        nn.init.normal_(layer.weight, std=0.15, generator=generator)
    network = nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2], nn.ReLU(), layers[3])
    return VENetwork(lambda x, sigma: network.requires_grad_(False)(x), linear_ladder(), multiple=2)


def test_the_protocol_holds_for_every_prior_and_wrapper() -> None:
    for prior in (ROUGH, Grid(), Padded(ROUGH), Tiled(ROUGH), Counted(ROUGH), local_network()):
        assert isinstance(prior, Prior)
        assert prior.channels == 3


# --- Counted ---


def test_counting_counts_evaluations_and_tells_the_pixels() -> None:
    pixels: list[int] = []
    counted = Counted(ROUGH, pixels.append)
    counted(draw(1, 3, 2, 2), 1.0)
    counted(draw(4, 3, 2, 5), 1.0)
    assert counted.nfe == 2
    assert pixels == [4, 40]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_an_estimate_that_is_not_finite_is_an_error(bad: float) -> None:
    def broken(x: Tensor, sigma: Tensor) -> Tensor:
        out = x.clone()
        out[0, 1, 1, 0] = bad
        return out

    with pytest.raises(PellucidError, match=r"noise level 0\.5 is not finite"):
        Counted(VENetwork(broken, linear_ladder()))(draw(1, 3, 4, 4), 0.5)


# --- Padded ---


@given(st.integers(1, 2), sizes, sizes)
def test_padding_takes_any_size_and_changes_no_pixelwise_result(batch: int, height: int, width: int) -> None:
    x, grid = draw(batch, 3, height, width), Grid()
    torch.testing.assert_close(Padded(grid)(x, 0.5), ROUGH(x, 0.5))
    assert grid.shown == [(batch, 3, -(-height // 4) * 4, -(-width // 4) * 4)]


def test_padding_reflects_without_repeating_the_edge() -> None:
    seen: list[Tensor] = []

    def look(x: Tensor, sigma: Tensor) -> Tensor:
        seen.append(x)
        return x

    x = torch.arange(3.0).view(1, 1, 1, 3).expand(1, 1, 2, 3)
    Padded(VENetwork(look, linear_ladder(), channels=1, multiple=8))(x, 1.0)
    assert seen[0][0, 0].tolist() == [[0, 1, 2, 1, 0, 1, 2, 1]] * 8


# --- Tiled ---


@given(st.integers(1, 2), sizes, sizes, st.integers(8, 24), st.integers(0, 7), st.integers(1, 5))
def test_tiling_covers_each_pixel_with_weight_one(
    images: int, height: int, width: int, tile: int, overlap: int, batch: int
) -> None:
    x, grid = draw(images, 3, height, width), Grid()
    if -(-overlap // 4) >= -(-tile // 4):
        return
    prior = Padded(Tiled(grid, tile, overlap, batch))
    torch.testing.assert_close(prior(x, 0.5), ROUGH(x, 0.5))
    tiles = prior.tiles(height, width)
    assert tiles.number * images == sum(shape[0] for shape in grid.shown)
    assert tiles.pixels * images == sum(b * h * w for b, _, h, w in grid.shown)
    assert max(max(shape[2:]) for shape in grid.shown) <= -(-tile // 4) * 4
    assert max(shape[0] for shape in grid.shown) <= max(batch, images if tiles.number == 1 else 0)


def test_tiling_is_invisible_where_tiles_share_more_than_the_receptive_field() -> None:
    x, network = draw(2, 3, 70, 94), local_network()
    whole = network(x, 0.5)
    # Only the outermost 4 pixels of a tile feel its border, and there its weight is next to nothing.
    tiled = Padded(Tiled(network, tile=48, overlap=32))(x, 0.5)
    assert (tiled - whole).abs().max() < 0.02 * (whole.max() - whole.min())
    inner = (tiled - whole).abs() < 1e-5
    assert inner.float().mean() > 0.5


def test_the_packages_networks_see_no_farther_than_their_tiles_overlap() -> None:
    prior = load_prior("natural")
    assert (usual_tile(prior), usual_tile(Counted(prior)), usual_tile(ROUGH)) == (OWN_TILE, OWN_TILE, TILE)
    x, kept = draw(1, 3, 32, 160).clamp(-1, 1), 112
    for sigma in (0.014, 0.2):
        whole, cut = prior(x, sigma), prior(x[..., :kept].contiguous(), sigma)
        far = (cut - whole[..., :kept])[..., : kept - OVERLAP]
        assert far.abs().max() < 1e-3, "an eighth of a step of 8 bits"
        assert (cut - whole[..., :kept]).abs().max() > 1e-2


def test_large_images_get_the_usual_tiles() -> None:
    own, other = fit(load_prior("natural")), fit(ROUGH)
    assert (own.tiles(1056, 700).number, other.tiles(1056, 700).number) == (1, 6)
    assert own.tiles(3000, 4000) == (12, 1056, 1056)
    assert fit(load_prior("natural"), tile=512).tiles(3000, 4000) == (63, 496, 512)


def test_tiles_do_not_depend_on_their_batching() -> None:
    x, network = draw(2, 3, 70, 94), local_network()
    levels = torch.tensor([0.3, 0.9])
    results = [Tiled(network, 32, 16, batch)(x, levels) for batch in (1, 3, 100)]
    torch.testing.assert_close(results[0], results[1])
    torch.testing.assert_close(results[0], results[2])


def test_each_image_of_a_tiled_batch_keeps_its_noise_level() -> None:
    x, prior = draw(2, 3, 20, 20), Tiled(ROUGH, 8, 4, batch=3)
    torch.testing.assert_close(prior(x, torch.tensor([0.3, 2.0])), ROUGH(x, torch.tensor([0.3, 2.0])))


def test_gradients_flow_through_tiles_and_padding() -> None:
    x = draw(1, 3, 21, 13).double().requires_grad_()
    rough = GaussianPrior(torch.zeros(3, 1, 1).double(), variance=torch.full((3, 1, 1), 0.3).double())
    fit(rough, tile=8)(x, 0.5).sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, torch.full_like(x, 0.3 / 0.55), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("arguments", [(0, 0, 1), (16, 16, 1), (16, -1, 1), (16, 4, 0)])
def test_impossible_tiles_are_refused(arguments: tuple[int, int, int]) -> None:
    with pytest.raises(UsageError, match="tiles"):
        Tiled(ROUGH, *arguments)


def test_fit_takes_one_pixel_and_a_panorama() -> None:
    for shape in ((1, 3, 1, 1), (1, 3, 5, 1300)):
        x = draw(*shape)
        torch.testing.assert_close(fit(Grid())(x, 0.5), ROUGH(x, 0.5))


class Kept:
    """Counts the numbers that are kept for a gradient."""

    def __init__(self) -> None:
        self.numbers = 0

    def __call__(self, tensor: Tensor) -> Tensor:
        self.numbers += tensor.numel()
        return tensor


@pytest.mark.parametrize("by", ["call", "block"])
def test_checkpointing_changes_no_gradient(by: Literal["call", "block"]) -> None:
    torch.manual_seed(0)
    network = DenoisingUNet(UNetConfig(patch=2, widths=(8, 12), blocks=(2, 1), embedding=8))
    nn.init.normal_(network.tail.weight, std=0.1)
    prior = VENetwork(network.requires_grad_(False), linear_ladder(), multiple=4)
    results = []
    for one in (prior, Checkpointed(prior, by)):
        x = draw(1, 3, 8, 8).requires_grad_()
        kept = Kept()
        with torch.autograd.graph.saved_tensors_hooks(kept, lambda tensor: tensor):
            x0 = one(one(x, 0.7), 0.3)
        (gradient,) = torch.autograd.grad(x0.square().sum(), x)
        results.append((x0, gradient, kept.numbers))
    (x0, gradient, much), (same_x0, same_gradient, little) = results
    assert torch.equal(x0, same_x0)
    torch.testing.assert_close(gradient, same_gradient)
    assert little < much / (5 if by == "call" else 1.5)
    assert not network.checkpointed
    assert Checkpointed(prior, by).tiles(8, 8).number == 1


def test_what_cannot_be_checkpointed_by_block_says_so() -> None:
    with pytest.raises(UsageError, match="no blocks"):
        Checkpointed(ROUGH, "block")
    with pytest.raises(UsageError, match="by call or by block"):
        Checkpointed(ROUGH, "layer")  # type: ignore[arg-type]


def test_a_learned_variance_goes_through_every_wrapper() -> None:
    """What depends on a pixel alone is the same whatever the image is cut into, and costs one evaluation."""
    network, coarse = (
        VPNetwork(lambda x, t: torch.cat([0.1 * x, x.tanh()], 1), linear_ladder(), multiple=multiple)
        for multiple in (1, 4)
    )
    x = torch.randn(2, 3, 18, 23, generator=torch.Generator().manual_seed(0))
    levels = torch.tensor([0.3, 2.0])
    counted = Counted(Padded(Tiled(Checkpointed(coarse), 8, 4)))
    both = counted.learned(x, levels)
    assert counted.nfe == 1
    torch.testing.assert_close(both, network.learned(x, levels))
    torch.testing.assert_close(both[:, :3], counted(x, levels))
    with pytest.raises(UsageError, match="has no learned variance"):
        Counted(GaussianPrior(torch.zeros(3, 1, 1), variance=torch.ones(3, 1, 1))).learned(x, levels)


@given(height=st.integers(1, 60), width=st.integers(1, 60), tile=st.integers(9, 40))
def test_tiles_are_as_small_as_their_number_allows(height: int, width: int, tile: int) -> None:
    tiled = Tiled(ROUGH, tile, 8)
    number, *sides = tiled.tiles(height, width)
    counts = []
    for size, side in zip((height, width), sides, strict=True):
        count = len(spans(size, tile, 8))
        counts.append(count)
        assert side == (size if size <= tile else -(-(size + 8 * (count - 1)) // count))
    assert number == counts[0] * counts[1]
