from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from pellucid.errors import PellucidError, UsageError
from pellucid.metrics import Fid, frechet, get_set
from pellucid.metrics.inception import InceptionV3


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def sample(mean: Tensor, root: Tensor, seed: int = 0) -> Tensor:
    """Points whose mean is exactly this and whose covariance is exactly root^T root."""
    dimensions = len(mean)
    points = draw(4 * dimensions, dimensions, seed=seed)
    orthogonal, _ = torch.linalg.qr(points - points.mean(0))
    placed: Tensor = mean + orthogonal * (len(points) - 1) ** 0.5 @ root
    return placed


def test_gaussians_of_one_dimension() -> None:
    a = sample(torch.tensor([1.0]).double(), torch.tensor([[2.0]]).double())
    b = sample(torch.tensor([4.0]).double(), torch.tensor([[0.5]]).double(), 1)
    assert frechet(a, b) == pytest.approx((4 - 1) ** 2 + (2 - 0.5) ** 2)


def test_gaussians_of_common_axes() -> None:
    """(m - n)^2 and, along each axis, the squared difference of the deviations."""
    axes, _ = torch.linalg.qr(draw(5, 5))
    s, t = torch.tensor([1.0, 2, 0, 3, 0.1]).double(), torch.tensor([2.0, 0, 0, 1, 0.1]).double()
    m, n = draw(2, 5, seed=3)
    a, b = sample(m, axes * s @ axes.T), sample(n, axes * t @ axes.T, 1)
    expected = (m - n).square().sum() + (s - t).square().sum()
    assert frechet(a, b) == pytest.approx(expected.item())


def test_gaussians_that_do_not_commute() -> None:
    """The optimal map between N(0, S) and N(0, G S G) is G, if that is positive: tr S + tr G S G - 2 tr S G."""
    root, half = draw(6, 6), draw(6, 6, seed=1)
    s, g = root.T @ root, half.T @ half + torch.eye(6)
    zero = torch.zeros(6).double()
    expected = (s.trace() + (g @ s @ g).trace() - 2 * (s @ g).trace()).item()
    assert frechet(sample(zero, root), sample(zero, root @ g, 1)) == pytest.approx(expected)


def test_fewer_images_than_features() -> None:
    """The covariances have no inverse and no smooth root; the distance is exact all the same."""
    a, b = draw(3, 40), draw(5, 40, seed=1)
    covariances = (a.T.cov(), b.T.cov())
    eigenvalues = torch.linalg.eigvals(covariances[0] @ covariances[1]).real.clamp(min=0)
    expected = (a.mean(0) - b.mean(0)).square().sum() + sum(c.trace() for c in covariances)
    expected = expected - 2 * eigenvalues.sqrt().sum()
    assert frechet(a, b) == pytest.approx(expected.item(), rel=1e-5)
    assert frechet(a, a) == pytest.approx(0, abs=1e-9)
    assert frechet(a, b) == pytest.approx(frechet(b, a))


def test_too_few_images_are_said() -> None:
    with pytest.raises(UsageError, match="two images and more"):
        frechet(draw(1, 4), draw(3, 4))
    with pytest.raises(UsageError, match=r"not \(3, 4\) and \(3, 5\)"):
        frechet(draw(3, 4), draw(3, 5))


def filled() -> InceptionV3:
    """Inception with weights from a seed, in the order of their names; also to be made with other programs."""
    network, rng = InceptionV3(), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, weight in sorted(network.state_dict().items()):
            if name.endswith("conv.weight"):
                weight.normal_(generator=rng).mul_((2 / weight[0].numel()) ** 0.5)
            elif name.endswith(("bn.weight", "running_var")):
                weight.uniform_(0.5, 1.5, generator=rng)
            else:
                weight.normal_(generator=rng).mul_(0.1)
    return network


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file as it is published, with the classifier that nobody needs here."""
    path = tmp_path_factory.mktemp("fid") / "pt_inception.safetensors"
    save_file({**filled().state_dict(), "fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008)}, path)
    return path


def test_it_is_the_published_network(weights: Path, bundled: dict[str, Tensor]) -> None:
    """Features that torchvision's blocks, patched as pytorch-fid does, give with the same weights."""
    fid = get_set("fid", weights=weights)
    cat = (bundled["cat"] + 1) / 2
    found = fid.features(cat)
    assert found.shape == (1, 2048)
    expected = [1.5889707, 0.0, 1.1873902, 6.1814456, 2.8559687, 1.9798167, 2.7570136, 11.278029]
    assert found[0, ::256].tolist() == pytest.approx(expected, rel=1e-3, abs=1e-3)
    assert found.mean().item() == pytest.approx(1.5544, rel=1e-3)
    assert torch.equal(fid.features(torch.cat([1 - cat, cat]))[1:], found)


def test_its_tensors_are_those_of_the_published_file() -> None:
    names = InceptionV3().state_dict()
    # 94 convolutions of five tensors; torchvision's network has as many numbers, without its classifiers.
    assert len(names) == 94 * 5
    counted = [value for name, value in names.items() if "running" not in name]
    assert sum(value.numel() for value in counted) == 21_785_568
    assert tuple(names["Mixed_6c.branch7x7dbl_4.conv.weight"].shape) == (160, 160, 7, 1)
    assert tuple(names["Mixed_7c.branch3x3dbl_3b.bn.running_var"].shape) == (384,)


def test_another_networks_file_is_said(tmp_path: Path) -> None:
    save_file({"features.0.weight": torch.zeros(1)}, tmp_path / "alexnet.safetensors")
    with pytest.raises(PellucidError, match="has no 'Conv2d_1a_3x3"):
        Fid(tmp_path / "alexnet.safetensors")
