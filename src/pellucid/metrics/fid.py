r"""The Fréchet inception distance between two sets of images by a network's features.

.. math:: \| \mu_a - \mu_b \|^2 + \mathrm{tr}\left( \Sigma_a + \Sigma_b - 2 (\Sigma_a \Sigma_b)^{1/2} \right)

with means and covariances of Inception's features over each set: the squared Wasserstein-2 distance of two Gaussians.

The figure depends on the number of images, strongly so below about ten thousand: compare only figures of equal numbers.
It also depends on the weights, which are not in this package.

References:
    Heusel et al., "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium", NeurIPS 2017.
        https://arxiv.org/abs/1706.08500
    The protocol (files of 8 bits, resized bilinearly to 299 x 299): https://github.com/mseitzer/pytorch-fid
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import UsageError
from ..priors.folder import fill
from .inception import InceptionV3
from .metric import SetMetric
from .view import view
from .weights import read

_SIDE = 299


class Fid(SetMetric):
    """FID on Inception-v3 of 2015.

    Args:
        weights: `pt_inception-2015-12-05-6726825d.pth`, or the same tensors as safetensors.

    Raises:
        PellucidError: the file cannot be read or is another network's.

    Example:
        >>> metrics.missing("fid")
        "fid needs Inception's weights, pt_inception-2015-12-05-6726825d.pth: give weights"
    """

    name = "fid"
    better = "lower"
    needs = {"weights": "Inception's weights, pt_inception-2015-12-05-6726825d.pth"}  # noqa: RUF012

    def __init__(self, weights: str | Path) -> None:
        with torch.device("meta"):
            network = InceptionV3()
        trained = read(weights, network.state_dict(), "Inception-v3 of 2015")
        fill(network, trained, Path(weights), "Inception-v3 of 2015")
        self._network = network.eval().requires_grad_(False)

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """Computes the 2,048 means of Inception's last maps.

        Args:
            images: (B, 1 or 3, H, W) in [0, 1], of any size; rounded to 8 bits, as in files. Grey counts as three equal
                channels.

        Returns:
            (B, 2048), float64.
        """
        shown = view(images, rounded=True).float().cpu().expand(-1, 3, -1, -1)
        sized = F.interpolate(shown, (_SIDE, _SIDE), mode="bilinear", align_corners=False)
        # One by one, so that no image's features depend on what else is in a batch.
        return torch.cat([self._network(2 * one - 1) for one in sized.split(1)]).double()

    def distance(self, features_a: Tensor, features_b: Tensor) -> float:
        """See `SetMetric` and `frechet`."""
        return frechet(features_a, features_b)


def frechet(features_a: Tensor, features_b: Tensor) -> float:
    """Squared Wasserstein-2 distance of the two Gaussians with these samples' means and covariances.

    It is exact also for fewer samples than dimensions: the trace of the root is the sum of the singular values of one
    set's deviations times the other's, and no covariance is formed.

    Args:
        features_a: of one set, (N, D), N at least 2.
        features_b: of the other, (M, D), M at least 2.

    Raises:
        UsageError: there are too few samples, or their dimensions differ.

    Example:
        >>> a = torch.randn(50, 4, dtype=torch.float64)
        >>> round(metrics.frechet(a, a), 6)
        0.0
    """
    if min(len(features_a), len(features_b)) < 2 or features_a.shape[1] != features_b.shape[1]:
        raise UsageError(
            "a distance of sets needs two images and more in each, and features alike, "
            f"not {tuple(features_a.shape)} and {tuple(features_b.shape)}"
        )
    (mean_a, root_a), (mean_b, root_b) = _moments(features_a), _moments(features_b)
    common = torch.linalg.svdvals(root_a @ root_b.T).sum()
    distance = (mean_a - mean_b).square().sum() + root_a.square().sum() + root_b.square().sum() - 2 * common
    return max(0.0, float(distance))


def _moments(features: Tensor) -> tuple[Tensor, Tensor]:
    """Computes the mean, and R with R^T R the covariance."""
    samples = features.double()
    mean = samples.mean(0)
    _, root = torch.linalg.qr((samples - mean) / (len(samples) - 1) ** 0.5, mode="r")
    return mean, root
