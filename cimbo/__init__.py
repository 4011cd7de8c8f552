"""cimbo: joint search over neural sub-networks and compute-in-memory chips.

>>> from cimbo import Choice, Constraint, Objective, SearchSpace, Study

Importing this package loads nothing else: each name brings its module when it is asked for, and torch comes with the first
proposal.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cimbo.errors import BadInput
    from cimbo.guidance import Guidance
    from cimbo.loop import Study
    from cimbo.objectives import Candidate, Constraint, Objective
    from cimbo.space import Choice, SearchSpace

__version__ = "0.1.0"
__all__ = ["BadInput", "Candidate", "Choice", "Constraint", "Guidance", "Objective", "SearchSpace", "Study"]
_HOMES = {
    "BadInput": "errors", "Candidate": "objectives", "Choice": "space", "Constraint": "objectives", "Guidance": "guidance",
    "Objective": "objectives", "SearchSpace": "space", "Study": "loop",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"cimbo.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'cimbo' has no attribute {name!r}")
