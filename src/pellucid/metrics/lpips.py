r"""Learned perceptual image patch similarity, on AlexNet or VGG-16.

Both images go through five stages of convolutions. At the end of each, the features phi are normalised over their
channels, and

.. math:: d(x, y) = \sum_l \frac{1}{H_l W_l} \sum_{h,w} \| w_l \odot (\phi^l_{hw}(x) - \phi^l_{hw}(y)) \|_2^2

with weights learnt from people's judgements (version 0.1), which are in this package under their authors' BSD-2-Clause
licence, (c) 2018 Richard Zhang, Phillip Isola, Alexei A. Efros, Eli Shechtman, Oliver Wang. The networks' weights are
not included: name a file with torchvision's.

References:
    Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", CVPR 2018, eq. 1.
        https://arxiv.org/abs/1801.03924
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import PellucidError
from .metric import Metric
from .weights import read

Net = Literal["alex", "vgg"]

# The mean and spread of ImageNet's colours, for images in [-1, 1], as the metric's authors round them.
_SHIFT = (-0.030, -0.088, -0.188)
_SCALE = (0.458, 0.448, 0.450)
# Stages of convolutions, each its number in torchvision's `features`, stride and padding; pools come before stages.
_STAGES: dict[str, list[list[tuple[int, int, int]]]] = {
    "alex": [[(0, 4, 2)], [(3, 1, 2)], [(6, 1, 1)], [(8, 1, 1)], [(10, 1, 1)]],
    "vgg": [[(i, 1, 1) for i in stage] for stage in ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28))],
}
_POOLED = {"alex": (1, 2), "vgg": (1, 2, 3, 4)}
# Side of the max pools, all of stride 2, and the smallest image that leaves something at the end.
_POOL = {"alex": 3, "vgg": 2}
_SMALLEST = {"alex": 31, "vgg": 16}
_WHOSE = {"alex": "AlexNet", "vgg": "VGG-16"}


class Lpips(Metric):
    """LPIPS, version 0.1.

    Args:
        weights: file with torchvision's network, `features.N.weight` and `.bias`: safetensors, or as torch saved it.
        net: "alex" for AlexNet, "vgg" for VGG-16.
        unscaled: whether images reach the network in [0, 1] instead of [-1, 1], as in published code that omits the
            scaling; the metric is not defined for that.

    Raises:
        UsageError: unknown network.
        PellucidError: the file cannot be read or is another network's.

    Example:
        >>> metrics.missing("lpips")
        "lpips needs the weights of torchvision's AlexNet or VGG-16: give weights"
    """

    name = "lpips"
    better = "lower"
    needs = {"weights": "the weights of torchvision's AlexNet or VGG-16"}  # noqa: RUF012

    def __init__(self, weights: str | Path, net: Net = "alex", unscaled: bool = False) -> None:
        self.net, self._unscaled = net, unscaled
        self.require(net in get_args(Net), "net", "alex or vgg")
        from safetensors.torch import load

        numbers = [index for stage in _STAGES[net] for index, _, _ in stage]
        names = [f"features.{index}.{kind}" for index in numbers for kind in ("weight", "bias")]
        trunk = read(weights, names, f"{_WHOSE[net]}'s features")
        self._trunk = {name: weight.float() for name, weight in trunk.items()}
        heads = load((files("pellucid.metrics") / f"lpips_{net}_v0.1.safetensors").read_bytes())
        self._heads = [heads[f"head{i}"].view(1, -1, 1, 1) for i in range(5)]

    @torch.no_grad()
    def one(self, image: Tensor, truth: Tensor) -> Tensor:
        """Distance of an image to the clean one.

        Args:
            image: (1, 1 or 3, H, W) in [0, 1], H and W at least 31, or 16 for VGG; values beyond are clamped first.
                Grey counts as three equal channels.
            truth: the same shape.

        Returns:
            0 for equal images, about 0.7 for unrelated ones, (1,).

        Raises:
            PellucidError: the images are too small for the network.
        """
        smallest = _SMALLEST[self.net]
        if min(image.shape[-2:]) < smallest:
            raise PellucidError(f"LPIPS needs images of at least {smallest}x{smallest}, not {tuple(image.shape[-2:])}")
        distance = torch.zeros(1)
        for head, a, b in zip(self._heads, self._features(image), self._features(truth), strict=True):
            distance += (head * (a - b).square()).sum(1).mean((1, 2))
        return distance

    def _features(self, image: Tensor) -> list[Tensor]:
        shift, scale = (torch.tensor(values).view(1, 3, 1, 1) for values in (_SHIFT, _SCALE))
        h = image.float().clamp(0, 1).cpu().expand(-1, 3, -1, -1)
        h = ((h if self._unscaled else 2 * h - 1) - shift) / scale
        found = []
        for number, stage in enumerate(_STAGES[self.net]):
            if number in _POOLED[self.net]:
                h = F.max_pool2d(h, _POOL[self.net], 2)
            for index, stride, padding in stage:
                weight, bias = (self._trunk[f"features.{index}.{kind}"] for kind in ("weight", "bias"))
                h = F.relu(F.conv2d(h, weight, bias, stride, padding))
            found.append(h / (h.square().sum(1, keepdim=True).sqrt() + 1e-10))
        return found
