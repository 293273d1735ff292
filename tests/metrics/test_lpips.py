from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from pellucid.degradations import compress, gaussian_noise
from pellucid.errors import PellucidError
from pellucid.maths.problem import to_unit
from pellucid.metrics import Lpips
from pellucid.metrics.lpips import _SCALE, _SHIFT


def alexnet() -> nn.Sequential:
    """The convolutions of torchvision's AlexNet."""
    return nn.Sequential(
        nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(),
        nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(),
    )  # fmt: skip


def vgg() -> nn.Sequential:
    """The convolutions of torchvision's VGG-16."""
    layers: list[nn.Module] = []
    before = 3
    for stage, channels in ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)):
        layers += [nn.MaxPool2d(2)] if layers else []
        for _ in range(stage):
            layers += [nn.Conv2d(before, channels, 3, padding=1), nn.ReLU()]
            before = channels
    return nn.Sequential(*layers)


@pytest.fixture(scope="module")
def trunk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights under torchvision's names."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("lpips") / "alexnet.safetensors"
    save_file({f"features.{name}": value for name, value in alexnet().state_dict().items()}, path)
    return path


def test_it_is_equation_1_on_alexnets_five_activations(trunk: Path) -> None:
    lpips = Lpips(trunk)
    torch.manual_seed(0)
    network = alexnet()
    x, y = torch.rand(2, 1, 3, 64, 48, generator=torch.Generator().manual_seed(1))
    expected, h = 0.0, torch.cat([x, y]) * 2 - 1
    h = (h - torch.tensor(_SHIFT).view(3, 1, 1)) / torch.tensor(_SCALE).view(3, 1, 1)
    heads = iter(lpips._heads)
    with torch.no_grad():
        for layer in network:
            h = layer(h)
            if isinstance(layer, nn.ReLU):
                a, b = nn.functional.normalize(h, dim=1)
                expected += (next(heads)[0] * (a - b) ** 2).sum(0).mean().item()
    assert lpips(x, y).tolist() == pytest.approx([expected], rel=1e-4)


# What the package lpips 0.1.4 says of the fixture's four pairs, told `normalize=True`, with torchvision's AlexNet.
LPIPS_ALEX = (0.05796925, 0.04534240, 0.31255507, 0.13779971)
# The same with networks of weights from seed 0, and without `normalize`.
LPIPS_RANDOM = {
    ("alex", False): (0.00710752, 0.00354137, 0.01129214, 0.00667984),
    ("alex", True): (0.00139215, 0.00094526, 0.00206938, 0.00179723),
    ("vgg", False): (0.00850086, 0.00384404, 0.01026148, 0.00425165),
    ("vgg", True): (0.00172673, 0.00089314, 0.00196714, 0.00143605),
}


def test_figures_are_those_of_the_authors_package(shared: Path, pairs: Any) -> None:
    lpips = Lpips(shared / "data" / "alexnet_features.safetensors")
    assert lpips(pairs.damaged, pairs.clean).tolist() == pytest.approx(LPIPS_ALEX, abs=1e-4)


@pytest.mark.parametrize("net", ["alex", "vgg"])
def test_figures_on_other_weights_are_those_of_the_authors_package(net: Any, tmp_path: Path, pairs: Any) -> None:
    torch.manual_seed(0)
    network = alexnet() if net == "alex" else vgg()
    # As torchvision's own files are written.
    torch.save({f"features.{name}": value for name, value in network.state_dict().items()}, tmp_path / "net.pth")
    for unscaled in (False, True):
        lpips = Lpips(tmp_path / "net.pth", net, unscaled=unscaled)
        expected = LPIPS_RANDOM[net, unscaled]
        assert lpips(pairs.damaged, pairs.clean).tolist() == pytest.approx(expected, abs=1e-6)


def test_it_is_a_distance_per_image(trunk: Path) -> None:
    lpips = Lpips(trunk)
    x, y = torch.rand(2, 2, 3, 40, 40, generator=torch.Generator().manual_seed(1))
    assert lpips(x, x).tolist() == [0, 0]
    torch.testing.assert_close(lpips(x, y), lpips(y, x))
    torch.testing.assert_close(lpips(x[1:], y[1:]), lpips(x, y)[1:])
    torch.testing.assert_close(lpips(x[:, :1], y[:, :1]), lpips(*(i[:, :1].repeat(1, 3, 1, 1) for i in (x, y))))


def test_more_damage_is_farther_away(shared: Path, bundled: dict[str, Tensor]) -> None:
    """With AlexNet's real weights."""
    lpips = Lpips(shared / "data" / "alexnet_features.safetensors")
    clean = to_unit(torch.cat(list(bundled.values())))
    for damages in (
        [compress(clean, quality) for quality in (90, 40, 10)],
        [gaussian_noise(clean, level / 255) for level in (5, 15, 50)],
    ):
        distances = torch.stack([lpips(image, clean) for image in damages])
        assert (distances.diff(dim=0) > 0.02).all()
        assert (distances < 1.2).all()


def test_wrong_files_and_sizes_are_said(tmp_path: Path, trunk: Path) -> None:
    with pytest.raises(PellucidError, match="there is no such file"):
        Lpips(tmp_path / "missing.safetensors")
    save_file({"weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(PellucidError, match="AlexNet"):
        Lpips(tmp_path / "other.safetensors")
    with pytest.raises(PellucidError, match="at least 31x31"):
        Lpips(trunk)(torch.zeros(1, 3, 30, 40), torch.zeros(1, 3, 30, 40))
