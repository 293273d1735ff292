"""What holds for every metric of images that compares two."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from pellucid import metrics
from pellucid.errors import PellucidError
from pellucid.metrics import Metric


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory) -> list[Metric]:
    torch.manual_seed(0)
    sizes = {0: (3, 64, 11), 3: (64, 192, 5), 6: (192, 384, 3), 8: (384, 256, 3), 10: (256, 256, 3)}
    trunk = {f"features.{n}": nn.Conv2d(*size).state_dict() for n, size in sizes.items()}
    path = tmp_path_factory.mktemp("laws") / "alexnet.safetensors"
    save_file({f"{name}.{kind}": value for name, own in trunk.items() for kind, value in own.items()}, path)
    return [
        metrics.get("psnr"),
        metrics.get("psnr", space="y", crop=2, rounded=True),
        metrics.get("ssim"),
        metrics.get("ssim", window="uniform", border="reflect", space="grey", signed=True),
        metrics.get("loe", side=10),
        metrics.get("loe", side=10, reduction="sampled"),
        metrics.get("consistency", damage=lambda image: F.avg_pool2d(image, 3, 1, 1), rounded=True),
        metrics.get("lpips", weights=path),
    ]


@settings(max_examples=10)
@given(st.integers(31, 45), st.integers(31, 45), st.sampled_from([1, 3]))
def test_each_image_is_measured_by_itself(every: list[Metric], height: int, width: int, channels: int) -> None:
    image, truth = draw(2, channels, height, width), draw(2, channels, height, width, seed=1)
    kept = image.clone(), truth.clone()
    for metric in every:
        both = metric(image, truth)
        assert both.shape == (2,)
        assert both.isfinite().all()
        alone = [metric(image[i : i + 1], truth[i : i + 1]) for i in range(2)]
        assert torch.equal(torch.cat(alone), both), metric.name
        # Equal images are as good as there are.
        best = metric(truth, truth)
        assert (best >= both if metric.better == "higher" else best <= both).all() or metric.name == "consistency"
        if metric.against == "truth":
            with pytest.raises(PellucidError, match="are not of a size"):
                metric(image, truth[..., 1:])
    assert torch.equal(image, kept[0])
    assert torch.equal(truth, kept[1])
