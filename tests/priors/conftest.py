"""What several tests of priors need: text encoders, and the layout of single files."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch


def write_text(folder: Path, xl: bool, width: int = 16) -> None:
    """Random CLIP text encoders, as a published folder has them, and a tokenizer of six letters."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    letters = ["<|startoftext|>", "<|endoftext|>", "a</w>", "b</w>", "a", "b"]
    for i in range(1 + xl):
        after = "_2" if i else ""
        config = transformers.CLIPTextConfig(
            vocab_size=6,
            hidden_size=width // (1 + xl),
            intermediate_size=16,
            num_hidden_layers=2,
            num_attention_heads=1,
            hidden_act="gelu" if i else "quick_gelu",
            projection_dim=16,
            bos_token_id=0,
            eos_token_id=1,
        )
        kind = transformers.CLIPTextModelWithProjection if i else transformers.CLIPTextModel
        kind(config).save_pretrained(folder / f"text_encoder{after}")
        tokenizer = folder / f"tokenizer{after}"
        tokenizer.mkdir()
        (tokenizer / "vocab.json").write_text(json.dumps({letter: n for n, letter in enumerate(letters)}))
        (tokenizer / "merges.txt").write_text("#version: 0.2\n")
        (tokenizer / "tokenizer_config.json").write_text(
            json.dumps({"tokenizer_class": "CLIPTokenizer", "unk_token": "<|endoftext|>"})
        )


@pytest.fixture(scope="session", name="write_text")
def _write_text() -> Callable[..., None]:
    return write_text


@pytest.fixture(scope="session")
def original() -> Any:
    """The module `original_layout`."""
    spec = importlib.util.spec_from_file_location("original_layout", Path(__file__).parent / "original_layout.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
