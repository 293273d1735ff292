from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import nn

from pellucid.priors.network import DenoisingUNet
from pellucid.train.optimiser import Muon, orthogonalise


@pytest.mark.parametrize("shape", [(16, 64), (64, 16), (16, 16)])
def test_orthogonalised_matrices_keep_their_vectors_and_lose_their_values(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0)) * 1e-3
    u, _, vh = torch.linalg.svd(matrix, full_matrices=False)
    straight = u.T @ orthogonalise(matrix) @ vh.T
    values = straight.diagonal()
    assert 0.6 < values.min() <= values.max() < 1.25
    torch.testing.assert_close(straight, torch.diag(values), rtol=0, atol=2e-3)


def test_the_iteration_is_the_published_one() -> None:
    """Five times X <- a X + (b A + c A A) X with A = X X^T, written out."""
    matrix = torch.randn(6, 20, generator=torch.Generator().manual_seed(0), dtype=torch.float32)
    x = matrix / (matrix.norm() + 1e-7)
    for _ in range(5):
        gram = x @ x.T
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    torch.testing.assert_close(orthogonalise(matrix), x, rtol=1e-4, atol=1e-5)


def test_what_is_no_kernel_gets_adam() -> None:
    torch.manual_seed(0)
    mine = nn.Sequential(nn.Linear(4, 5), nn.SiLU(), nn.Linear(5, 2))
    theirs = copy.deepcopy(mine)
    a = Muon(mine, lr=0.01)
    b = torch.optim.Adam(theirs.parameters(), lr=0.01, betas=(0.9, 0.99), eps=1e-8)
    for step in range(5):
        x = torch.randn(8, 4, generator=torch.Generator().manual_seed(step))
        for network, optimiser in ((mine, a), (theirs, b)):
            optimiser.zero_grad()
            network(x).square().mean().backward()
            optimiser.step()
    for p, q in zip(mine.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(p, q)


def test_gains_and_shifts_have_a_rate_of_their_own(tiny_network: Callable[..., DenoisingUNet]) -> None:
    """Adam's first step is the learning rate, whatever the gradient."""
    network = tiny_network()
    before = copy.deepcopy(network)
    optimiser = Muon(network, lr=0.01, film=0.1)
    x = torch.randn(16, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    network(x, torch.linspace(0.1, 1, 16)).square().mean().backward()
    optimiser.step()
    moved = dict(before.named_parameters())
    for name, weight in network.named_parameters():
        if weight.ndim < 4:
            rate = 0.001 if ".film." in name else 0.01
            assert (weight - moved[name]).abs().max().item() == pytest.approx(rate, rel=0.01), name


def test_kernels_get_muon_and_move_by_the_learning_rate(tiny_network: Callable[..., DenoisingUNet]) -> None:
    network = tiny_network()
    before = copy.deepcopy(network)
    optimiser = Muon(network, lr=0.01)
    x = torch.randn(16, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    network(x, torch.linspace(0.1, 1, 16)).square().mean().backward()
    optimiser.step()
    moved = dict(before.named_parameters())
    for name, weight in network.named_parameters():
        step = (weight - moved[name]).square().mean().sqrt().item()
        if weight.ndim == 4 and not name.startswith(("head.", "tail.")):
            assert step == pytest.approx(0.01 * 0.2, rel=0.35), name
        else:
            assert 0 < step <= 0.0101, name
