"""PSNR and SSIM as other packages have them."""

from __future__ import annotations

from typing import Any

import pytest

from pellucid import metrics

# What scikit-image 0.26.0, torchmetrics 1.9.0 and pytorch-ignite 0.5.5 say of the fixture's four pairs, told the right
# data range, and nothing else where nothing else is said. "grey" are the images as cv2.COLOR_BGR2GRAY has them.
FROZEN = {
    "peak_signal_noise_ratio of scikit-image": (28.84642637, 28.26356392, 28.08865601, 26.39078714),
    "peak_signal_noise_ratio of scikit-image, on Y": (34.06039383, 33.02730663, 29.50513824, 27.88389319),
    "peak_signal_noise_ratio of torchmetrics": (28.84642506, 28.26356264, 28.08865473, 26.39078594),
    "structural_similarity, gaussian_weights, no sample covariance": (0.78734965, 0.82047181, 0.71516805, 0.86354996),
    "structural_similarity": (0.8124292, 0.8191677, 0.73690946, 0.8706885),
    "structural_similarity of grey": (0.91614795, 0.88968205, 0.73882086, 0.87407908),
    "structural_similarity_index_measure": (0.78958361, 0.81371136, 0.70203955, 0.86079088),
    "structural_similarity_index_measure of [-1, 1]": (0.77734463, 0.78226712, 0.68626186, 0.84821524),
    "SSIM of ignite": (0.78958564, 0.81371523, 0.70204389, 0.86079339),
    "SSIM of ignite, 4 pixels of border cut off": (0.78647361, 0.82006842, 0.71060784, 0.86061921),
}


@pytest.mark.parametrize(
    ("of", "name", "options"),
    [
        ("peak_signal_noise_ratio of scikit-image", "psnr", {}),
        ("peak_signal_noise_ratio of scikit-image, on Y", "psnr", {"space": "y"}),
        ("peak_signal_noise_ratio of torchmetrics", "psnr", {}),
        ("structural_similarity, gaussian_weights, no sample covariance", "ssim", {}),
        ("structural_similarity", "ssim", {"window": "uniform"}),
        ("structural_similarity of grey", "ssim", {"window": "uniform", "space": "grey", "rounded": True}),
        ("structural_similarity_index_measure", "ssim", {"border": "reflect"}),
        ("structural_similarity_index_measure of [-1, 1]", "ssim", {"border": "reflect", "signed": True}),
        ("SSIM of ignite", "ssim", {"border": "reflect"}),
        ("SSIM of ignite, 4 pixels of border cut off", "ssim", {"border": "reflect", "crop": 4}),
    ],
)
def test_figures_are_those_of_other_packages(of: str, name: str, options: dict[str, Any], pairs: Any) -> None:
    found = metrics.get(name, **options)(pairs.damaged, pairs.clean)
    # Two of them compute with windows, or logarithms, in single precision.
    assert found.tolist() == pytest.approx(FROZEN[of], abs=1e-5)
