"""Denoisers in Python as priors."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch import Tensor, nn

import pellucid
from pellucid import images, operators
from pellucid.errors import PellucidError, UsageError
from pellucid.maths.noise import linear_ladder
from pellucid.maths.problem import Problem, to_model
from pellucid.methods import RED, Denoise, DreamClean
from pellucid.priors import EDM, Blind, Counted, GaussianPrior, VENetwork, load_prior
from pellucid.priors.denoisers import recognised

EXACT = GaussianPrior(torch.zeros(3, 1, 1), variance=torch.full((3, 1, 1), 0.25))


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def blind(x: Tensor) -> Tensor:
    """The Gaussian's posterior mean at the level that the image itself shows, as a blind denoiser learns it."""
    power = x.square().flatten(1).mean(1).view(-1, 1, 1, 1)
    return x * (0.25 / power).clamp(max=1)


class Preconditioned(nn.Module):
    """Called as EDM's networks are, with their attributes."""

    img_channels, label_dim, sigma_min, sigma_max = 1, 4, 0.02, 80.0

    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Module()
        self.model.enc = nn.ModuleDict({"16x16_conv": nn.Conv2d(1, 1, 3, padding=1), "4x4_down": nn.Identity()})
        self.embedding = nn.Linear(4, 1, bias=False)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x: Tensor, sigma: Tensor, class_labels: Tensor | None = None, **_: Any) -> Tensor:
        assert sigma.shape == (len(x),)
        told = 0 if class_labels is None else self.embedding(class_labels).view(-1, 1, 1, 1)
        enc = self.model.enc
        assert isinstance(enc, nn.ModuleDict)
        made: Tensor = self.dropout(enc["16x16_conv"](x)) / (1 + sigma.view(-1, 1, 1, 1)) + told
        return made


def two(x: Tensor, sigma: Tensor) -> Tensor:
    return x / (1 + sigma.view(-1, 1, 1, 1))


def optional(x: Tensor, noise_level: Tensor | None = None) -> Tensor:
    assert noise_level is not None
    return two(x, noise_level)


