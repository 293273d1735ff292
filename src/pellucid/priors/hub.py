"""Models of the Hugging Face hub, by `owner/name` or `owner/name@revision`: the only code that opens a connection.

Downloads are in the hub library's cache, where a file has its name only when it is complete. Only descriptions and
weights are downloaded, never code.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import PellucidError, UsageError
from . import folder, mmdit, stable, tensors

_ID = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(@(?P<revision>[\w./-]+))?")
_TEXTS = ("*config.json", "model_index.json")
_TOKENIZERS = ("tokenizer*/*.json", "tokenizer*/*.txt")
# The names under which the hub's libraries keep weights, by preference; what else is there is of another program.
_WEIGHTS = (
    (
        "diffusion_pytorch_model.safetensors",
        "diffusion_pytorch_model-*-of-*.safetensors",
        "model.safetensors",
        "model-*-of-*.safetensors",
    ),
    ("diffusion_pytorch_model.bin", "pytorch_model.bin"),
    (
        "diffusion_pytorch_model.fp16.safetensors",
        "diffusion_pytorch_model.fp16-*-of-*.safetensors",
        "model.fp16.safetensors",
    ),
)
_FILES = (*tensors.SUFFIXES, *tensors.PICKLES, ".onnx")


def is_id(source: str) -> bool:
    """True if a text names a model of the hub; false if it could be a local file name.

    Args:
        source: a text that is no file and no folder.
    """
    # A slip in the name of something in a folder here must not become a question to a stranger.
    here = _is_file(source) or Path(source).parent.exists()
    return _ID.fullmatch(source) is not None and not here


def is_path(source: str) -> bool:
    """True if a text has a file's suffix, or a separator, so that it is no prior's name."""
    return _is_file(source) or len(Path(source).parts) > 1


def _is_file(source: str) -> bool:
    return source.lower().endswith(_FILES)


def fetch(source: str, *, texts: bool = False, offline: bool = False) -> Path:
    """Downloads a model, or finds it in the cache.

    Args:
        source: `owner/name` or `owner/name@revision`, a branch, a tag or a commit.
        texts: whether to download text encoders in any case, not only if the model needs them without a text.
        offline: whether to use only the cache; the environment variable HF_HUB_OFFLINE has the same effect.

    Returns:
        Its folder in the cache.

    Raises:
        UsageError: unknown model or revision.
        PellucidError: the model cannot be downloaded completely.
    """
    found = _ID.fullmatch(source)
    assert found is not None
    name = found["name"]
    place = _snapshot(source, name, found["revision"], offline, _TEXTS)
    # Of the commit that was found, even where a branch moves on meanwhile.
    commit, parts = place.name, _parts(place, texts)
    if any(part.startswith("text_encoder") for part in parts):
        _snapshot(source, name, commit, offline, _TOKENIZERS)
    for names in _WEIGHTS:
        lacking = [part for part in parts if _problem(place / part)]
        if lacking:
            wanted = [f"{part}/{own}".removeprefix("./") for part in lacking for own in names]
            _snapshot(source, name, commit, offline, (*_TEXTS, *wanted))
    for part in parts:
        problem = _problem(place / part)
        if problem:
            raise PellucidError(f"{source}: {_NOT_CACHED if _offline(offline) else 'is not whole'} ({part}: {problem})")
    return place


def _parts(place: Path, texts: bool) -> list[str]:
    """Subfolders of a model with weights, "." for the model's folder, by its descriptions alone."""
    if mmdit.matches(place):
        return ["transformer", "vae"]
    if not stable.matches(place):
        root = folder.root_of(place)
        # A network of latents alone is refused by its description: nothing of its gigabytes is fetched.
        alone = root != place and folder.read_json(root / "config.json").get("_class_name") == "UNet2DConditionModel"
        return [] if alone else [root.name if root != place else "."]
    readers = sorted(path.name for path in place.glob("text_encoder*") if path.is_dir())
    return ["unet", "vae", *(readers if texts or not stable.forces_zeros(place) else [])]


def _problem(place: Path) -> str:
    """Describes the fault of the weights in a folder; "" if they are complete."""
    try:
        folder.weight_files(place)
    except PellucidError as error:
        return str(error).removeprefix(f"{place}: ")
    return ""


def _snapshot(source: str, name: str, revision: str | None, offline: bool, wanted: Sequence[str]) -> Path:
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
        """A progress bar that stays hidden without a terminal, like all other bars of the library."""

        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **({"disable": None} | options))  # type: ignore[no-untyped-call]

    try:
        return Path(
            snapshot_download(
                name, revision=revision, allow_patterns=list(wanted), local_files_only=offline, tqdm_class=Bar
            )
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


_NOT_CACHED = "is not, or not wholly, in the cache, and nothing is fetched offline"


def _offline(asked: bool) -> bool:
    from huggingface_hub.constants import HF_HUB_OFFLINE

    return asked or HF_HUB_OFFLINE


def _missing(offline: bool, error: Exception) -> str:
    if _offline(offline):
        return _NOT_CACHED
    return f"the hub cannot be reached, and not all of it is in the cache ({type(error.__cause__ or error).__name__})"
