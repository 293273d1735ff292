"""From what a person names to a prior."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import torch
from torch import Tensor, nn

from ..errors import PellucidError, UsageError, unknown_name
from ..settings import imported
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
    """Loads a prior; its network's weights are frozen.

    Args:
        source: the name of an embedded prior ("natural"), a folder, a checkpoint, a model of the hub, MODULE:OBJECT, or
            a Python object. A folder is one that `pellucid train` or `priors convert` wrote or one of the diffusers
            library with a `UNet2DModel`; a checkpoint is a file of guided-diffusion or DDPM: see `checkpoint.load`.
            Folders and files of Stable Diffusion and SDXL become a `Latent`. A model of the hub is `owner/name` or
            `owner/name@revision` where there is no such path; nothing else opens a connection. MODULE:OBJECT names an
            object of an installed module, FILE.py:OBJECT one of a file; its code runs. An object is a prior, which is
            returned as it is, a denoiser, `D(x, sigma)` or `f(x)`, or a model of diffusers or azula: see
            `denoisers.recognised`.
        device: where its network goes, as in "cpu", "cuda" or "cuda:1"; an object stays where it is.
        label: the class of the images, from 0, for a class-conditional network. Without one, networks of
            guided-diffusion and diffusers get the mean of their classes' embeddings, those of EDM none.
        prompt: what the picture shows, for Stable Diffusion and SDXL, which were trained with texts; None for none.
        offline: whether a model of the hub is taken from the cache alone, as if HF_HUB_OFFLINE were set.
        backend: what computes its network, "auto", "torch", "compile" or "openvino"; see `accelerated`.
        precision: what it computes in, "auto", "float32", "bfloat16" or "float16"; likewise. An object stays as it is
            where "auto" is said.

    Raises:
        UsageError: there is no prior, folder, file, model or object of that name; an object is no denoiser; there is a
            prompt for a prior that reads none; or it cannot be computed so.
        PellucidError: the folder or file holds no whole prior, or one without such a class; the hub cannot be reached.
    """
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
    """True if a text is MODULE:OBJECT, and no file's name."""
    return isinstance(source, str) and ":" in source and not Path(source).exists()


def locate(source: str | Path, *, texts: bool = False, offline: bool = False) -> Path:
    """Finds the file or folder of a prior, in the hub's cache after a download where one is needed.

    Args:
        source: its name.
        texts: whether what reads texts is wanted, too; see `hub.fetch`.
        offline: whether the cache alone is looked into.

    Raises:
        UsageError: there is none.
        PellucidError: it cannot be fetched.
    """
    if source in embedded.names():
        return embedded.folder_of(str(source))
    if Path(source).exists():
        return Path(source)

    from . import hub

    if isinstance(source, str) and hub.is_id(source):
        return hub.fetch(source, texts=texts, offline=offline)
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
    """Takes a denoiser's module to a device; functions and priors of other kinds stay where they are."""
    if isinstance(prior, denoisers.EDM | denoisers.Blind) and isinstance(prior.network, nn.Module):
        prior.network = prior.network.to(device)
    return prior
