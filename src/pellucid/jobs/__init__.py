"""Many images: what becomes of each, and the loop that loses none."""

from .plan import Item, make_folders, plan
from .run import Outcome, run

__all__ = ["Item", "Outcome", "make_folders", "plan", "run"]
