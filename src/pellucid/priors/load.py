"""From what a person names to a prior."""

from __future__ import annotations

from pathlib import Path

import torch

from ..errors import PellucidError, UsageError, unknown_name
from ..noise import linear_ladder
from . import embedded, folder
from .adapters import VENetwork
from .latent import latent_of
from .prior import Prior

# Parts of models that people may name for the whole.
_PARTS = {
    "UNet2DConditionModel": "a network of latents: name the folder that also holds its vae/",
    "Autoencoder": "an autoencoder, which makes no images out of noise",
    "VQModel": "an autoencoder, which makes no images out of noise",
    "Text": "a model of text",
}


def load_prior(source: str | Path | Prior, device: str | torch.device = "cpu", prompt: str | None = None) -> Prior:
    """Loads a prior; its network's weights are frozen.

    Args:
        source: the name of an embedded prior ("natural"), a folder, a checkpoint, or a prior, which is returned as it
            is. A folder is one that `pellucid train` wrote or one of the diffusers library with an unconditional
            `UNet2DModel`; a checkpoint is a file of guided-diffusion or DDPM: see `checkpoint.load`. Folders and files
            of Stable Diffusion and SDXL become a `Latent`.
        device: where its network goes, as in "cpu", "cuda" or "cuda:1".
        prompt: what the picture shows, for Stable Diffusion and SDXL, which were trained with texts; None for none.

    Raises:
        UsageError: there is no prior, no folder and no file of that name, or a prompt for a prior that reads none.
        PellucidError: the folder or file holds no whole prior.
    """
    prior = _load(source, torch.device(device), prompt) if isinstance(source, str | Path) else source
    if prompt is not None and (prior is source or latent_of(prior) is None):
        raise UsageError("a prompt goes with the folder or file of a model that reads texts: leave it out")
    return prior


def _load(source: str | Path, device: torch.device, prompt: str | None) -> Prior:
    place = embedded.folder_of(str(source)) if source in embedded.names() else Path(source)
    if place.is_file():
        from . import checkpoint

        return checkpoint.load(place, device, prompt=prompt)
    if not place.is_dir():
        raise unknown_name("prior", str(source), embedded.names())
    try:
        return _load_folder(place, device, prompt)
    except (KeyError, TypeError, ValueError) as error:
        # A config.json that is valid JSON and nonsense: whatever it breaks, it is the folder that is at fault.
        raise PellucidError(f"{place}: its config.json does not describe a network ({error!r})") from error


def _load_folder(place: Path, device: torch.device, prompt: str | None) -> Prior:
    from . import diffusers, stable

    if stable.matches(place):
        return stable.load(place, device, prompt)
    root = place / "unet" if (place / "unet" / "config.json").is_file() else place
    config = folder.read_json(root / "config.json")
    if config.get("_class_name") == "UNet2DModel":
        return diffusers.load(place, device)

    name = str(config.get("_class_name") or config.get("architectures"))
    for part, what in _PARTS.items():
        if part in name:
            raise PellucidError(f"{place}: holds a {name}, {what}; a prior is a whole diffusion model")
    from .network import build_network

    try:
        network = build_network(config)
    except PellucidError as error:
        raise PellucidError(f"{root / 'config.json'}: {error}") from None
    folder.fill(network, folder.read_weights(root), root)
    return VENetwork(
        folder.ready(network, device), linear_ladder(), channels=network.channels, multiple=network.multiple
    )
