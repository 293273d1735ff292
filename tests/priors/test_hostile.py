"""Priors of strangers whose own numbers ask for the impossible: each is one line, at once."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from pellucid.errors import PellucidError
from pellucid.priors import VENetwork, VPNetwork, checkpoint, limits, load_prior, tensors
from pellucid.priors.ddpm import DDPMConfig, DDPMUNet
from pellucid.priors.guided import GuidedConfig, GuidedUNet
from pellucid.priors.network import DenoisingUNet, UNetConfig


def refused(place: Path, says: str) -> None:
    with pytest.raises(PellucidError, match=says) as caught:
        load_prior(place)
    assert "\n" not in str(caught.value)
    assert str(place) in str(caught.value)


OWN = UNetConfig(patch=2, widths=(4, 8), blocks=(1, 1), embedding=4)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder of the package's own network."""
    place = tmp_path / "own"
    place.mkdir()
    (place / "config.json").write_text(json.dumps(OWN.to_json()))
    network = DenoisingUNet(OWN)
    torch.nn.init.normal_(network.tail.weight)
    save_file(network.state_dict(), place / "model.safetensors")
    return place


def changed(place: Path, **fields: Any) -> None:
    (place / "config.json").write_text(json.dumps(OWN.to_json() | fields))


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"blocks": [10**8] * 2}, "more tensors than the"),
        ({"channels": 10**6}, "wrong shape"),
        ({"patch": 1000}, "sides that divide by 2000; 1024 at most"),
        ({"widths": [50000, 50000]}, "wrong shape"),
        ({"widths": [10**12, 10**12]}, "config.json"),
        ({"widths": [1] * 200, "blocks": [1] * 200}, "more tensors than the"),
        ({"sigma_data": 1e308}, "sigma_data is a number from 0.001 to 1000"),
        ({"sigma_data": "x"}, "sigma_data is a number from 0.001 to 1000"),
        ({"channels": 0}, "above 0"),
    ],
)
def test_numbers_of_the_packages_own_network(own: Path, fields: dict[str, Any], says: str) -> None:
    changed(own, **fields)
    refused(own, says)


DIFFUSERS: dict[str, Any] = {
    "_class_name": "UNet2DModel",
    "in_channels": 3,
    "out_channels": 3,
    "block_out_channels": [8, 16],
    "down_block_types": ["DownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "UpBlock2D"],
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "add_attention": False,
}


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    from diffusers import UNet2DModel

    model: Any = UNet2DModel.from_config(dict(DIFFUSERS))
    return dict(model.state_dict())


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"layers_per_block": 10**8}, "more tensors than the"),
        ({"block_out_channels": [10**8] * 2}, "does not fit its config"),
        ({"patch_size": 0}, "patch_size must be from 1 to 1024, not 0"),
        ({"patch_size": 1000}, "are no squares of 1000 x 1000 pixels"),
        ({"in_channels": 6}, "makes 3 channels of 6"),
        ({"out_channels": 6, "in_channels": 1}, "makes 6 channels of 1"),
        ({"attention_head_dim": 0, "add_attention": True}, "does not describe a network"),
        ({"norm_num_groups": 0}, "does not describe a network"),
        ({"block_out_channels": 7}, "does not describe a network"),
    ],
)
def test_numbers_of_a_network_of_diffusers(
    weights: dict[str, torch.Tensor], fields: dict[str, Any], says: str, tmp_path: Path
) -> None:
    save_file(weights, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(DIFFUSERS | fields))
    (tmp_path / "scheduler_config.json").write_text(json.dumps({"_class_name": "DDPMScheduler"}))
    refused(tmp_path, says)


@pytest.mark.parametrize("kind", [torch.int32, torch.int8, torch.bool])
def test_whole_numbers_are_no_weights(own: Path, kind: torch.dtype) -> None:
    state = DenoisingUNet(OWN).state_dict()
    save_file({name: weight.to(kind) for name, weight in state.items()}, own / "model.safetensors")
    refused(own, "numbers of another kind for")


