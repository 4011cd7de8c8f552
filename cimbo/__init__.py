"""cimbo: joint search over neural sub-networks and compute-in-memory chips.

>>> from cimbo import Choice, Constraint, Objective, SearchSpace, Study

Importing this package loads neither torch nor xgboost; the first proposal does.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cimbo.errors import BadInput
from cimbo.objectives import Candidate, Constraint, Objective
from cimbo.space import Choice, SearchSpace

if TYPE_CHECKING:
    from cimbo.loop import Guidance, Study

__version__ = "0.1.0"
__all__ = ["BadInput", "Candidate", "Choice", "Constraint", "Guidance", "Objective", "SearchSpace", "Study"]


def __getattr__(name: str) -> Any:
    if name in ("Study", "Guidance"):
        return getattr(import_module("cimbo.loop"), name)
    raise AttributeError(f"module 'cimbo' has no attribute {name!r}")
