"""A network of another shape initialised from a trained one: narrower, shallower, or with finer levels in front.

The blocks of a level add to one stream of channels, and nothing nonlinear acts on this stream itself. So a rotation of
its channels leaves the function as it is, and those with the least power can be left out ([SliceGPT]). Inside a block
the weakest channels are left out, and the others replace them as well as a linear map can.

A finer level in front has no counterpart in the trained network, whose head and tail work on larger patches. These
levels are fitted to what the trained network computes, while all others rest.

References:
    [SliceGPT] Ashkboos et al., "SliceGPT: Compress Large Language Models by Deleting Rows and Columns", 2024.
        https://arxiv.org/abs/2401.15024
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import islice

import torch
from torch import Tensor, nn

from ..errors import PellucidError
from ..priors.network import Block, DenoisingUNet, UNetConfig
from .recipe import loss_weight

LOOKS = 24  # Batches that show which channels matter.
_RATE = 3e-3
# Weight of the distance of the first common level's input, beside that of the estimates: first it leads, then it helps.
_INSIDE = (5.0, 1.0)


def reshape(
    network: DenoisingUNet, old: DenoisingUNet, batches: Iterator[tuple[Tensor, Tensor]], updates: int = 500
) -> None:
    """Gives a network nearly the function of one with another shape.

    Args:
        network: network with fresh weights; changed in place.
        old: trained network. At each of its resolutions it has at least as many channels and blocks, and none is
            missing from `network`, which may have finer ones.
        batches: noisy images of (B, C, H, W) and their noise levels of (B,): 24, and one for each update.
        updates: number of updates of the levels in front.

    Raises:
        PellucidError: the shapes do not suit; then nothing has changed.
    """
    front = _levels_in_front(network.config, old.config)
    streams, insides = _powers(old, islice(batches, LOOKS))
    bases = [_principal(power, width) for power, width in zip(streams, network.config.widths[front:], strict=True)]
    network.load_state_dict(network.state_dict() | _common(network, old, front, bases, insides))
    if front:
        _fit(network, old, front, bases[0], islice(batches, updates), updates)


def _levels_in_front(new: UNetConfig, old: UNetConfig) -> int:
    """Number of levels that are finer than the finest of the old network.

    Raises:
        PellucidError: the shapes do not suit.
    """
    front = len(new.widths) - len(old.widths)
    same = replace(new, patch=old.patch, widths=old.widths, blocks=old.blocks) == old
    if front < 0 or old.patch != new.patch * 2**front or not same:
        raise PellucidError("these are not the weights of a network with the same resolutions, or all but the finest")
    mine, theirs = new.widths[front:] + new.blocks[front:], old.widths + old.blocks
    if any(a > b for a, b in zip(mine, theirs, strict=True)):
        raise PellucidError("these weights are of a network that is narrower or shallower at some resolution")
    return front


@torch.no_grad()
def _powers(old: DenoisingUNet, batches: Iterator[tuple[Tensor, Tensor]]) -> tuple[list[Tensor], dict[str, Tensor]]:
    """Second moments of the stream of each level, and of the inner channels of each block by the block's name."""
    streams = [torch.zeros(width, width, dtype=torch.float64) for width in old.config.widths]
    insides: dict[str, Tensor] = {}

    def moments(h: Tensor) -> Tensor:
        flat = h.transpose(0, 1).flatten(1).double()
        return flat @ flat.T / flat.shape[1]

    def see_stream(level: int) -> Callable[..., None]:
        def see(block: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            streams[level] += moments(inputs[0]) + moments(output)

        return see

    def see_inside(name: str) -> Callable[..., None]:
        def see(convolution: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            insides[name] = insides.get(name, 0) + moments(inputs[0])

        return see

    hooks = []
    for name, level, block in blocks_of(old):
        hooks += [
            block.register_forward_hook(see_stream(level)),
            block.second.register_forward_pre_hook(see_inside(name)),
        ]
    for noisy, sigma in batches:
        old(noisy, sigma)
    for hook in hooks:
        hook.remove()
    return streams, insides


def blocks_of(network: DenoisingUNet) -> Iterator[tuple[str, int, Block]]:
    """Name, level and module of each block."""
    for side in ("down", "up"):
        for level, holder in enumerate(getattr(network, side)):
            for number, block in enumerate(holder.blocks):
                yield f"{side}.{level}.blocks.{number}", level, block


def _principal(power: Tensor, width: int) -> Tensor:
    """Orthonormal columns that hold most of the power, (channels, width); the channels themselves if all stay."""
    if len(power) == width:
        return torch.eye(width)
    vectors: Tensor = torch.linalg.eigh(power).eigenvectors
    return vectors[:, -width:].float()


def _common(
    network: DenoisingUNet, old: DenoisingUNet, front: int, bases: list[Tensor], insides: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """The new network's weights at the resolutions of the old one."""
    own = old.state_dict()
    made = {name: value for name, value in own.items() if name.startswith("embed.")}
    theirs = {name: block.state_dict() for name, _, block in blocks_of(old)}
    for name, level, _ in blocks_of(network):
        if level < front:
            continue
        source = name.replace(f".{level}.", f".{level - front}.", 1)
        block = _block(theirs[source], bases[level - front], insides[source])
        made |= {f"{name}.{part}": value for part, value in block.items()}
    for level in range(len(bases) - 1):
        fine, coarse = bases[level], bases[level + 1]
        shrink, grow = own[f"shrink.{level}.weight"], own[f"grow.{level}.weight"]
        made[f"shrink.{level + front}.weight"] = torch.einsum("oihw,or,is->rshw", shrink, coarse, fine)
        made[f"grow.{level + front}.weight"] = torch.einsum("iohw,ir,os->rshw", grow, coarse, fine)
    if not front:
        made["head.weight"] = torch.einsum("oihw,or->rihw", own["head.weight"], bases[0])
        made["tail.weight"] = torch.einsum("oihw,is->oshw", own["tail.weight"], bases[0])
    return made


def _block(weights: Mapping[str, Tensor], basis: Tensor, power: Tensor) -> dict[str, Tensor]:
    """A block's weights in other coordinates, with as many inner channels as these have."""
    first = torch.einsum("oihw,is->oshw", weights["first.weight"], basis)
    second = torch.einsum("oihw,or->rihw", weights["second.weight"], basis)
    films = [weights["film.weight"].chunk(2), weights["film.bias"].chunk(2)]
    channels, width = basis.shape
    if width < channels:
        strength = power.diagonal().float() * second.square().sum((0, 2, 3))
        order = strength.argsort(descending=True)
        kept, lost = order[:width].sort().values, order[width:]
        inner = power[kept][:, kept] + 1e-4 * power.diagonal().mean() * torch.eye(width, dtype=power.dtype)
        # Least squares: what the lost channels held, from those that stay.
        replaced = torch.linalg.solve(inner, power[kept][:, lost]).float()
        second = second[:, kept] + torch.einsum("olhw,kl->okhw", second[:, lost], replaced)
        first, films = first[kept], [tuple(half[kept] for half in halves) for halves in films]
    return {
        "first.weight": first,
        "second.weight": second,
        "film.weight": torch.cat(films[0]),
        "film.bias": torch.cat(films[1]),
    }


def _fit(
    network: DenoisingUNet,
    old: DenoisingUNet,
    front: int,
    basis: Tensor,
    batches: Iterator[tuple[Tensor, Tensor]],
    updates: int,
) -> None:
    """Fits head, tail and the levels in front to the old network."""
    outer = ("head", "tail", *(f"{side}.{k}." for side in ("down", "up", "shrink", "grow") for k in range(front)))
    fitted = [parameter for name, parameter in network.named_parameters() if name.startswith(outer)]
    nn.init.normal_(network.tail.weight, std=0.02)
    inputs: dict[str, Tensor] = {}
    hooks = [
        old.head.register_forward_hook(lambda _, __, h: inputs.update(old=torch.einsum("bihw,is->bshw", h, basis))),
        network.shrink[front - 1].register_forward_hook(lambda _, __, h: inputs.update(new=h)),
    ]
    optimiser = torch.optim.Adam(fitted, _RATE, betas=(0.9, 0.99))
    for step, (noisy, sigma) in enumerate(batches):
        for group in optimiser.param_groups:
            group["lr"] = _RATE * min(1.0, (step + 1) / 30, (updates - step) / (0.4 * updates))
        with torch.no_grad():
            target = old(noisy, sigma)
        outside = (loss_weight(sigma) * (network(noisy, sigma) - target).square().mean((1, 2, 3))).mean()
        inside = (inputs["new"] - inputs["old"]).square().mean() / inputs["old"].square().mean()
        loss = outside + _INSIDE[step >= updates // 2] * inside
        gradients = torch.autograd.grad(loss, fitted)
        for parameter, gradient in zip(fitted, gradients, strict=True):
            parameter.grad = gradient
        nn.utils.clip_grad_norm_(fitted, 5.0)
        optimiser.step()
    for hook in hooks:
        hook.remove()
    network.zero_grad(set_to_none=True)
