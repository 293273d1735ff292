from __future__ import annotations

import pickle
import sys
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from pellucid import load_prior
from pellucid.bench.prior import gflop
from pellucid.errors import PellucidError, UsageError
from pellucid.noise import linear_ladder
from pellucid.priors import Counted, VENetwork
from pellucid.priors.backends import accelerated
from pellucid.priors.fingerprint import fingerprint
from pellucid.priors.network import DenoisingUNet


def draw(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def prior(tiny_network: Callable[..., DenoisingUNet]) -> VENetwork:
    return VENetwork(tiny_network().requires_grad_(False), linear_ladder(), multiple=4)


def test_as_it_is(prior: VENetwork) -> None:
    assert accelerated(prior) is prior


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_images_keep_their_precision(prior: VENetwork, precision: str) -> None:
    x = draw(1, 3, 16, 16)
    exact, rough = prior(x, 0.5), accelerated(prior, precision=precision)(x, 0.5)
    assert rough.dtype == torch.float32
    assert 0 < (rough - exact).abs().max() < 0.05


def test_compiled_shares_weights_and_leaves_the_prior(prior: VENetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[nn.Module] = []
    monkeypatch.setattr(nn.Module, "compile", lambda self: compiled.append(self))
    other = accelerated(prior, "compile")
    assert isinstance(other, VENetwork)
    assert compiled == [other.network]
    assert compiled[0] is not prior.network
    assert next(compiled[0].parameters()) is next(prior.network.parameters())  # type: ignore[attr-defined]


def test_a_wrapper_keeps_its_prior(prior: VENetwork) -> None:
    pytest.importorskip("openvino")
    rough = accelerated(prior, precision="bfloat16")
    changed = accelerated(rough, "openvino")
    assert changed.prior is not prior  # type: ignore[attr-defined]
    assert rough.prior is prior  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("backend", "precision", "said"),
    [("tpu", "float32", "backend"), ("torch", "int8", "precision"), ("openvino", "float16", "not in float16")],
)
def test_unknown(prior: VENetwork, backend: str, precision: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        accelerated(prior, backend, precision)


@pytest.mark.parametrize("backend", ["compile", "openvino"])
def test_functions_have_no_network(backend: str) -> None:
    with pytest.raises(UsageError, match="no torch network"):
        accelerated(VENetwork(lambda x, sigma: x, linear_ladder()), backend)


def test_openvino_knows_no_other_network() -> None:
    with pytest.raises(UsageError, match="not a Identity"):
        accelerated(VENetwork(nn.Identity(), linear_ladder()), "openvino")


def test_openvino_is_an_extra(prior: VENetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(PellucidError, match=r"pellucid\[openvino\]"):
        accelerated(prior, "openvino")


@pytest.mark.parametrize("channels", [1, 3])
def test_openvino_agrees(tiny_network: Callable[..., DenoisingUNet], channels: int) -> None:
    pytest.importorskip("openvino")
    network = tiny_network(channels=channels).requires_grad_(False)
    prior = VENetwork(network, linear_ladder(), channels=channels, multiple=4)
    other = accelerated(prior, "openvino")
    for size in ((4, 4), (16, 24), (32, 8)):
        x = draw(2, channels, *size)
        sigma = torch.tensor([0.1, 3.0])
        found = other(x, sigma)
        assert (found - prior(x, sigma)).abs().max() < 1e-4
        assert torch.equal(found[1:], other(x[1:], sigma[1:]))


def test_openvino_in_half_precision(prior: VENetwork) -> None:
    pytest.importorskip("openvino")
    x = draw(2, 3, 16, 16)
    exact, rough = prior(x, 0.5), accelerated(prior, "openvino", "bfloat16")(x, 0.5)
    assert rough.dtype == torch.float32
    # Exact where the processor has no instructions for it and OpenVINO does not emulate them.
    assert (rough - exact).abs().max() < 0.05


def test_precision_makes_another_prior_of_it(prior: VENetwork) -> None:
    rough = accelerated(prior, precision="bfloat16")
    assert fingerprint(rough) != fingerprint(prior)
    assert fingerprint(Counted(rough)) == fingerprint(rough)


def test_operations_are_counted_whoever_computes(prior: VENetwork) -> None:
    pytest.importorskip("openvino")
    assert gflop(accelerated(prior, "openvino", "bfloat16"), 16) == gflop(prior, 16) > 0


def test_openvino_leaves_gradients_to_torch(prior: VENetwork) -> None:
    pytest.importorskip("openvino")
    x = draw(1, 3, 8, 8).requires_grad_()
    (own,) = torch.autograd.grad(accelerated(prior, "openvino")(x, 0.5).sum(), x)
    (torchs,) = torch.autograd.grad(prior(x, 0.5).sum(), x)
    assert torch.equal(own, torchs)


def test_openvino_is_the_same_prior_elsewhere() -> None:
    pytest.importorskip("openvino")
    prior = load_prior("natural")
    other = accelerated(prior, "openvino")
    x = draw(1, 3, 16, 16)
    before = other(x, 0.5)
    assert torch.equal(pickle.loads(pickle.dumps(other))(x, 0.5), before)
    assert fingerprint(other) == fingerprint(prior)
    assert (before - prior(x, 0.5)).abs().max() < 1e-3
