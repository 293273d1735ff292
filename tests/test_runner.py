from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pellucid import runner
from pellucid.methods import DreamClean
from pellucid.priors import GaussianPrior, Prior
from pellucid.priors.prior import Padded
from pellucid.runner import Runner

SHORT = DreamClean(strength=30, steps=100)
PRIOR = GaussianPrior(torch.zeros(3, 1, 1), torch.tensor(0.3))


def test_tiles_change_little_and_the_work_is_counted_right(tiny_prior: Path) -> None:
    image = torch.rand(1, 3, 100, 70, generator=torch.Generator().manual_seed(0))
    whole, tiled = (Runner(SHORT, tiny_prior, tile=tile) for tile in (None, 64))
    assert (whole.tiles(100, 70).number, tiled.tiles(100, 70).number) == (1, 4)
    seen: list[int] = []
    result = tiled.run(image, progress=seen.append)
    assert sum(seen) == tiled.work(100, 70) == tiled.nfe() * 4 * 60 * 44
    assert result.nfe == tiled.nfe() == 9
    assert (result.colours - whole.run(image).colours).abs().max() < 0.005


def test_which_prior_it_is_is_found_out_once_for_all_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Prior] = []

    def fingerprint(prior: Prior) -> str:
        asked.append(prior)
        return "a hash"

    monkeypatch.setattr(runner, "fingerprint", fingerprint)
    whole = Runner(SHORT, PRIOR)
    copies = (whole.with_tile(64), whole.with_prior(Padded(PRIOR)), whole.with_tile(64).with_prior(Padded(PRIOR)))
    assert {copy.fingerprint for copy in (whole, *copies)} == {"a hash"}
    assert asked == [PRIOR]


def test_whether_anything_is_random_is_known() -> None:
    image = torch.rand(2, 3, 6, 5, generator=torch.Generator().manual_seed(0))
    for method, random in ((SHORT, True), (replace(SHORT, schedule="none"), False)):
        once, other = (Runner(method, PRIOR).run(image, seed) for seed in (0, 7))
        assert (once.random, torch.equal(once.colours, other.colours)) == (random, not random)
