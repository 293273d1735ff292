from __future__ import annotations

import pickle
import re
import sys
from collections.abc import Callable
from copy import deepcopy
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from pellucid import load_prior
from pellucid.bench.prior import gflop
from pellucid.errors import PellucidError, UsageError
from pellucid.maths.noise import linear_ladder
from pellucid.priors import Counted, VENetwork, backends, processor
from pellucid.priors.backends import (
    Autocast,
    accelerated,
    backend_of,
    precision_of,
    resolved,
    usual,
    way_of,
)
from pellucid.priors.fingerprint import fingerprint
from pellucid.priors.network import DenoisingUNet
from pellucid.priors.openvino import _library


def needs_openvino() -> None:
    """Skips a test where it is not installed; only pellucid imports it."""
    if find_spec("openvino") is None:
        pytest.skip("needs OpenVINO")


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
    needs_openvino()
    rough: Any = accelerated(prior, precision="bfloat16")
    inner = rough.prior
    changed: Any = accelerated(rough, "openvino")
    assert changed.prior is not inner
    assert rough.prior is inner


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
    needs_openvino()
    network = tiny_network(channels=channels).requires_grad_(False)
    prior = VENetwork(network, linear_ladder(), channels=channels, multiple=4)
    other = accelerated(prior, "openvino")
    for size in ((4, 4), (16, 24), (32, 8)):
        x = draw(2, channels, *size)
        sigma = torch.tensor([0.1, 3.0])
        found = other(x, sigma)
        assert (found - prior(x, sigma)).abs().max() < 1e-4
        assert torch.equal(found[1:], other(x[1:], sigma[1:]))


def test_openvino_tells_nobody_that_it_is_used() -> None:
    """As it is imported it would tell a server; here it is imported by pellucid alone."""
    needs_openvino()
    _library()
    used = sys.modules["openvino.tools.ovc.telemetry_utils"].tm
    assert used.__name__ == "openvino.tools.ovc.telemetry_stub"
    assert sys.modules.get("openvino_telemetry", ...) is not None


def test_openvino_in_half_precision(prior: VENetwork) -> None:
    needs_openvino()
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
    needs_openvino()
    assert gflop(accelerated(prior, "openvino", "bfloat16"), 16) == gflop(prior, 16) > 0


def test_openvino_leaves_gradients_to_torch(prior: VENetwork) -> None:
    needs_openvino()
    x = draw(1, 3, 8, 8).requires_grad_()
    (own,) = torch.autograd.grad(accelerated(prior, "openvino")(x, 0.5).sum(), x)
    (torchs,) = torch.autograd.grad(prior(x, 0.5).sum(), x)
    assert torch.equal(own, torchs)


def test_openvino_is_the_same_prior_elsewhere() -> None:
    needs_openvino()
    prior = load_prior("natural")
    other = accelerated(prior, "openvino")
    x = draw(1, 3, 16, 16)
    before = other(x, 0.5)
    assert torch.equal(pickle.loads(pickle.dumps(other))(x, 0.5), before)
    assert fingerprint(other) == fingerprint(prior)
    assert (before - prior(x, 0.5)).abs().max() < 1e-3


FLAGS = "processor\t: 0\nflags\t\t: fpu avx2 {}\n\nprocessor\t: 1\nflags\t\t: fpu avx2 {} vmx\n"


@pytest.mark.parametrize(
    ("flags", "precision"),
    [("", "float32"), ("avx512f", "float32"), ("avx512_bf16", "bfloat16"), ("amx_tile amx_bf16", "bfloat16")],
)
@pytest.mark.parametrize("there", [False, True])
def test_auto_goes_by_the_processor(
    prior: VENetwork, monkeypatch: pytest.MonkeyPatch, flags: str, precision: str, there: bool
) -> None:
    monkeypatch.setattr(processor, "instructions", lambda: processor.listed(FLAGS.format(flags, flags)))
    monkeypatch.setattr(backends, "_has_openvino", lambda: there)
    fastest = ("openvino" if there else "torch", precision)
    assert usual(torch.device("cpu")) == fastest
    assert resolved(prior, "auto", "auto") == fastest
    assert resolved(prior, "torch", "auto") == ("torch", precision)
    # What is named is exactly that, and other people's networks stay as they are.
    assert resolved(prior, "auto", "float32") == ("torch", "float32")
    assert resolved(VENetwork(nn.Identity(), linear_ladder()), "auto", "auto") == ("torch", "float32")
    assert usual(torch.device("meta")) == ("torch", "float32")


class Elsewhere:
    """Stands for OpenVINO where it is not installed: computes a trunk in the precision of `torch.autocast`."""

    def __init__(self, network: DenoisingUNet) -> None:
        self._network = network

    def __call__(self, h: Tensor, embedding: Tensor) -> Tensor:
        return DenoisingUNet.trunk(self._network, h, embedding).float()


