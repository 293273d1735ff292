r"""The network that DIP fits to one image: an hourglass with thin skip connections.

At each level two convolutions halve the side. On the way back the result is enlarged bilinearly, joined with a few
channels of the way down, and convolved twice more. Each convolution is followed by a normalisation over the image and
a leaky ReLU of slope 0.2. With the paper's widths, 32 channels in and 3 out, it has 2,217,831 parameters.

The authors' batch normalisation in training mode, on a batch of one, equals the instance normalisation here.

References:
    Ulyanov et al., "Deep Image Prior", CVPR 2018, supplementary material, figure 21.
        https://arxiv.org/abs/1711.10925
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SkipNetwork(nn.Module):
    """Makes an image of a fixed input.

    Args:
        inputs: channels of the input.
        outputs: image channels.
        levels: number of halvings of the side.
        channels: of all levels, on both ways.
        skip: channels of each connection.

    Attributes:
        multiple: divisor of height and width, which are at least twice that: a coarsest level of one pixel has no
            variance for the normalisation.
    """

    def __init__(self, inputs: int, outputs: int, levels: int = 5, channels: int = 128, skip: int = 4) -> None:
        super().__init__()
        self.multiple = 2**levels
        widths = [inputs, *[channels] * (levels - 1)]
        self.down = nn.ModuleList(
            nn.Sequential(_Unit(width, channels, 3, stride=2), _Unit(channels, channels, 3)) for width in widths
        )
        self.across = nn.ModuleList(_Unit(width, skip, 1) for width in widths)
        self.up = nn.ModuleList(
            nn.Sequential(
                _normalise(channels + skip), _Unit(channels + skip, channels, 3), _Unit(channels, channels, 1)
            )
            for _ in widths
        )
        self.tail = nn.Conv2d(channels, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Makes the image.

        Args:
            x: (1, inputs, H, W).

        Returns:
            (1, outputs, H, W) in [0, 1].
        """
        kept = []
        for down, across in zip(self.down, self.across, strict=True):
            kept.append(across(x))
            x = down(x)
        for up in reversed(self.up):
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = up(torch.cat([kept.pop(), x], 1))
        return torch.sigmoid(self.tail(x))


class _Unit(nn.Sequential):
    """Convolution, normalisation, leaky ReLU."""

    def __init__(self, inputs: int, outputs: int, side: int, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, side, stride, padding=side // 2, padding_mode="reflect"),
            _normalise(outputs),
            nn.LeakyReLU(0.2),
        )


def _normalise(channels: int) -> nn.Module:
    return nn.InstanceNorm2d(channels, affine=True)


def fresh(generator: torch.Generator, like: Tensor, network: SkipNetwork) -> SkipNetwork:
    """Gives a network fresh weights from a generator, in PyTorch's distribution for convolutions.

    Args:
        generator: on the CPU.
        like: tensor with the type and device of the weights.
        network: network on the "meta" device, without weights.
    """
    network = network.to_empty(device="cpu").to(torch.float32)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            bound = 1 / math.sqrt(module.in_channels * module.kernel_size[0] * module.kernel_size[1])
            for parameter in (module.weight, module.bias):
                assert parameter is not None
                nn.init.uniform_(parameter, -bound, bound, generator)
        elif isinstance(module, nn.InstanceNorm2d):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
    return network.to(like)
