r"""Learned perceptual image patch similarity, on AlexNet.

Both images go through AlexNet's five convolutions. At each, the features phi are normalised over their channels, and

.. math:: d(x, y) = \sum_l \frac{1}{H_l W_l} \sum_{h,w} \| w_l \odot (\phi^l_{hw}(x) - \phi^l_{hw}(y)) \|_2^2

with weights learnt from people's judgements (version 0.1), which are in this package under their authors' BSD-2-Clause
licence, (c) 2018 Richard Zhang, Phillip Isola, Alexei A. Efros, Eli Shechtman, Oliver Wang. AlexNet's own weights are
not: name a file with torchvision's, as safetensors.

References:
    Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", CVPR 2018, eq. 1.
        https://arxiv.org/abs/1801.03924
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import PellucidError

# The mean and spread of ImageNet's colours, for images in [-1, 1], as the metric's authors round them.
_SHIFT = (-0.030, -0.088, -0.188)
_SCALE = (0.458, 0.448, 0.450)
# Number in torchvision's `features`, stride, padding; a 3x3 max pool of stride 2 comes before the second and third.
_LAYERS = ((0, 4, 2), (3, 1, 2), (6, 1, 1), (8, 1, 1), (10, 1, 1))
_POOLED = (3, 6)
_SMALLEST = 31


class Lpips:
    """LPIPS-Alex, version 0.1.

    Args:
        trunk: safetensors file with torchvision's AlexNet, `features.{0,3,6,8,10}.{weight,bias}`.

    Raises:
        PellucidError: the file cannot be read or is another network's.
    """

    def __init__(self, trunk: Path) -> None:
        from safetensors import SafetensorError
        from safetensors.torch import load, load_file

        names = [f"features.{index}.{kind}" for index, _, _ in _LAYERS for kind in ("weight", "bias")]
        try:
            weights = load_file(trunk)
            self._trunk = {name: weights[name] for name in names}
        except (SafetensorError, OSError) as error:
            raise PellucidError(f"{trunk}: cannot be read as safetensors ({error})") from None
        except KeyError as error:
            raise PellucidError(f"{trunk}: has no {error}; AlexNet's features are needed") from None
        heads = load((files("pellucid.metrics") / "lpips_alex_v0.1.safetensors").read_bytes())
        self._heads = [heads[f"head{i}"].view(1, -1, 1, 1) for i in range(len(_LAYERS))]

    @torch.no_grad()
    def __call__(self, image: Tensor, clean: Tensor) -> Tensor:
        """The distance of each image to the clean one.

        Args:
            image: (B, 1 or 3, H, W) in [0, 1], H and W at least 31; values beyond are clamped first. Grey counts as
                three equal channels.
            clean: the same shape.

        Returns:
            0 for equal images, about 0.7 for unrelated ones, (B,).

        Raises:
            PellucidError: the images are too small for the network.
        """
        if min(image.shape[-2:]) < _SMALLEST:
            raise PellucidError(
                f"LPIPS needs images of at least {_SMALLEST}x{_SMALLEST}, not {tuple(image.shape[-2:])}"
            )
        distance = torch.zeros(len(image))
        for head, a, b in zip(self._heads, self._features(image), self._features(clean), strict=True):
            distance += (head * (a - b).square()).sum(1).mean((1, 2))
        return distance

    def _features(self, image: Tensor) -> list[Tensor]:
        shift, scale = (torch.tensor(values).view(1, 3, 1, 1) for values in (_SHIFT, _SCALE))
        h = (2 * image.float().clamp(0, 1).cpu().expand(-1, 3, -1, -1) - 1 - shift) / scale
        found = []
        for index, stride, padding in _LAYERS:
            if index in _POOLED:
                h = F.max_pool2d(h, 3, 2)
            weight, bias = (self._trunk[f"features.{index}.{kind}"] for kind in ("weight", "bias"))
            h = F.relu(F.conv2d(h, weight, bias, stride, padding))
            found.append(h / (h.square().sum(1, keepdim=True).sqrt() + 1e-10))
        return found