@pytest.mark.parametrize("flags", ["", "amx_tile amx_bf16"])
@pytest.mark.parametrize("there", [False, True])
def test_a_restoration_says_how_its_network_was_computed(
    pellucid_command: Callable[..., Any], tiny_prior: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    flags: str, there: bool,
) -> None:  # fmt: skip
    """In its line and its file; the fingerprint differs by the precision, and nothing is said of torch in float32."""
    (tmp_path / "cpuinfo").write_text(FLAGS.format(flags, flags))
    monkeypatch.setattr(processor, "_LISTED", tmp_path / "cpuinfo")
    monkeypatch.setattr(backends, "_has_openvino", lambda: there)
    monkeypatch.setattr("pellucid.priors.openvino.Trunk", Elsewhere)
    processor.instructions.cache_clear()
    Image.fromarray(np.full((16, 16, 3), 99, np.uint8)).save(tmp_path / "in.png")
    try:
        files = (tmp_path / "in.png", "-o", tmp_path / "out.png")
        said = pellucid_command("restore", *files, "-p", tiny_prior, "-m", "denoise", "--noise", 0.1)
    finally:
        processor.instructions.cache_clear()
    assert said.code == 0, said.err
    way = ["openvino"] * there + ["bfloat16"] * bool(flags)
    line = next(line for line in said.out.splitlines() if "NFE" in line)
    assert re.search(r" s" + "".join(f"[, ]+{name}" for name in way) + r", noise", line), line
    with Image.open(tmp_path / "out.png") as image:
        told = " ".join(map(str, image.info.values()))
    for option, name in (("backend", "openvino"), ("precision", "bfloat16")):
        assert (f"{option} {name!r}" in told) == (name in way), told
    exact = fingerprint(load_prior(tiny_prior, precision="float32"))[:16]
    assert (f"prior {exact}" in told) == (not flags)


@pytest.mark.parametrize(
    ("capability", "precision"), [((9, 0), "bfloat16"), ((8, 0), "bfloat16"), ((7, 5), "float16"), ((6, 1), "float32")]
)
def test_auto_goes_by_the_gpu(monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], precision: str) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert usual(torch.device("cuda")) == ("torch", precision)


def test_one_processor_without_instructions_decides() -> None:
    assert processor.listed("flags : a b\nflags : b c\n") == {"b"}
    assert processor.listed("model name : of a processor that lists none\n") == frozenset()


def test_the_processor_is_this_one() -> None:
    if Path("/proc/cpuinfo").is_file():
        assert processor.has_bfloat16() == any(f" {name} " in Path("/proc/cpuinfo").read_text().replace("\n", " ")
                                               for name in ("avx512_bf16", "amx_bf16"))  # fmt: skip


def test_what_is_given_stays_as_it_is(prior: VENetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "usual", lambda device: ("torch", "bfloat16"))
    assert load_prior(prior, backend="auto", precision="auto") is prior
    chosen = load_prior("natural", backend="auto", precision="auto")
    assert (backend_of(chosen), precision_of(chosen)) == ("torch", "bfloat16")
    assert way_of(chosen) == {"precision": "bfloat16"}
    assert fingerprint(chosen) == fingerprint(load_prior("natural", precision="bfloat16"))


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_weights_are_cast_once(prior: VENetwork, monkeypatch: pytest.MonkeyPatch, precision: str) -> None:
    x = draw(2, 3, 16, 16)
    rough, autocast = accelerated(prior, precision=precision), Autocast(prior, precision)
    made: list[nn.Module] = []

    def copied(network: nn.Module) -> nn.Module:
        made.append(network)
        return deepcopy(network)

    monkeypatch.setattr(backends, "deepcopy", copied)
    first = rough(x, 0.5)
    assert torch.equal(rough(x, 0.5), first)
    assert len(made) == 1
    # It is what `torch.autocast` computes, up to the rounding of its own sums.
    assert (first - autocast(x, 0.5)).abs().max() < 0.02
    assert next(prior.network.parameters()).dtype == torch.float32  # type: ignore[attr-defined]
    assert fingerprint(rough) == fingerprint(autocast)
    assert torch.equal(pickle.loads(pickle.dumps(rough))(x, 0.5), first)


def test_cast_weights_have_gradients_to_images_and_trained_ones_their_own(prior: VENetwork) -> None:
    rough: Any = accelerated(prior, precision="bfloat16")
    x = draw(1, 3, 8, 8).requires_grad_()
    (own,) = torch.autograd.grad(rough(x, 0.5).sum(), x)
    (exact,) = torch.autograd.grad(prior(x, 0.5).sum(), x)
    assert (own - exact).abs().max() < 0.05 * exact.abs().max()
    network = rough.prior.network.requires_grad_()
    rough(x, 0.5).sum().backward()
    assert network.head.weight.grad.abs().max() > 0
