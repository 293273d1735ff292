from __future__ import annotations

import torch

from pellucid.bench.watch import Watch
from pellucid.methods import State

TRUTH = torch.full((1, 3, 4, 4), 0.5)


def state(step: int, x0: torch.Tensor, **more: object) -> State:
    return State(step, 1000, 0.0, x0, x0, 2 * step, **more)  # type: ignore[arg-type]  # what a test adds


def test_the_estimates_psnr_is_that_of_each_step() -> None:
    watch = Watch(TRUTH)
    watch.see(state(1, torch.full((1, 3, 4, 4), 0.2)))  # 0.6 in [0, 1]: 20 dB from 0.5
    watch.see(state(2, torch.zeros(1, 1, 2, 2)))  # an image of another size has none
    trace = watch.trace()
    assert trace["nfe"] == [2, 4]
    assert abs(trace["psnr"][0] - 20) < 1e-4
    assert trace["psnr"][1] is None
    assert watch.nfe == 4


def test_long_runs_are_thinned_and_keep_their_end() -> None:
    watch = Watch(None)
    for step in range(1, 1001):
        watch.see(state(step, TRUTH, curves={"loss": (float(step),)}))
    trace = watch.trace()
    assert len(trace["step"]) <= 200
    assert (trace["step"][0], trace["step"][-1]) == (1, 1000)
    assert trace["loss"] == trace["step"]
    assert "psnr" not in trace


def test_what_is_learnt_of_the_damage_is_kept() -> None:
    watch = Watch(None)
    for step in range(1, 12):
        kernel = torch.zeros(1, 1, 3, 3)
        kernel[0, 0, 1, 1] = 4.0
        watch.see(state(step, TRUTH, found={"gain": torch.full((1, 1), 0.1 * step), "map": TRUTH, "kernel": kernel}))
    trace = watch.trace()
    assert trace["gain"][:2] == [0.1, 0.2]
    assert set(trace["map"]) == {0.5}
    assert len(trace["kernels"]) == 5
    assert trace["kernels"][0][1] == [0, 1, 0]


def test_numbers_that_are_none_are_left_out() -> None:
    watch = Watch(None)
    watch.see(state(1, TRUTH, curves={"slope": (float("nan"),)}))
    assert watch.trace()["slope"] == [None]
