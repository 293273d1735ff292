"""Jobs of many images: the result of each, and the loop that loses none."""

from . import executors
from .feed import Feed
from .fingerprint import of_configuration
from .manifest import Entry, Manifest
from .plan import Item, check_exposures, make_folders, output_folder, plan, plan_exposures
from .run import Outcome, Outcomes, Progress, caught, run
from .search import Left, described, search
from .shard import Shard
from .work import Work, expected, pixels

__all__ = [
    "Entry",
    "Feed",
    "Item",
    "Left",
    "Manifest",
    "Outcome",
    "Outcomes",
    "Progress",
    "Shard",
    "Work",
    "caught",
    "check_exposures",
    "described",
    "executors",
    "expected",
    "make_folders",
    "of_configuration",
    "output_folder",
    "pixels",
    "plan",
    "plan_exposures",
    "run",
    "search",
]
