"""What operators cost: `python -m benchmarks.operators [--sizes 256 1024]`.

Prints the time of A, At, pinv and of an SVD round trip V(Vt(x)), which is two transforms, relative to one pass: a
Fourier transform of the same image and back. Times are medians, taken in turn in one process.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from statistics import median

import torch
from torch import Tensor

from pellucid.operators import AveragePool, Bicubic, Blur, Denoise, Grayscale, Hadamard, Jpeg, Mask, Operator, blur


def fourier(x: Tensor) -> Tensor:
    """There and back."""
    back: Tensor = torch.fft.irfft2(torch.fft.rfft2(x), s=x.shape[-2:])
    return back


def operators(size: int) -> dict[str, Operator]:
    """What is timed."""
    return {
        "Denoise": Denoise(),
        "Mask": Mask.random(size, size),
        "Grayscale": Grayscale(),
        "AveragePool(4)": AveragePool(4),
        "Bicubic(4)": Bicubic(4),
        "Blur": Blur(blur.gaussian(2)),
        "Hadamard": Hadamard(size, size),
        "Jpeg": Jpeg(20),
    }


def seconds(action: Callable[[], object], rounds: int) -> float:
    """The median time of an action after one round to warm up."""
    action()
    took = []
    for _ in range(rounds):
        start = time.perf_counter()
        action()
        took.append(time.perf_counter() - start)
    return median(took)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 1024])
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    for size in arguments.sizes:
        made = seconds(partial(Mask.random, size, size), arguments.rounds)
        x = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0))
        print(f"{size}x{size}; Mask.random takes {1e3 * made:.1f} ms")
        print(f"{'':16}{'pass, ms':>10}{'A':>8}{'At':>8}{'pinv':>8}{'V Vt':>8}")
        for name, operator in operators(size).items():
            unit = seconds(partial(fourier, x), arguments.rounds)
            times = [seconds(action, arguments.rounds) for action in actions(operator, x)]
            print(f"{name:16}{1e3 * unit:10.3f}" + "".join(f"{took / unit:8.2f}" for took in times))


def actions(operator: Operator, x: Tensor) -> list[Callable[[], object]]:
    """What is timed: A and, where there are any, At, pinv and the round trip."""
    y = operator.A(x)
    found: list[Callable[[], object]] = [partial(operator.A, x)]
    if operator.linear:
        found += [partial(operator.At, y), partial(operator.pinv, y)]
        svd = operator.svd(tuple(x.shape))
        if svd is not None:
            found.append(lambda: svd.V(svd.Vt(x)))
    return found


if __name__ == "__main__":
    main()
