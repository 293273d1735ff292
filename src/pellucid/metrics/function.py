"""A plain function as a metric."""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter, Signature, signature
from typing import Any, get_type_hints

import torch
from torch import Tensor

from ..errors import UsageError
from .metric import Metric

__all__ = ["of_function"]


def of_function(function: Callable[..., Any], place: str) -> type[Metric]:
    """Makes a metric of a function of an image and its truth, or of an image alone.

    Args:
        function: takes an image (1, C, H, W) in [0, 1], and the clean one where its second parameter has no default;
            further parameters are the metric's options. Gives a number. Higher values are better, unless its attribute
            `better` is "lower".
        place: what to call it in an error.

    Raises:
        UsageError: it takes no image, or `better` is neither "higher" nor "lower".
    """
    parameters = list(signature(function).parameters.values())
    if not parameters:
        raise UsageError(f"{place}: is no metric: a function of an image (1, C, H, W) in [0, 1], and of the clean one")
    better = getattr(function, "better", "higher")
    if better not in ("higher", "lower"):
        raise UsageError(f"{place}: better is 'higher' or 'lower', not {better!r}")
    told = len(parameters) > 1 and parameters[1].default is Parameter.empty
    own = parameters[1 + told :]
    hints = get_type_hints(function)

    class Own(Metric):
        __doc__ = function.__doc__

        def __init__(self, **options: Any) -> None:
            self._options = options

        def one(self, image: Tensor, truth: Tensor) -> Tensor:
            value = torch.as_tensor(function(image, *([truth] if told else []), **self._options))
            if value.numel() != 1:
                raise UsageError(f"{place}: gives {value.numel()} numbers for one image, not one")
            return value.detach().to("cpu", torch.float64).reshape(1)

    Own.name, Own.against = function.__name__, "truth" if told else "nothing"
    Own.better = "lower" if better == "lower" else "higher"
    Own.__init__.__annotations__ = {one.name: hints.get(one.name, str) for one in own}
    Own.__signature__ = Signature(own)  # type: ignore[attr-defined]  # what `inspect.signature` says of it
    return Own