def test_eight_bit_floats_are_weights(own: Path) -> None:
    state = DenoisingUNet(OWN).state_dict()
    save_file({name: weight.to(torch.float8_e4m3fn) for name, weight in state.items()}, own / "model.safetensors")
    prior = load_prior(own)
    assert isinstance(prior, VENetwork)
    assert {weight.dtype for weight in prior.network.parameters()} == {torch.float32}  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipes_and_devices_are_not_waited_for(own: Path, name: str) -> None:
    (own / name).unlink()
    os.mkfifo(own / name)
    refused(own, "is no regular file")
    (own / name).unlink()
    (own / name).symlink_to("/dev/zero")
    refused(own, "is no regular file")


def test_descriptions_are_bounded(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (own / "config.json").write_text("[" * 200_000)
    refused(own, "nested too deeply")
    (own / "config.json").write_text('{"sigma_data": Infinity}')
    refused(own, "Infinity is no number")
    (own / "config.json").write_bytes(b"\xff\xfe")
    refused(own, "is no text in UTF-8")
    changed(own)
    monkeypatch.setattr(limits, "TEXT", 10)
    refused(own, "bytes; 10 at most are read")


# --- files of tensors ---


def test_shared_and_cyclic_containers_are_walked_once(tmp_path: Path) -> None:
    shared: dict[str, Any] = {"w": torch.zeros(1)}
    for _ in range(60):
        shared = {"a": shared, "b": shared}
    assert [place for place, _ in tensors.states(shared)] == [".".join("a" * 60)]
    cyclic: dict[str, Any] = {"w": torch.zeros(1)}
    cyclic["self"] = cyclic
    assert [place for place, _ in tensors.states(cyclic)] == [""]
    torch.save(cyclic, tmp_path / "model.pt")
    refused(tmp_path / "model.pt", "holds no network that is known here")


def test_containers_are_bounded() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(PellucidError, match="containers in containers"):
        list(tensors.states(deep))


def test_an_archive_does_not_unfold_to_more_than_itself(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\0" * 10_000_000)
        archive.writestr("archive/version", b"3")
    refused(path, "expands beyond its size")


@pytest.mark.parametrize(
    ("weight", "says"),
    [
        (torch.zeros(3, 3).to_sparse(), "sparse or quantised"),
        (torch.zeros(3, 3, device="meta"), "without numbers"),
        (torch.zeros(1).expand(2**31), "far more than is stored"),
    ],
)
def test_tensors_are_what_their_shapes_say(weight: torch.Tensor, says: str, tmp_path: Path) -> None:
    torch.save({"w": weight}, tmp_path / "model.pt")
    refused(tmp_path / "model.pt", says)


def test_names_do_not_make_a_network_deep(tmp_path: Path) -> None:
    deep = {
        "temb.dense.0.weight": torch.zeros(128, 32),
        "conv_in.weight": torch.zeros(32, 3, 3, 3),
        "conv_out.weight": torch.zeros(3, 32, 3, 3),
        "down.0.block.0.conv1.weight": torch.zeros(32, 32, 3, 3),
        "down.0.block.100000000.conv1.weight": torch.zeros(1),
    }
    save_file(deep, tmp_path / "model.safetensors")
    refused(tmp_path / "model.safetensors", "more tensors than the 5 that its weights are")


# --- what training codes put before names ---


@pytest.mark.parametrize("prefix", ["model.", "ema_model.module.", "denoise_fn.", "module.net.", "_orig_mod."])
@pytest.mark.parametrize("family", ["guided", "ddpm"])
def test_common_prefixes_are_stripped(prefix: str, family: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = (
        GuidedUNet(GuidedConfig(32, (64,), 1, ())) if family == "guided" else DDPMUNet(DDPMConfig(32, (32,), 1, ()))
    )
    state = {f"{prefix}{name}": weight for name, weight in network.eval().state_dict().items()}
    torch.save(state | {"step": torch.zeros(1)}, tmp_path / "model.pt")
    prior = checkpoint.load(tmp_path / "model.pt")
    assert isinstance(prior, VPNetwork)
    x, t = torch.ones(1, 3, 8, 8), torch.tensor([3.0])
    with torch.no_grad():
        assert torch.equal(prior.network(x, t), network(x, t))


def test_an_average_beside_the_weights_goes_first(tmp_path: Path) -> None:
    torch.manual_seed(0)
    plain, average = (DDPMUNet(DDPMConfig(32, (32,), 1, ())).eval() for _ in range(2))
    state = {f"model.{name}": weight for name, weight in plain.state_dict().items()}
    state |= {f"model_ema.{name}": weight for name, weight in average.state_dict().items()}
    torch.save(state, tmp_path / "model.pt")
    prior = checkpoint.load(tmp_path / "model.pt")
    assert isinstance(prior, VPNetwork)
    with torch.no_grad():
        x, t = torch.ones(1, 3, 8, 8), torch.tensor([3.0])
        assert torch.equal(prior.network(x, t), average(x, t))


def test_an_average_in_a_folder_is_taken_and_said(
    weights: dict[str, torch.Tensor], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name, factor in (("unet", 1.0), ("unet_ema", 0.5)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps(DIFFUSERS))
        save_file({key: factor * weight for key, weight in weights.items()}, tmp_path / name / "model.safetensors")
    (tmp_path / "scheduler").mkdir()
    (tmp_path / "scheduler" / "scheduler_config.json").write_text(json.dumps({"_class_name": "DDPMScheduler"}))
    x = torch.ones(1, 3, 8, 8)
    taken = load_prior(tmp_path)(x, 0.5)
    assert "the average in unet_ema/ is used" in caplog.text
    assert torch.equal(taken, load_prior(tmp_path / "unet_ema")(x, 0.5))
    assert not torch.equal(taken, load_prior(tmp_path / "unet")(x, 0.5))


# --- what the caller has on ---


def test_a_callers_autocast_changes_nothing(own: Path) -> None:
    import pellucid

    prior, x = load_prior(own), torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    expected, whole = prior(x, 0.5), pellucid.restore(x, "denoise", prior=prior, seed=1)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(prior(x, 0.5), expected)
        assert torch.equal(pellucid.restore(x, "denoise", prior=prior, seed=1), whole)
        asked = load_prior(own, precision="bfloat16")(x, 0.5)
    assert torch.equal(asked, load_prior(own, precision="bfloat16")(x, 0.5))
    assert not torch.equal(asked, expected)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\x80\x02cbuiltins\nbytearray\nJ\xff\xff\xff\x7f\x85R.", "builtins.bytearray would be run"),
        (b"\x80\x02" + b"(" * 10_000 + b".", "deeper than any training writes"),
        (b"\x80\x02X\x08\x00\x00\x00punycode.", "punycode would be run"),
    ],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_a_small_index_asks_for_little(tmp_path: Path, content: bytes, says: str, zipped: bool) -> None:
    place = tmp_path / "a.pt"
    place.write_bytes(content)
    if zipped:
        with zipfile.ZipFile(place, "w") as archive:
            archive.writestr("a/data.pkl", content)
    refused(place, says)


def test_tensors_are_counted_before_they_are_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_file({str(number): torch.zeros(1) for number in range(9)}, tmp_path / "a.safetensors")
    monkeypatch.setattr(limits, "TENSORS", 8)
    monkeypatch.setattr("safetensors.torch.load_file", None)
    refused(tmp_path / "a.safetensors", "more than 8 tensors")


def test_a_folder_for_weights_is_no_file(own: Path) -> None:
    (own / "model.safetensors").unlink()
    (own / "model.safetensors").mkdir()
    refused(own, "is no regular file")


def test_names_of_tensors_command_no_terminal(tmp_path: Path) -> None:
    save_file({"\x1b[31m\n": torch.zeros(1)}, tmp_path / "a.safetensors")
    refused(tmp_path / "a.safetensors", r"its tensors: '\\x1b\[31m\\n'")
