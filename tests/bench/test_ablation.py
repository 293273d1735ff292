"""DreamClean's Table 5 on the embedded prior: what noise its corrections add."""

from __future__ import annotations

from pathlib import Path

import pytest

from pellucid.bench import photographs, spec
from pellucid.bench.report import Result
from pellucid.bench.run_table import Run, run
from pellucid.priors import load_prior

pytestmark = pytest.mark.slow


def test_the_papers_order_holds_but_for_the_psnr_without_noise(shared: Path, tmp_path: Path) -> None:
    weights = {"lpips": shared / "data" / "alexnet_features.safetensors"}
    table = spec.load("dreamclean-5")
    job = Run(table, load_prior("natural", "cpu"), photographs.bundled(), tmp_path, quick=True, weights=weights)
    lines = {line.method: line.cells for line in Result(job, "natural", list(run(job))).lines}

    def mean(method: str, metric: str) -> float:
        return lines[method][metric].mean

    # The paper's procedure to the letter: tau 300, gamma 0.05, one correction, reduction by 4 with noise of 0.05.
    assert mean("variance-preserving", "psnr") > mean("Langevin", "psnr") + 0.1
    assert mean("variance-preserving", "lpips") < mean("Langevin", "lpips") - 0.01
    assert mean("Langevin", "lpips") < mean("none", "lpips") - 0.05
    # What does not hold with a small prior: without noise the result is smooth, which PSNR rewards.
    assert mean("none", "psnr") > mean("Langevin", "psnr")
