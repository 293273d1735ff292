"""Models of the Hugging Face hub, by `owner/name` or `owner/name@revision`: the one place that opens a connection.

What was fetched lies in the hub library's cache, and a file is there under its name only when it is whole. Fetched are
descriptions and weights alone, never code.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ..errors import PellucidError, UsageError
from . import folder, stable, tensors

_ID = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(@(?P<revision>[\w./-]+))?")
# The names under which the hub's libraries keep weights; what else is there is a variant, or of another program.
_TEXTS = ("*config.json", "model_index.json")
_SAFE = (
    "diffusion_pytorch_model.safetensors",
    "diffusion_pytorch_model-*-of-*.safetensors",
    "model.safetensors",
)
_OLD = ("diffusion_pytorch_model.bin",)
# What Stable Diffusion reads texts with.
_READERS = ("text_encoder*/model.safetensors", "tokenizer*/*.json", "tokenizer*/*.txt")
_FILES = (*tensors.SUFFIXES, *tensors.PICKLES, ".onnx")


def is_id(source: str) -> bool:
    """Whether a text names a model of the hub; one that could be a file's name here does not.

    Args:
        source: what is no file and no folder.
    """
    # A slip in the name of something in a folder here must not become a question to a stranger.
    here = source.lower().endswith(_FILES) or Path(source).parent.exists()
    return _ID.fullmatch(source) is not None and not here


def fetch(source: str, *, texts: bool = False, offline: bool = False) -> Path:
    """Fetches a model, or finds it in the cache.

    Args:
        source: `owner/name` or `owner/name@revision`, a branch, a tag or a commit.
        texts: whether what reads texts is fetched in any case, and not only where even no text must be read.
        offline: whether the cache alone is looked into; the environment's HF_HUB_OFFLINE asks for that, too.

    Returns:
        Its folder in the cache.

    Raises:
        UsageError: there is no such model or revision.
        PellucidError: it cannot be had, or not the whole of it.
    """
    found = _ID.fullmatch(source)
    assert found is not None
    name, revision = found["name"], found["revision"]
    place = _snapshot(source, name, revision, offline, _in_parts(_SAFE))
    if not any(path.suffix == ".safetensors" for path in folder.root_of(place).iterdir()):
        place = _snapshot(source, name, revision, offline, _in_parts(_OLD))
    if stable.matches(place) and (texts or not stable.forces_zeros(place)):
        place = _snapshot(source, name, revision, offline, _READERS)
    return place


def _in_parts(weights: tuple[str, ...]) -> tuple[str, ...]:
    """Weights of a network that lies by itself, or beside an autoencoder."""
    return tuple(f"{part}{own}" for own in weights for part in ("", "unet/", "vae/"))


def _snapshot(source: str, name: str, revision: str | None, offline: bool, weights: tuple[str, ...]) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )
    from huggingface_hub.utils.tqdm import tqdm

    class Bar(tqdm):
        """Shows nothing where there is no terminal, as all of the library's other bars."""

        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **({"disable": None} | options))  # type: ignore[no-untyped-call]

    wanted = [*_TEXTS, *weights]
    try:
        return Path(
            snapshot_download(name, revision=revision, allow_patterns=wanted, local_files_only=offline, tqdm_class=Bar)
        )
    except GatedRepoError:
        raise PellucidError(
            f"{source}: is gated; accept its terms on the hub, then log in with `hf auth login`"
        ) from None
    except RevisionNotFoundError:
        raise UsageError(f"{source}: the hub's {name} has no such revision") from None
    except (RepositoryNotFoundError, HFValidationError):
        raise UsageError(f"{source}: there is no such file or folder here, and no such model on the hub") from None
    except LocalEntryNotFoundError as error:
        raise PellucidError(f"{source}: {_missing(offline, error)}") from None
    # Whatever a network does to a download.
    except Exception as error:
        first = (str(error) or type(error).__name__).partition("\n")[0]
        raise PellucidError(f"{source}: could not be fetched ({first})") from None


def _missing(offline: bool, error: Exception) -> str:
    from huggingface_hub.constants import HF_HUB_OFFLINE

    if offline or HF_HUB_OFFLINE:
        return "is not, or not wholly, in the cache, and nothing is fetched offline"
    return f"the hub cannot be reached, and not all of it is in the cache ({type(error.__cause__ or error).__name__})"
