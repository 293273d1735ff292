from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from pellucid import degradations, images
from pellucid.bench import everyday, kinds, peers
from pellucid.catalogue import tasks
from pellucid.errors import UsageError
from pellucid.maths.noise import derive_seed
from pellucid.metrics import psnr
from pellucid.priors import GaussianPrior

Command = Callable[..., Any]
PRIOR = GaussianPrior(torch.zeros(3, 1, 1), torch.tensor(0.3))


def photograph(seed: int) -> Tensor:
    smooth = torch.rand(1, 3, 5, 6, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(smooth, (40, 48), mode="bicubic").clamp(0, 1)


@pytest.mark.parametrize("name", kinds.KINDS)
def test_every_row_can_be_made(name: str) -> None:
    kind = kinds.KINDS[name]
    if kind.damage:
        degradations.get(kind.damage)
    if kind.task is not None:
        assert kind.task in tasks.names()
    assert set(peers.of(kind.peers, kind.sigma)) <= {
        "BM3D", "BM3D, told", "OpenCV non-local means", "wavelets", "total variation", "unsharp mask", "Lanczos",
    }  # fmt: skip


def test_a_row_is_measured_on_the_file_that_users_would_have() -> None:
    clean = {"a.png": photograph(0), "b.png": photograph(1)}
    damaged, default = everyday.compare(PRIOR, clean, ["JPEG 10, saved as PNG"], seed=3)
    expected = []
    for image in clean.values():
        truth = (image * 255).round() / 255
        expected.append(psnr(degradations.compress(truth, 10), truth).item())
    assert (damaged.entrant, default.entrant) == ("damaged", "default")
    assert damaged.psnr == pytest.approx(sum(expected) / 2, abs=1e-4)
    assert (damaged.gain, damaged.nfe, damaged.lpips) == (0, 0, None)


def test_what_is_clean_is_no_worse_and_draws_count() -> None:
    damaged, default = everyday.compare(PRIOR, {"a.png": photograph(0)}, ["text"], draws=2)
    assert damaged.psnr == default.psnr == 100
    assert default.least == default.gain == 0


def test_the_file_is_what_pillow_writes(tmp_path: Path) -> None:
    truth = (photograph(2) * 255).round() / 255
    shot = everyday._shot(kinds.KINDS["JPEG 30, 4:4:4"], "a", truth, 0, 0, tmp_path)
    pixels = (truth[0] * 255).byte().permute(1, 2, 0).numpy()
    Image.fromarray(np.ascontiguousarray(pixels)).save(file := io.BytesIO(), "JPEG", quality=30, subsampling="4:4:4")
    assert shot.path.read_bytes() == file.getvalue()
    assert shot.path.stem == str(derive_seed(0, "a", 1))
    small = everyday._shot(kinds.KINDS["x4"], "a", truth, 0, 0, tmp_path)
    assert images.size_of(small.path) == (10, 12)
    assert small.baseline.shape == truth.shape


def test_a_factor_of_light_is_fitted() -> None:
    truth = photograph(3) / 2
    torch.testing.assert_close(everyday._fitted(truth * 0.25, truth), truth)


def test_wrong_rows_are_said() -> None:
    # The names have commas, so semicolons part them.
    with pytest.raises(UsageError, match=r"unknown row 'grey 11': did you mean 'grey 10'\? there is JPEG 10; "):
        list(everyday.compare(PRIOR, {}, ["grey 11"]))
    with pytest.raises(UsageError, match="at least one draw"):
        list(everyday.compare(PRIOR, {}, draws=0))


def test_the_command(pellucid_command: Command) -> None:
    done = pellucid_command("bench", "photographs", "--images", "1", "--crop", "32", "--row", "text", "--json")
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert [row["entrant"] for row in rows] == ["damaged", "default"]
    assert rows[1]["psnr"] == 100
