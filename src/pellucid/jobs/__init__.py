"""Many images: what becomes of each, and the loop that loses none."""

from .plan import Item, make_folders, plan, plan_exposures
from .run import Outcome, caught, run

__all__ = ["Item", "Outcome", "caught", "make_folders", "plan", "plan_exposures", "run"]
