"""One record for each kind of network: how it is recognised, built, loaded, described and written.

A new kind is a file with its network and its record, and a line in `families`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor, nn

from .prior import Prior

__all__ = ["Built", "LatentFamily", "NetworkFamily"]


class Built(NamedTuple):
    """A network that the tensors of a file describe, without its weights.

    Attributes:
        network: with `channels` and `multiple`.
        sigmas: its training ladder, ascending, (T,).
        found: what it is, for people.
        assumed: what of that no tensor tells; empty if nothing.
    """

    network: Any
    sigmas: Tensor
    found: str
    assumed: str = ""


def _plain(network: Any) -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class NetworkFamily:
    """A kind of network of pixels.

    Attributes:
        name: for people.
        network: its class.
        to_json: the content of `config.json` of a network.
        class_name: `_class_name` there.
        build: makes a network of that content, without its weights; None where `load` does.
        load: loads a folder with such a `config.json`, onto a device, for a label; None for the usual way, see
            `native.load`.
        matches: whether tensors of these names are a network of this kind; None if no file of tensors alone is.
        infer: makes a network of its tensors' shapes, and of what somebody says besides, without its weights.
        describe: fields of a `Description` that differ from the usual.
    """

    name: str
    network: type[nn.Module]
    class_name: str
    to_json: Callable[[Any], Mapping[str, Any]]
    build: Callable[[Mapping[str, Any]], nn.Module] | None = None
    load: Callable[..., Prior] | None = None
    matches: Callable[[Sequence[str]], bool] | None = None
    infer: Callable[[Mapping[str, Sequence[int]], Mapping[str, Any]], Built] | None = None
    describe: Callable[[Any], Mapping[str, Any]] = field(default=_plain)


@dataclass(frozen=True)
class LatentFamily:
    """A kind of folder of latent diffusion, whose network has an attribute `family`, its name.

    Attributes:
        matches: whether a folder is one.
        load: loads it, onto a device, for a label and a prompt.
        parts: its folders of weights.
    """

    matches: Callable[[Path], bool]
    load: Callable[..., Prior]
    parts: tuple[str, ...]
