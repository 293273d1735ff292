"""Text encoders in single files: what they make of no text is what the same weights make of it in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from pellucid.errors import PellucidError
from pellucid.priors import texts

transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def clip(layers: int, activation: str, projection: int = 0) -> Any:
    """A random encoder of seven tokens."""
    torch.manual_seed(0)
    config = transformers.CLIPTextConfig(
        vocab_size=7,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=layers,
        num_attention_heads=1,
        hidden_act=activation,
        bos_token_id=5,
        eos_token_id=6,
        **({"projection_dim": projection} if projection else {}),
    )
    kind = transformers.CLIPTextModelWithProjection if projection else transformers.CLIPTextModel
    model = kind(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(std=0.2)
    return model


def weights_of(model: Any, prefix: str) -> dict[str, Tensor]:
    """By the names that OpenAI's encoder has in single files."""
    names = {name.removeprefix("text_model."): weight for name, weight in model.state_dict().items()}
    return {f"{prefix}text_model.{name}": weight for name, weight in names.items()}


def test_that_of_stable_diffusion_1() -> None:
    model = clip(2, "quick_gelu")
    file = weights_of(model, "cond_stage_model.transformer.")
    old = {name.replace("text_model.", ""): weight for name, weight in file.items()}
    old["cond_stage_model.transformer.embeddings.position_ids"] = torch.arange(77)
    for tensors in (file, old):
        (found,) = texts.in_file(tensors)
        ids = torch.tensor([[5] + [6] * 76])
        assert torch.equal(found.no_text(), ids)
        with torch.no_grad():
            torch.testing.assert_close(found.model()(ids).last_hidden_state, model(ids).last_hidden_state)


def test_that_of_stable_diffusion_2_stops_before_its_last_layer(original: Any) -> None:
    whole = clip(3, "gelu", projection=16)
    file = {f"cond_stage_model.model.{k}": v for k, v in original.openclip(whole.state_dict()).items()}
    (found,) = texts.in_file(file)
    ids = torch.tensor([[5, 6] + [0] * 75])
    assert found.kind == "CLIPTextModel"
    assert torch.equal(found.no_text(), ids)
    with torch.no_grad():
        inner = whole.text_model
        expected = inner.final_layer_norm(whole(ids, output_hidden_states=True).hidden_states[-2])
        torch.testing.assert_close(found.model()(ids).last_hidden_state, expected)


def test_those_of_sdxl(original: Any) -> None:
    one, two = clip(2, "quick_gelu"), clip(2, "gelu", projection=12)
    file = weights_of(one, "conditioner.embedders.0.transformer.")
    file |= {f"conditioner.embedders.1.model.{k}": v for k, v in original.openclip(two.state_dict()).items()}
    found = texts.in_file(file)
    assert [encoder.kind for encoder in found] == ["CLIPTextModel", "CLIPTextModelWithProjection"]
    for encoder, model in zip(found, (one, two), strict=True):
        ids = encoder.no_text()
        with torch.no_grad():
            mine, its = (m(ids, output_hidden_states=True) for m in (encoder.model(), model))
        torch.testing.assert_close(mine.hidden_states[-2], its.hidden_states[-2])
        if model is two:
            assert mine.text_embeds.shape == (1, 12)
            torch.testing.assert_close(mine.text_embeds, its.text_embeds)


def test_the_published_shapes_have_the_published_heads() -> None:
    """Of the encoders at full width, from shapes alone."""
    for width, heads in ((768, 12), (1024, 16), (1280, 20)):
        config = transformers.CLIPTextConfig(hidden_size=width, num_hidden_layers=1, num_attention_heads=heads)
        with torch.device("meta"):
            model = transformers.CLIPTextModel(config)
        (found,) = texts.in_file(weights_of(model, "cond_stage_model.transformer."))
        assert (found.config["num_attention_heads"], found.config["vocab_size"]) == (heads, 49408)
        assert found.no_text()[0, :3].tolist() == [49406, 49407, 49407]


def test_what_is_damaged_is_one_line() -> None:
    file = weights_of(clip(1, "quick_gelu"), "cond_stage_model.transformer.")
    name = "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight"
    with pytest.raises(PellucidError, match="its text encoder cannot be read"):
        texts.in_file({key: weight for key, weight in file.items() if key != name})
    with pytest.raises(PellucidError, match="its text encoder cannot be read"):
        texts.in_file({"cond_stage_model.model.logit_scale": torch.ones(())})
    lacking = {key: weight for key, weight in file.items() if "fc2.bias" not in key}
    with pytest.raises(PellucidError, match=r"it lacks .*mlp\.fc2\.bias"):
        texts.in_file(lacking)[0].model()
    assert texts.in_file({"model.diffusion_model.out.2.bias": torch.ones(1)}) == []


def test_a_folder_in_half_precision_alone_or_as_a_pickle_of_tensors(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    model = clip(1, "quick_gelu")
    model.config.save_pretrained(tmp_path)
    weights = weights_of(model, "")
    save_file({name: weight.half() for name, weight in weights.items()}, tmp_path / "model.fp16.safetensors")
    ids = torch.tensor([[5] + [6] * 76])
    with torch.no_grad():
        half = texts.in_folder(tmp_path).model()(ids).last_hidden_state
        (tmp_path / "model.fp16.safetensors").unlink()
        torch.save(weights, tmp_path / "pytorch_model.bin")
        full = texts.in_folder(tmp_path).model()(ids).last_hidden_state
        torch.testing.assert_close(full, model(ids).last_hidden_state)
        torch.testing.assert_close(half, full, atol=1e-2, rtol=1e-2)
    assert not torch.equal(half, full)
