"""What operators cost: `python -m benchmarks.operators [--sizes 256 1024]`.

Prints the time of A, At, pinv and of an SVD round trip V(Vt(x)) relative to one plain pass of the same kind on the
same image: a Fourier transform and back for what is diagonal there, average pooling and repetition for reductions, a
copy for the rest. Times are medians, taken in turn in one process.
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


def pooling(x: Tensor) -> Tensor:
    """Down and up again."""
    return torch.nn.functional.avg_pool2d(x, 4).repeat_interleave(4, -2).repeat_interleave(4, -1)


def copy(x: Tensor) -> Tensor:
    """Reads and writes every number."""
    return x * 1.0


def operators(size: int) -> dict[str, tuple[Operator, Callable[[Tensor], Tensor]]]:
    """Each operator with the pass that it is measured by."""
    return {
        "Denoise": (Denoise(), copy),
        "Mask": (Mask.random(size, size), copy),
        "Grayscale": (Grayscale(), copy),
        "AveragePool(4)": (AveragePool(4), pooling),
        "Bicubic(4)": (Bicubic(4), pooling),
        "Blur": (Blur(blur.gaussian(2)), fourier),
        "Hadamard": (Hadamard(size, size), fourier),
        "Jpeg": (Jpeg(20), fourier),
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
        print(f"{size}x{size}; Mask.random takes {1e3 * made:.1f} ms")
        print(f"{'':16}{'pass, ms':>10}{'A':>8}{'At':>8}{'pinv':>8}{'V Vt':>8}")
        x = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0))
        for name, (operator, plain) in operators(size).items():
            unit = seconds(partial(plain, x), arguments.rounds)
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
