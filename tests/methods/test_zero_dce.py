"""Zero-DCE's network and curves."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from pellucid.errors import PellucidError, UsageError
from pellucid.maths.noise import Streams
from pellucid.maths.problem import Problem, to_model, to_unit
from pellucid.methods import ZeroDCE, zero_dce
from pellucid.methods.zero_dce import CurveNet, enhance, load
from pellucid.operators import Denoise
from pellucid.priors.prior import Unused

NONE = Unused(torch.device("cpu"))


def draw(*shape: int, seed: int = 0) -> Tensor:
    return 2 * torch.rand(shape, generator=torch.Generator().manual_seed(seed)) - 1


def random_weights(seed: int = 1) -> dict[str, Tensor]:
    rng = torch.Generator().manual_seed(seed)
    return {name: torch.randn(w.shape, generator=rng) * 0.1 for name, w in load().state_dict().items()}


def test_the_curve_is_equation_1_eight_times() -> None:
    x, maps = torch.tensor([0.25]).view(1, 1, 1, 1), torch.zeros(1, 8, 1, 1)
    maps[:, 0] = 1.0
    assert enhance(x, maps).item() == pytest.approx(0.25 + 0.25 * 0.75)
    maps[:, 1] = -0.5
    once = 0.4375
    assert enhance(x, maps).item() == pytest.approx(once - 0.5 * once * (1 - once))
    ends = torch.tensor([0.0, 1.0]).view(1, 1, 1, 2)
    assert enhance(ends, torch.full((1, 8, 1, 2), 0.7)).flatten().tolist() == [0, 1]


def test_each_colour_and_iteration_has_its_own_map() -> None:
    maps = torch.zeros(1, 24, 1, 1)
    maps[:, 4] = 1.0  # green, the second time
    assert enhance(torch.full((1, 3, 1, 1), 0.5), maps).flatten().tolist() == [0.5, 0.75, 0.5]


def test_the_network_is_the_papers() -> None:
    network = CurveNet()
    assert sum(weight.numel() for weight in network.parameters()) == 79_416
    x = draw(1, 3, 9, 8) / 2 + 0.5
    maps = network(x)
    assert maps.shape == (1, 24, 9, 8)
    assert maps.abs().max() <= 1
    # A pixel's curve depends on what is up to seven pixels away, and on no more.
    x = torch.zeros(1, 3, 1, 31)
    x[..., 15] = 1
    changed = (network(x) != network(torch.zeros_like(x))).any(1).flatten().nonzero().flatten()
    assert (changed.min().item(), changed.max().item()) == (8, 22)


def test_it_makes_dark_photographs_bright(bundled: dict[str, Tensor]) -> None:
    for clean in bundled.values():
        light = to_unit(clean)
        dark = 0.25 * light**1.5
        bright = to_unit(ZeroDCE()(Problem(to_model(dark)), NONE))
        assert (bright - light).square().mean() < (dark - light).square().mean() / 2
        assert 0.3 < bright.mean() < 0.7


def test_strips_are_as_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    y = draw(1, 3, 40, 9)
    whole = ZeroDCE()(Problem(y), NONE)
    monkeypatch.setattr(zero_dce, "_STRIP", 9 * 11)
    torch.testing.assert_close(ZeroDCE()(Problem(y), NONE), whole)


@pytest.mark.parametrize("shape", [(3, 1, 1), (3, 5, 7), (1, 5, 7)])
def test_laws(shape: tuple[int, ...]) -> None:
    y = draw(2, *shape)
    before, chance = y.clone(), torch.get_rng_state()
    out = ZeroDCE()(Problem(y), NONE, seed=3)
    assert out.shape == y.shape
    assert torch.equal(y, before)
    assert torch.equal(torch.get_rng_state(), chance)
    assert torch.equal(out, ZeroDCE()(Problem(y), NONE, seed=4))
    assert torch.equal(out[1:], ZeroDCE()(Problem(y[1:]), NONE))
    *_, state = ZeroDCE().iterate(Problem(y), NONE, Streams([0, 1]))
    assert (state.step, state.total, state.nfe) == (1, 1, ZeroDCE().nfe(NONE)) == (1, 1, 0)


def test_grey_is_three_equal_channels() -> None:
    y = draw(1, 1, 5, 6)
    colour = ZeroDCE()(Problem(y.expand(-1, 3, -1, -1)), NONE)
    torch.testing.assert_close(ZeroDCE()(Problem(y), NONE), colour.mean(1, keepdim=True))
    with pytest.raises(UsageError, match="1 or 3 channels"):
        ZeroDCE()(Problem(draw(1, 2, 4, 4)), NONE)
    with pytest.raises(UsageError, match="blind"):
        ZeroDCE()(Problem(y, Denoise(), 0.1), NONE)


def test_the_authors_weights_are_read_with_their_sign(tmp_path: Path) -> None:
    own = random_weights()
    released = {}
    for name, value in own.items():
        _, layer, kind = name.split(".")
        released[f"e_conv{int(layer) + 1}.{kind}"] = -value if layer == "6" else value
    torch.save(released, tmp_path / "Epoch99.pth")
    save_file(own, tmp_path / "own.safetensors")
    y = Problem(draw(1, 3, 6, 6))
    assert torch.equal(
        ZeroDCE(model=tmp_path / "Epoch99.pth")(y, NONE), ZeroDCE(model=tmp_path / "own.safetensors")(y, NONE)
    )


def test_what_is_wrong_is_said_in_a_line(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    (tmp_path / "text.pth").write_text("no weights")
    broken = random_weights()
    broken["layers.6.bias"][0] = float("nan")
    save_file(broken, tmp_path / "nan.safetensors")
    for name, says in (
        ("none.safetensors", "cannot be read"),
        ("text.pth", "cannot be read"),
        ("other.safetensors", "holds no weights of Zero-DCE"),
        ("nan.safetensors", "not finite"),
    ):
        with pytest.raises(PellucidError, match=says) as caught:
            ZeroDCE(model=tmp_path / name)(Problem(draw(1, 3, 4, 4)), NONE)
        assert name in str(caught.value)
        assert "\n" not in str(caught.value)