def flagged(x: Tensor, clip: bool = False) -> Tensor:
    assert clip is False
    return x / 2


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        (two, EDM),
        (optional, EDM),
        (lambda x, s, **_: x, EDM),
        (flagged, Blind),
        (lambda x: x, Blind),
        (nn.Tanh(), Blind),
    ],
)
def test_how_it_is_called_tells_what_it_is(function: Any, kind: type) -> None:
    prior = load_prior(function)
    assert type(prior) is kind
    assert (prior.channels, prior.multiple) == (3, 1)
    assert torch.equal(prior.sigmas, linear_ladder())
    x = draw(2, 3, 5, 7)
    assert torch.equal(prior(x, 0.5)[1:], prior(x[1:], 0.5))


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (lambda *x: x, "cannot be seen to be"),
        (lambda x, s, y: x, "cannot be seen to be"),
        (lambda x, *, y: x, "cannot be seen to be"),
        (lambda: 1, "cannot be seen to be"),
        (lambda x, timestep: x, r"takes training steps.*VPNetwork"),
        (Preconditioned, "a class: give an object of it"),
        (3, "int, no function"),
        (None, "NoneType, no function"),
    ],
)
def test_what_does_not_tell_is_refused(function: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        load_prior(function)
    assert "\n" not in str(caught.value)


def test_a_prior_is_what_it_is() -> None:
    assert recognised(EXACT) is EXACT
    with pytest.raises(UsageError, match="label already"):
        recognised(EXACT, 3)
    with pytest.raises(UsageError, match="takes no label"):
        recognised(blind, 3)


def test_a_network_of_edm_says_what_it_takes() -> None:
    network = Preconditioned().train()
    prior = load_prior(network, label=2)
    assert isinstance(prior, EDM)
    assert (prior.channels, prior.multiple, prior.classes) == (1, 4, 4)
    assert prior.sigmas[0] >= 0.02
    assert prior.sigmas[-1] <= 80
    assert len(prior.sigmas) > 900
    x, frozen = draw(2, 1, 8, 8), network.eval()
    hot = torch.zeros(2, 4)
    hot[:, 2] = 1
    torch.testing.assert_close(prior(x, 0.5), frozen(x, torch.tensor([0.5, 0.5]), hot))
    torch.testing.assert_close(load_prior(network)(x, 0.5), frozen(x, torch.tensor([0.5, 0.5])))
    with pytest.raises(PellucidError, match="no class 4: there are 0 to 3"):
        EDM(network, label=4)
    with pytest.raises(PellucidError, match="no class 0: there are none"):
        EDM(two, label=0)


def test_k_diffusions_own_ladder_is_taken() -> None:
    network = nn.Tanh()
    network.sigmas = torch.tensor([0.1, 1.0, 10.0])
    assert EDM(network).sigmas.tolist() == pytest.approx([0.1, 1, 10])


def test_a_module_is_frozen_and_itself_unchanged() -> None:
    network = Preconditioned().train()
    prior = EDM(network)
    assert isinstance(prior.network, nn.Module)
    assert not prior.network.training
    assert not any(weight.requires_grad for weight in prior.network.parameters())
    assert network.training
    assert all(weight.requires_grad for weight in network.parameters())
    mine, own = (next(n.parameters()) for n in (prior.network, network))
    assert mine.data_ptr() == own.data_ptr()
    x = draw(1, 1, 4, 4).requires_grad_()
    prior(x, 0.5).sum().backward()
    assert x.grad is not None
    assert own.grad is None


def test_what_cannot_be_copied_is_told() -> None:
    network = nn.Tanh()
    network.__dict__["handle"] = (i for i in range(2))
    with pytest.raises(PellucidError, match=r"Tanh: cannot be copied .*give a function that calls it"):
        Blind(network)


@pytest.mark.parametrize("kind", [EDM, Blind])
@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"sigmas": torch.tensor([2.0, 1.0])}, "ascending"),
        ({"channels": 0}, "channels must be at least 1"),
        ({"multiple": -1}, "multiple must be at least 1"),
    ],
)
def test_ranges(kind: Any, options: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        kind(two, **options)


def test_the_range_of_a_blind_denoiser() -> None:
    prior = Blind(lambda x: x.clamp(0, 1), range="unit")
    x = 2 * draw(1, 3, 4, 4)
    torch.testing.assert_close(prior(x, 0.3), x.clamp(-1, 1))
    with pytest.raises(UsageError, match="symmetric or unit"):
        Blind(blind, range="bytes")  # type: ignore[arg-type]


@pytest.mark.parametrize("made", [lambda x: x[:, :1], lambda x: (x, x), lambda x: x.mean()])
def test_a_result_of_another_shape_is_an_error(made: Callable[[Tensor], Any]) -> None:
    for prior in (Blind(made), EDM(lambda x, s: made(x))):
        with pytest.raises(PellucidError, match="must keep their shape"):
            prior(draw(1, 3, 4, 4), 0.5)


def test_what_is_not_finite_is_an_error() -> None:
    with pytest.raises(PellucidError, match="not finite"):
        pellucid.restore(torch.zeros(1, 3, 4, 4), "denoise", lambda x: x * float("nan"))


@example(level=1.9, seed=0)
@given(level=st.floats(0.05, 1.9), seed=st.integers(0, 99))
def test_a_blind_denoiser_finds_the_level_by_itself(level: float, seed: int) -> None:
    """The level found is what it takes away, and the result its own, told nothing."""
    x = 0.5 * draw(1, 3, 48, 48, seed=seed) + level * draw(1, 3, 48, 48, seed=seed + 1000)
    *_, state = Denoise().iterate(Problem(x), Blind(blind), rng=None)  # type: ignore[arg-type]
    taken = (x - blind(x)).square().mean().sqrt().item()
    assert state.curves["noise"][0] == pytest.approx(max(taken, 0.01), rel=0.03)
    assert torch.equal(state.x, blind(x))


def test_dreamclean_with_a_blind_denoiser_errs_no_more_than_with_one_that_is_told() -> None:
    clean = 0.5 * draw(1, 3, 64, 64)
    method, problem = DreamClean(strength=60, gamma=0.1, start="forward"), Problem(clean)
    told, own = (method(problem, prior) for prior in (EXACT, Blind(blind)))
    assert (own - clean).norm() < 1.1 * (told - clean).norm() < 0.5 * clean.norm()


def test_red_reaches_the_least_error_with_a_blind_denoiser() -> None:
    clean = 0.5 * draw(1, 3, 64, 64)
    y = clean + 0.3 * draw(1, 3, 64, 64, seed=1)
    out = RED(iterations=5)(Problem(y, operators.Denoise(), 0.3), Blind(blind))
    assert (out - clean).square().mean().item() == pytest.approx(0.25 * 0.09 / 0.34, rel=0.02)


def test_restore_takes_a_function(monkeypatch: pytest.MonkeyPatch) -> None:
    y = draw(1, 3, 9, 7).mul(0.1).add(0.5).clamp(0, 1)
    by_function = pellucid.restore(y, "denoise", two)
    prior = VENetwork(two, linear_ladder())
    assert torch.equal(by_function, pellucid.restore(y, "denoise", prior))
    grey = pellucid.restore(y[:, :1], "denoise", EDM(two, channels=1))
    assert grey.shape == (1, 1, 9, 7)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An installed module with denoisers in it."""
    (tmp_path / "own_priors.py").write_text(
        "import torch\n"
        "def two(x, sigma):\n    return x / (1 + sigma.view(-1, 1, 1, 1))\n"
        "net = torch.nn.Conv2d(3, 3, 1)\n"
        "class Holder:\n    net = net\n"
        "number = 3\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_priors", raising=False)
    return "own_priors"


def test_an_object_of_a_module_is_named(module: str) -> None:
    x = draw(1, 3, 4, 4)
    assert torch.equal(load_prior(f"{module}:two")(x, 1.0), x / 2)
    prior = load_prior(f"{module}:Holder.net", "meta")
    assert isinstance(prior, Blind)
    assert isinstance(prior.network, nn.Module)
    assert next(prior.network.parameters()).is_meta
    for name, says in (("number", "int, no function"), ("nothing", "cannot be imported")):
        with pytest.raises(UsageError, match=says):
            load_prior(f"{module}:{name}")
    with pytest.raises(UsageError, match="cannot be imported"):
        load_prior("no_such_module:f")


def test_the_command_line_takes_an_object(module: str, tmp_path: Path, pellucid_command: Callable[..., Any]) -> None:
    from PIL import Image

    Image.new("RGB", (6, 5), (90, 120, 30)).save(tmp_path / "in.png")
    said = pellucid_command(
        "restore", tmp_path / "in.png", "-o", tmp_path / "out.png", "-m", "denoise", "--prior", f"{module}:two"
    )
    assert said.code == 0, said.err
    assert images.size_of(tmp_path / "out.png") == (5, 6)
    said = pellucid_command("bench", "prior", f"{module}:two", "--json")
    assert said.code == 0, said.err
    said = pellucid_command("priors", "inspect", f"{module}:two")
    assert (said.code, said.out) == (2, "")
    assert "is code, which no file describes" in said.err


def test_evaluations_are_counted() -> None:
    counted = Counted(Blind(blind))
    Denoise()(Problem(to_model(torch.full((1, 3, 3, 5), 0.4))), counted)
    assert counted.nfe == Denoise().nfe(counted) == 9
