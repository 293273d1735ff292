"""Loading a prior from the name that a person gives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import torch
from torch import Tensor, nn

from ..errors import PellucidError, UsageError, unknown_name
from ..support.allocation import keep_freed
from ..support.settings import imported
from . import denoisers, embedded, folder
from .backends import accelerated, as_given
from .latent import latent_of
from .prior import Prior

Source: TypeAlias = str | Path | Prior | Callable[..., Tensor]
"""Argument of `load_prior`."""

# Parts of models that people may name for the whole.
_PARTS = {
    "UNet2DConditionModel": "a network of latents: name the folder that also holds its vae/",
    "Autoencoder": "an autoencoder, which makes no images out of noise",
    "VQModel": "an autoencoder, which makes no images out of noise",
    "Text": "a model of text",
}


def load_prior(
    source: Source,
    device: str | torch.device = "cpu",
    *,
    label: int | None = None,
    prompt: str | None = None,
    offline: bool = False,
    backend: str = "torch",
    precision: str = "float32",
) -> Prior:
    """Loads a prior; its network's weights are frozen, and the process keeps freed memory: see `keep_freed`.

    Args:
        source: the name of an embedded prior ("natural"), a folder, a checkpoint, a model of the hub, MODULE:OBJECT, or
            a Python object. A folder comes from `pellucid train`, from `priors convert`, or from the diffusers library
            with a `UNet2DModel`. A checkpoint is a file of guided-diffusion or DDPM: see `checkpoint.load`. Folders and
            files of Stable Diffusion and SDXL become a `Latent`. A model of the hub is `owner/name` or
            `owner/name@revision` if no such path exists; nothing else opens a connection. MODULE:OBJECT names an object
            of an installed module, FILE.py:OBJECT one of a file; its code runs. An object is a prior, which is returned
            unchanged; a denoiser, `D(x, sigma)` or `f(x)`; or a model of diffusers or azula: see
            `denoisers.recognised`.
        device: device of its network, such as "cpu", "cuda" or "cuda:1"; an object stays on its device.
        label: the class of the images, from 0, for a class-conditional network. Without one, networks of
            guided-diffusion and diffusers get the mean of their classes' embeddings; those of EDM get none.
        prompt: description of the picture, for Stable Diffusion and SDXL, which were trained with texts; None for none.
        offline: whether to take a model of the hub only from the cache, as with HF_HUB_OFFLINE.
        backend: backend of its network, "auto", "torch", "compile" or "openvino"; see `accelerated`.
        precision: precision of its network, "auto", "float32", "bfloat16" or "float16"; likewise. With "auto" an object
            stays unchanged.

    Raises:
        UsageError: unknown prior, folder, file, model or object; an object that is no denoiser; a prompt for a prior
            without texts; or an impossible backend or precision.
        PellucidError: the folder or file has no complete prior, or no such class; or the hub cannot be reached.

    Example:
        >>> prior = priors.load_prior("natural")
        >>> prior(torch.zeros(1, 3, 16, 16), 0.1).shape
        torch.Size([1, 3, 16, 16])
    """
    keep_freed()
    if not isinstance(source, str | Path):
        prior = denoisers.recognised(source, label)
    elif is_object(source):
        prior = _moved(denoisers.recognised(imported(str(source)), label), torch.device(device))
    else:
        place = locate(source, texts=prompt is not None, offline=offline)
        prior = _load(place, torch.device(device), label, prompt)
    if prompt is not None and (not isinstance(source, str | Path) or latent_of(prior) is None):
        raise UsageError("a prompt goes with the folder or file of a model that reads texts: leave it out")
    if not isinstance(source, str | Path):
        backend, precision = as_given(backend, precision)
    return accelerated(prior, backend, precision)


def _load(place: Path, device: torch.device, label: int | None, prompt: str | None) -> Prior:
    load: Callable[..., Prior]
    if place.is_file():
        from . import checkpoint

        load, fault = checkpoint.load, "its tensors do not make a network"
    else:
        load, fault = _load_folder, "its config.json does not describe a network"
    try:
        return load(place, device, label=label, prompt=prompt)
    except PellucidError:
        raise
    # Nonsense that is well written: whatever it breaks, it is the file or folder that is at fault.
    except Exception as error:
        told = " ".join(repr(error).split())
        raise PellucidError(f"{place}: {fault} ({told if len(told) < 200 else told[:200] + ' ...'})") from error


def is_object(source: Source) -> bool:
    """True if a text is MODULE:OBJECT and no file's name."""
    return isinstance(source, str) and ":" in source and not Path(source).exists()


def locate(source: str | Path, *, texts: bool = False, offline: bool = False) -> Path:
    """Finds the file or folder of a prior, in the hub's cache after a download if necessary.

    Args:
        source: its name.
        texts: whether text encoders are needed, too; see `hub.fetch`.
        offline: whether to use only the cache.

    Raises:
        UsageError: unknown prior.
        PellucidError: the download failed.
    """
    if not str(source):
        raise UsageError("the name of the prior is empty: is a variable of the shell not set?")
    if source in embedded.names():
        return embedded.folder_of(str(source))
    if Path(source).exists():
        return Path(source)

    from . import hub

    if isinstance(source, str) and hub.is_id(source):
        return hub.fetch(source, texts=texts, offline=offline)
    if hub.is_path(str(source)):
        raise UsageError(f"{source}: there is no such file or folder of a prior")
    raise unknown_name("prior", str(source), embedded.names())


def _load_folder(place: Path, device: torch.device, *, label: int | None, prompt: str | None) -> Prior:
    from . import families, native, network

    if (latent := families.latent_family_of(place)) is not None:
        return latent.load(place, device, label, prompt)
    folder.said_average(place)
    root = folder.root_of(place)
    config = folder.read_json(root / "config.json")
    family = families.named(config.get("_class_name"))
    if family is not None and family is not network.FAMILY:
        return family.load(place, device, label) if family.load else native.load(family, place, device, label)
    name = str(config.get("_class_name") or config.get("architectures"))
    for part, what in _PARTS.items():
        if part in name:
            raise PellucidError(f"{place}: holds a {name}, {what}; a prior is a whole diffusion model")
    # The package's own says of another network that there is none such.
    assert network.FAMILY.load is not None
    return network.FAMILY.load(root, device, label)


def _moved(prior: Prior, device: torch.device) -> Prior:
    """Moves a denoiser's module to a device; functions and other priors stay on theirs."""
    if isinstance(prior, denoisers.EDM | denoisers.Blind) and isinstance(prior.network, nn.Module):
        prior.network = prior.network.to(device)
    return prior
