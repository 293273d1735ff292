"""Priors: models of clean images."""

from .adapters import VENetwork, VPNetwork
from .denoisers import EDM, Blind
from .embedded import names
from .exact import EmpiricalPrior, GaussianPrior
from .latent import Latent
from .load import load_prior
from .prior import Checkpointed, Counted, Padded, Prior
from .tiled import Tiled, fit

__all__ = [
    "EDM",
    "Blind",
    "Checkpointed",
    "Counted",
    "EmpiricalPrior",
    "GaussianPrior",
    "Latent",
    "Padded",
    "Prior",
    "Tiled",
    "VENetwork",
    "VPNetwork",
    "fit",
    "load_prior",
    "names",
]
