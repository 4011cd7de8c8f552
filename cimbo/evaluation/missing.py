"""What stands in for the evaluation of a study that was told its metrics from outside."""

from __future__ import annotations

from typing import NoReturn

from cimbo.errors import BadInput
from cimbo.evaluation.whole import WholeEvaluator
from cimbo.problem.space import Params


class MissingEvaluator(WholeEvaluator):
    """What stands in for the evaluator of a study that names none: all but an evaluation works."""

    def __init__(self, where: str) -> None:
        super().__init__()
        self.where = where

    def _evaluate(self, design: Params) -> NoReturn:
        """Raises BadInput: nothing evaluates."""
        raise self._unknown()

    def check(self) -> NoReturn:
        """Raises BadInput: nothing evaluates."""
        raise self._unknown()

    def fingerprint(self) -> NoReturn:
        """Raises BadInput: nothing evaluates."""
        raise self._unknown()

    def _unknown(self) -> BadInput:
        todo = "name a study.toml with [evaluator] (--config), or go on in Python or with cimbo ask"
        return BadInput(self.where, "does not say what evaluates it", todo)
