r"""Zero-DCE: brightens low light by a curve for each pixel, from a network trained without bright images.

A small network maps the dark image to the curvature of the light enhancement curve for each pixel, channel and
iteration (equation 1),

.. math:: LE(x; \alpha) = x + \alpha x (1 - x), \quad \alpha \in [-1, 1], \quad x \in [0, 1],

which maps [0, 1] to itself, keeps the order of brightness and is applied repeatedly (equations 2 and 3):

.. math:: LE_n = LE_{n-1} + A_n LE_{n-1} (1 - LE_{n-1}), \quad n = 1 \dots 8.

`pellucid train --zero-dce` trains it without pairs, by losses for good photographs (`pellucid.methods.losses`).

References:
    Guo et al., "Zero-Reference Deep Curve Estimation for Low-Light Image Enhancement", CVPR 2020.
        https://arxiv.org/abs/2001.06826
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from ..errors import PellucidError, UsageError
from ..maths.noise import Streams
from ..maths.problem import Problem, to_model, to_unit
from ..priors.prior import Prior
from .method import PAPERS, Method, State

ITERATIONS = 8
"""Number of applications of the curve."""

_WIDTH = 32
_REACH = 7
"""Receptive field of a map's pixel: seven convolutions of 3x3."""

_STRIP = 1 << 20
"""Number of pixels in memory at once, with about 200 channels."""


class CurveNet(nn.Module):
    """DCE-Net (the paper's section 3.1 and figure 2): seven convolutions with skip connections.

    It has 79,416 weights in the released code's shapes, but with the sign of equation 1.
    """

    def __init__(self) -> None:
        super().__init__()
        sizes = [(3, _WIDTH), *[(_WIDTH, _WIDTH)] * 3, *[(2 * _WIDTH, _WIDTH)] * 2, (2 * _WIDTH, 3 * ITERATIONS)]
        self.layers = nn.ModuleList(nn.Conv2d(before, after, 3, padding=1) for before, after in sizes)

    def forward(self, x: Tensor) -> Tensor:
        """Computes the curves of images.

        Args:
            x: (B, 3, H, W) in [0, 1].

        Returns:
            The maps A in [-1, 1], (B, 24, H, W): three channels for each iteration in turn.
        """
        first, second, third, fourth, fifth, sixth, last = self.layers
        x1 = first(x).relu()
        x2 = second(x1).relu()
        x3 = third(x2).relu()
        x4 = fourth(x3).relu()
        x5 = fifth(torch.cat([x3, x4], 1)).relu()
        x6 = sixth(torch.cat([x2, x5], 1)).relu()
        maps: Tensor = last(torch.cat([x1, x6], 1)).tanh()
        return maps


def enhance(x: Tensor, maps: Tensor) -> Tensor:
    """Applies the curve for each map (eq. 3).

    Args:
        x: (B, 3, H, W) in [0, 1].
        maps: `CurveNet`'s, (B, 24, H, W).

    Returns:
        The brighter images, (B, 3, H, W) in [0, 1].
    """
    for alpha in maps.split(x.shape[1], 1):
        x = x + alpha * x * (1 - x)
    return x


@dataclass(frozen=True)
class ZeroDCE(Method):
    """Brightens low light of unknown strength by a small network's curves (Guo et al., CVPR 2020).

    Costs no evaluation of the prior, and about 0.16 MFLOP a pixel in its network; deterministic. Each pixel's result is
    independent of the image's size. Noise in dark places becomes brighter, too.

    Attributes:
        model: weights, a safetensors file of `pellucid train --zero-dce` or the authors' released `.pth`; None for
            those in the package.
    """

    presets = PAPERS

    needs_prior: ClassVar[bool] = False

    model: str | Path | None = None

    def nfe(self, prior: Prior) -> int:
        """Always 0."""
        return 0

    def prepare(self, device: torch.device) -> None:
        """See `Method`."""
        load(self.model)

    @torch.no_grad()
    def iterate(self, problem: Problem, prior: Prior, rng: Streams) -> Iterator[State]:
        """See `Method`; one state. Grey images become three equal channels, whose mean is the result.

        Raises:
            PellucidError: the weights cannot be read, or the result is not finite.
        """
        self.require_blind(problem)
        y = problem.y
        if y.shape[1] not in (1, 3):
            raise UsageError(f"ZeroDCE: images have 1 or 3 channels, this one has {y.shape[1]}")
        network = load(self.model).to(y.device)
        # One by one: how a convolution rounds may depend on the batch.
        bright = torch.cat([_brighten(network, to_unit(image)) for image in y.float().split(1)])
        if not torch.isfinite(bright).all():
            raise PellucidError(f"{self.model or 'Zero-DCE'}: its network's result is not finite (NaN or infinity)")
        x = to_model(bright.to(y))
        yield State(1, 1, 0.0, x, x, 0)


def _brighten(network: CurveNet, x: Tensor) -> Tensor:
    """Brightens one image, (1, 1 or 3, H, W) in [0, 1], in strips of rows with the same result as the whole."""
    colours = x.expand(-1, 3, -1, -1)
    height, width = x.shape[-2:]
    rows = max(_STRIP // width, 1)
    strips = []
    for top in range(0, height, rows):
        above = min(top, _REACH)
        maps = network(colours[:, :, top - above : top + rows + _REACH])
        strip = colours[:, :, top : top + rows]
        strips.append(enhance(strip, maps[:, :, above : above + strip.shape[2]]))
    bright = torch.cat(strips, 2)
    return bright if x.shape[1] == 3 else bright.mean(1, keepdim=True)


def load(path: str | Path | None = None) -> CurveNet:
    """Reads the network's weights.

    Args:
        path: see `ZeroDCE.model`.

    Raises:
        PellucidError: the file cannot be read, or holds something else.
    """
    path = Path(str(files("pellucid.methods") / "zero_dce.safetensors")) if path is None else Path(path)
    weights = _released(_read(path))
    # Without memory of its own, so that no random numbers are drawn for weights that are replaced at once.
    with torch.device("meta"):
        network = CurveNet()
    shapes = {name: value.shape for name, value in network.state_dict().items()}
    if {name: value.shape for name, value in weights.items()} != shapes:
        raise PellucidError(f"{path}: holds no weights of Zero-DCE's network")
    network.load_state_dict({name: value.float() for name, value in weights.items()}, assign=True)
    return network.eval().requires_grad_(False)


def _read(path: Path) -> dict[str, Tensor]:
    import pickle

    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if path.suffix.lower() == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        raise PellucidError(f"{path}: cannot be read as weights ({reason})") from None
    return {str(k): v for k, v in content.items() if isinstance(v, Tensor)} if isinstance(content, dict) else {}


def _released(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The authors' weights under this module's names; their code adds A x (x - 1), so the last layer changes sign."""
    renamed = {}
    for name, value in weights.items():
        layer, _, kind = name.removeprefix("module.").removeprefix("e_conv").partition(".")
        if "e_conv" in name and layer.isdecimal():
            renamed[f"layers.{int(layer) - 1}.{kind}"] = -value if layer == "7" else value
        else:
            renamed[name] = value
    return renamed
