"""The embedded prior computed in other ways: `python -m benchmarks.backends [--size N] [--clock cpu] [--way NAME]`.

Each way's time over plain torch's, taken in turn, how far its results are from torch's, and the time of its first call.
"""

from __future__ import annotations

import argparse
import copy
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor

from pellucid import load_prior
from pellucid.errors import PellucidError
from pellucid.priors import Prior
from pellucid.priors.backends import accelerated

from .contenders import image
from .measuring import CLOCKS, in_turn

Way = Callable[[Tensor], Tensor]


def inference(prior: Prior) -> Way:
    """Without what `no_grad` keeps of tensors' histories."""
    return torch.inference_mode()(lambda x: prior(x, 0.5))


def scattered(prior: Any) -> Way:
    """In torch's usual memory layout."""
    other = copy.deepcopy(prior)
    other.network = other.network.to(memory_format=torch.contiguous_format)
    return lambda x: other(x, 0.5)


def onnx(prior: Any) -> Way:
    """ONNX Runtime, exported by torch."""
    import onnxruntime

    x, sigma = image(256), torch.full((1,), 0.5)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "network.onnx")
        torch.onnx.export(prior.network, (x, sigma), path, dynamo=True, input_names=["x", "sigma"], verbose=False)
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda x: torch.from_numpy(session.run(None, {"x": x.numpy(), "sigma": sigma.numpy()})[0])


def by(prior: Prior, backend: str = "torch", precision: str = "float32") -> Way:
    """As `accelerated` does."""
    other = accelerated(prior, backend, precision)
    return lambda x: other(x, 0.5)


WAYS: dict[str, Callable[[Prior], Way]] = {
    "torch": by,
    "inference mode": inference,
    "torch's usual layout": scattered,
    "bfloat16": partial(by, precision="bfloat16"),
    "compile": partial(by, backend="compile"),
    "onnxruntime": onnx,
    "openvino": partial(by, backend="openvino"),
    "openvino in bfloat16": partial(by, backend="openvino", precision="bfloat16"),
}


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--way", choices=WAYS, action="append", help="beside torch; all if none is named")
    given = parser.parse_args()
    prior, x, ways, first = load_prior("natural"), image(given.size), dict[str, Way](), dict[str, float]()
    for name in ["torch", *(given.way or list(WAYS)[1:])]:
        start = time.perf_counter()
        try:
            ways[name] = WAYS[name](prior)
            ways[name](x)
        except (ImportError, PellucidError) as error:
            print(f"{name} is left out: {error}")
            ways.pop(name, None)
        first[name] = time.perf_counter() - start
    took = in_turn({name: partial(way, x) for name, way in ways.items()}, given.rounds, CLOCKS[given.clock])
    print(f"{given.size}x{given.size}, {torch.get_num_threads()} threads, {given.clock}, {given.rounds} rounds")
    print("| way | time over torch's | farthest from torch's | first call, s |\n|---|---|---|---|")
    for name, way in ways.items():
        ratios = [own / other for own, other in zip(took[name], took["torch"], strict=True)]
        off = (way(x) - ways["torch"](x)).abs().max().item()
        spread = f"{median(ratios):.2f} ({min(ratios):.2f} ... {max(ratios):.2f})"
        print(f"| {name} | {spread} | {off:.0e} | {first[name]:.1f} |")


if __name__ == "__main__":
    main()
