"""Noise of any kind: the finding, and the search for it with a prior."""

from .calm import Calm as Calm
from .calm import part as part
from .finding import LEAST as LEAST
from .finding import Noise as Noise
from .search import CALLS as CALLS
from .search import estimate as estimate
from .search import examined as examined
from .white import whitened as whitened
