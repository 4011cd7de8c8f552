"""cimbo: joint search over neural sub-networks and compute-in-memory chips.

>>> from cimbo import Choice, Constraint, Objective, SearchSpace, Study

Importing this package loads nothing else: each name brings its module when it is asked for, and torch comes with the first
proposal.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cimbo._data import __version__

if TYPE_CHECKING:
    from cimbo.errors import BadInput
    from cimbo.optimizer.options import Guidance, OptimizerOptions
    from cimbo.problem.objectives import Candidate, Constraint, Objective
    from cimbo.problem.space import Choice, SearchSpace
    from cimbo.session.opening import open_session
    from cimbo.session.session import Session
    from cimbo.session.workers import Workers
    from cimbo.study.study import Study

__all__ = [
    "BadInput",
    "Candidate",
    "Choice",
    "Constraint",
    "Guidance",
    "Objective",
    "OptimizerOptions",
    "SearchSpace",
    "Session",
    "Study",
    "Workers",
    "__version__",
    "open_session",
]
_HOMES = {
    "BadInput": "errors",
    "Candidate": "problem.objectives",
    "Choice": "problem.space",
    "Constraint": "problem.objectives",
    "Guidance": "optimizer.options",  # the name until 0.2 of OptimizerOptions
    "Objective": "problem.objectives",
    "OptimizerOptions": "optimizer.options",
    "SearchSpace": "problem.space",
    "Session": "session.session",
    "Study": "study.study",
    "Workers": "session.workers",
    "open_session": "session.opening",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"cimbo.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'cimbo' has no attribute {name!r}")
