"""Restores what a physics of deepinv measured: `python examples/deepinv_operator.py photo.png out.png`.

It needs the extra `deepinv`. Any object with `A` and `A_adjoint` will do in its place.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pellucid
from pellucid import images
from pellucid.maths.problem import to_model, to_unit
from pellucid.operators.deepinv import DeepinvOperator, Physics


def main(source: Path, target: Path, physics: Physics | None = None, prior: str = "natural", steps: int = 20) -> None:
    """Measures `source` with a physics, restores the measurement with DiffPIR, and writes the result."""
    x = to_model(images.read(source).tensor())
    shape = (x.shape[1], x.shape[2], x.shape[3])
    if physics is None:
        from deepinv.physics import Downsampling

        physics = Downsampling(img_size=shape, filter=None, factor=2)
    operator = DeepinvOperator(physics, shape)
    method = pellucid.methods.get("diffpir", steps=steps)
    restored = method(pellucid.Problem(operator.A(x), operator, 0.0), pellucid.load_prior(prior), seed=0)
    images.write(images.from_tensor(to_unit(restored).clamp(0, 1)), target)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
