"""Many images: what becomes of each, and the loop that loses none."""

from .plan import Item, make_folders, plan
from .run import Outcome, caught, run

__all__ = ["Item", "Outcome", "caught", "make_folders", "plan", "run"]
