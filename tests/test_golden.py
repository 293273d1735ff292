"""What a method, an image and a seed give is the same from release to release, and so are the tasks' tuned settings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import pellucid
from pellucid.catalogue import tasks
from pellucid.operators import AveragePool
from pellucid.priors import GaussianPrior

PRIOR = GaussianPrior(torch.zeros(3, 1, 1), torch.tensor(0.3))
IMAGE = (np.arange(48, dtype=np.uint8) * 5).reshape(4, 4, 3)

KNOWN: dict[str, Any] = {"operator": AveragePool(1), "noise": 0.1}
BYTES: list[tuple[str, dict[str, Any], int, str]] = [
    (
        "dreamclean", {"strength": 300}, 0,
        "6c2d007f53a70b72241b4dd17b983e8d4fce7c76be477a7b7f4505f3efa2ca64664c77d548adb673ffe7fff388a0f52d",
    ),
    (
        "dreamclean", {"strength": 300}, 7,
        "001d6a93009d956ff600b56142096e86b16247ff58bdcf69a244c6d2387d62ac94a3815fffbfb2a46713c6b5af8697f0",
    ),
    (
        "ddrm", KNOWN, 0,
        "48071a05371d1637562d66543b383163666e715d5c557b627d7f7d9180a5949a9ca780c08187b3b1aaf0c0d891d6bab7",
    ),
    (
        "ddrm", KNOWN, 7,
        "000023210c4d434556513c4352432e65758069674c9c7b5e81739d9a828d9795bab0919b8fb996ccaf90e3b7c3b4d7bf",
    ),
    (
        "dps", KNOWN | {"steps": 20}, 0,
        "996c0e5474731866a81973ab737130825cc67b913f68628865693addab7a926b9e6b6cb35899975dcef7d7bd40a0c450",
    ),
    (
        "dps", KNOWN | {"steps": 20}, 7,
        "013c7c80009a5687ef4a90555a384d8a8b966e903ba9c9889877c9aa30918d8089aa354ec48f977a5837aba3a45c9276",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("method", "said", "seed", "golden"), BYTES, ids=lambda one: one if one in (0, 7) else None)
def test_the_bytes_of_a_method_an_image_and_a_seed(method: str, said: dict[str, Any], seed: int, golden: str) -> None:
    """Another processor may round one step otherwise; another order of draws gives quite other bytes."""
    restored = pellucid.restore(IMAGE, method, PRIOR, seed=seed, **said)
    expected = np.frombuffer(bytes.fromhex(golden), np.uint8).reshape(IMAGE.shape)
    assert np.abs(restored.astype(int) - expected).max() <= 1


SETTINGS: dict[str, tuple[str, dict[str, Any], float | None]] = {
    "denoise": ("denoise", {}, None),
    "sr2": ("dreamclean-known", {"gamma": 0.5}, None),
    "sr4": ("dreamclean-known", {"gamma": 0.5}, None),
    "sr8": ("dreamclean-known", {"gamma": 0.5}, None),
    "deblur": ("red", {"weight": 0.002}, None),
    "inpaint": ("dreamclean-known", {"gamma": 0.5}, 0.0),
    "colorize": ("colorize", {}, 0.0),
    "hdr": ("gdp", {"steps": 100, "scale": 500_000, "bright": 0.003, "level": 0.5, "map_rate": 0.0}, None),
    "jpeg": ("jpeg", {}, None),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_the_tuned_settings_of_a_task(name: str) -> None:
    """They are measured (docs/known.md): whoever changes one measures again, and changes this, too."""
    task = tasks.find(name)
    assert (task.method, dict(task.settings), task.noise) == SETTINGS[name]
