"""Many images: what becomes of each, and the loop that loses none."""

from .fingerprint import of_configuration
from .manifest import Entry, Manifest
from .plan import Item, make_folders, output_folder, plan, plan_exposures, writable
from .run import Outcome, caught, run
from .shard import Shard

__all__ = [
    "Entry",
    "Item",
    "Manifest",
    "Outcome",
    "Shard",
    "caught",
    "make_folders",
    "of_configuration",
    "output_folder",
    "plan",
    "plan_exposures",
    "run",
    "writable",
]
