from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from pellucid.errors import PellucidError
from pellucid.priors import Latent, conditioning, load_prior


def network(folder: Path, **options: Any) -> Any:
    prior = load_prior(folder, **options)
    assert isinstance(prior, Latent)
    return prior.network


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_texts_are_read(
    tiny_sd: Path,
    tiny_sdxl: Path,
    tmp_path: Path,
    write_text: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    sd, xl = (Path(shutil.copytree(folder, tmp_path / folder.name)) for folder in (tiny_sd, tiny_sdxl))
    write_text(sd, False)
    write_text(xl, True)
    empty, prompted = network(sd), network(sd, prompt="a b")
    assert empty.text.shape == prompted.text.shape == (1, 77, 16)
    assert empty.text.any()
    assert not torch.equal(empty.text, prompted.text)
    assert torch.equal(network(sd, prompt="").text, empty.text)
    assert not caplog.messages
    assert network(sd, prompt="a " * 100) is not None
    assert "longer than the 77 tokens" in caplog.messages[0]

    plain, prompted = network(xl), network(xl, prompt="a b")
    assert not plain.text.any()
    assert not plain.pooled.any()
    assert prompted.text.shape == (1, 77, 16)
    assert prompted.text.any()
    assert prompted.pooled.any()

    shutil.rmtree(sd / "text_encoder")
    shutil.rmtree(sd / "tokenizer")
    write_text(sd, False, width=24)
    with pytest.raises(PellucidError, match="make 24 numbers of a token, its network takes 16"):
        load_prior(sd)


def test_without_transformers(tiny_sd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(shutil.copytree(tiny_sd, tmp_path / "model"))
    for part in ("text_encoder", "tokenizer"):
        (folder / part).mkdir()
    monkeypatch.setitem(sys.modules, "transformers", None)
    assert not network(folder).text.any()
    with pytest.raises(PellucidError, match=r'pip install "pellucid\[latent\]"'):
        load_prior(folder, prompt="a cat")


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_the_text_encoder_of_a_single_file() -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.CLIPTextConfig(
        vocab_size=6,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=1,
        bos_token_id=4,
        eos_token_id=5,
    )
    model = transformers.CLIPTextModel(config).eval()
    names = {name.removeprefix("text_model."): tensor for name, tensor in model.state_dict().items()}
    weights = {f"cond_stage_model.transformer.text_model.{name}": tensor for name, tensor in names.items()}
    told = conditioning.of_file(weights, {"cross_attention_dim": 16})
    with torch.no_grad():
        expected = model(torch.tensor([[4] + [5] * 76])).last_hidden_state
    torch.testing.assert_close(told.text, expected)
    assert told.note == ""
    lacking = {name: tensor for name, tensor in weights.items() if "layers.1.mlp.fc2.bias" not in name}
    with pytest.raises(PellucidError, match="its text encoder cannot be read"):
        conditioning.of_file(lacking, {"cross_attention_dim": 16})
