from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from pellucid import metrics
from pellucid.degradations import gaussian_blur, gaussian_noise
from pellucid.errors import PellucidError
from pellucid.metrics import Niqe, Pristine
from pellucid.metrics.niqe import _moments
from pellucid.metrics.scene import features
from pellucid.metrics.view import view


@pytest.fixture(scope="module")
def photographs(bundled: dict[str, Tensor]) -> Tensor:
    return torch.cat([(photograph + 1) / 2 for photograph in bundled.values()])


@pytest.fixture(scope="module")
def own(photographs: Tensor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("niqe") / "own.safetensors"
    Pristine.of(photographs.split(1)).write(path)
    return path


def test_it_is_equation_10(photographs: Tensor, tmp_path: Path) -> None:
    """Against the image's own covariance and a mean that is off by a known vector."""
    mean, covariance = _moments(features(view(photographs[:1], "grey", rounded=True))[0])
    values, vectors = torch.linalg.eigh(covariance)
    off = 3 * values[-1].sqrt() * vectors[:, -1] - 2 * values[-2].sqrt() * vectors[:, -2]
    path = tmp_path / "niqe_pris_params.npz"
    np.savez(path, mu_pris_param=(mean + off)[None].numpy(), cov_pris_param=covariance.numpy())
    published = metrics.get("niqe", weights=path)
    assert published.name == "niqe"
    assert published(photographs[:1], photographs[:1]).item() == pytest.approx(13**0.5, rel=1e-6)


def test_ones_own_model_is_named_so_and_comes_back_as_it_was(own: Path, photographs: Tensor) -> None:
    assert Niqe(own).name == "niqe:own"
    again, fitted = Pristine.read(own), Pristine.of(photographs.split(1))
    assert torch.equal(again.mean, fitted.mean)
    assert torch.equal(again.covariance, fitted.covariance)


def test_damage_is_farther_away(own: Path, photographs: Tensor) -> None:
    niqe = Niqe(own)
    clean = niqe(photographs, photographs)
    assert (niqe(gaussian_noise(photographs, 0.1), photographs) > 1.5 * clean).all()
    assert (niqe(gaussian_blur(photographs, 2.0), photographs) > 1.5 * clean).all()
    assert torch.equal(niqe(photographs[1:], photographs[:1]), clean[1:])


def test_only_sharp_patches_make_a_model(photographs: Tensor) -> None:
    half = photographs[:1, :, :192, :192].clone()
    half[..., 96:] = 0.01 * half[..., 96:] + 0.5
    found, sharpness = features(view(half, "grey", rounded=True))
    assert (sharpness > 0.75 * sharpness.max()).tolist() == [True, False, True, False]
    assert torch.equal(Pristine.of([half]).mean, found[::2].mean(0))


def test_what_it_cannot_measure_is_said(own: Path, photographs: Tensor, tmp_path: Path) -> None:
    niqe = Niqe(own)
    with pytest.raises(PellucidError, match="at least 96x96"):
        niqe(photographs[..., :95], photographs)
    with pytest.raises(PellucidError, match="two patches of 96x96 that are not flat, there are 0"):
        niqe(torch.zeros(1, 3, 200, 200), photographs)
    with pytest.raises(PellucidError, match="two patches"):
        Pristine.of([])
    (tmp_path / "bad.npz").write_bytes(b"nothing")
    np.savez(tmp_path / "other.npz", mu_pris_param=np.zeros(3), cov_pris_param=np.zeros((3, 3)))
    np.savez(tmp_path / "objects.npz", mu_pris_param=np.array([{}]), cov_pris_param=np.zeros((36, 36)))
    for name in ("bad", "other", "objects"):
        with pytest.raises(PellucidError, match=f"{name}.npz: is no pristine model"):
            Niqe(tmp_path / f"{name}.npz")
