"""The prior that measurements are made with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import UsageError

if TYPE_CHECKING:
    from ..priors import Prior


def load_pixels(named: str, device: str | None, label: int | None, offline: bool) -> Prior:
    """Loads a prior of pixels; see `load_prior`.

    Raises:
        UsageError: there is none of that name, or it is one of latents.
        PellucidError: it cannot be loaded.
    """
    from ..devices import find_device
    from ..priors import load_prior
    from ..priors.latent import latent_of

    prior = load_prior(named, find_device(device), label=label, offline=offline)
    if latent_of(prior) is not None:
        raise UsageError(
            f"{named}: is a prior of latents; what is measured here is one of pixels: name such a one, or restore with "
            "it and compare"
        )
    return prior
