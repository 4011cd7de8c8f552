"""An evaluation that is somebody else's as a whole: a function or a program that takes genes and returns metrics.

Nothing is known of what stands behind it: no layers, no costs that could be computed, no images. What a command would
need of these it is refused in one line.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from typing import Any, NoReturn

from cimbo.errors import BadInput, choose_from
from cimbo.evaluation.joint import JointEvaluator
from cimbo.problem.space import Params

Fingerprint = dict[str, Any]  # JSON


@dataclass
class WholeEvaluator:
    """Evaluates designs by a Python function.

    Attributes:
        function: Where it is, as "package:function". It is called with a dictionary of all active genes.
        options: What it is called with besides, by name.
    """

    function: str
    options: Mapping[str, Any] = field(default_factory=dict)
    simulator: str = "evaluator"
    accuracy: str = "evaluator"
    network: str = ""

    def __call__(self, design: Params) -> Mapping[str, float]:
        """The metrics of ``design``."""
        metrics: Mapping[str, float] = self._function(dict(design), **self.options)
        return metrics

    def check(self) -> None:
        """Raises BadInput when there is no such function, or when it takes no such options."""
        try:
            inspect.signature(self._function).bind({}, **self.options)
        except TypeError as error:
            raise BadInput(
                f"evaluator {self.function}",
                f"cannot be called with these options ({error})",
                "correct [evaluator.options]",
            ) from None
        except ValueError:  # a function of C, which does not say what it takes
            return

    def fingerprint(self) -> Fingerprint:
        """What decides the numbers of this evaluator, as JSON."""
        return {"evaluator": {"python": self.function, "options": dict(self.options)}}

    def remember(self, design: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
        """Nothing is remembered."""

    def has_test(self) -> bool:
        """Whether there are images that the search never sees."""
        return False

    def has_bit_accurate(self) -> bool:
        """Whether the accuracy can be measured on bit-accurate arrays."""
        return False

    def analytic_costs(self) -> dict[str, Any]:
        """Costs that can be computed while searching: none."""
        return {}

    def placed(self, design: Mapping[str, Any]) -> NoReturn:
        """Raises BadInput: no layers are known."""
        raise self._lacking("layers")

    def on_test(self, design: Mapping[str, Any]) -> NoReturn:
        """Raises BadInput: no images are known."""
        raise self._lacking("test images")

    def on_bit_accurate_arrays(self, design: Mapping[str, Any]) -> NoReturn:
        """Raises BadInput: no arrays are known."""
        raise self._lacking("bit-accurate arrays")

    def bit_accurate_difference(self, design: Mapping[str, Any], images: int) -> NoReturn:
        """Raises BadInput: no arrays are known."""
        raise self._lacking("bit-accurate arrays")

    def accuracy_genes(self) -> frozenset[str]:
        """The genes that the accuracy depends on: none is known to."""
        return frozenset()

    def simulated(self, design: Params) -> NoReturn:
        """Raises BadInput: costs are no part of their own."""
        raise self._lacking("costs without the rest")

    def seconds_a_design(self, designs: list[Params]) -> NoReturn:
        """Raises BadInput: there is no simulator."""
        raise self._lacking("costs without the rest")

    def costs(self, designs: list[Params]) -> NoReturn:
        """Raises BadInput: no costs can be computed."""
        raise self._lacking("costs of cimbo's own model")

    def _lacking(self, what: str) -> BadInput:
        return BadInput(
            "evaluator", f"gives no {what}", "this needs a study with [network] and a simulator"
        )

    @cached_property
    def _function(self) -> Callable[..., Mapping[str, float]]:
        where = f"evaluator {self.function}"
        module_name, _, name = self.function.partition(":")
        if not module_name or not name:
            raise BadInput(where, "is no function", 'write it as "package:function"')
        try:
            found: Any = import_module(module_name)
        except ImportError as error:
            todo = "name a module that Python finds: install it, or set PYTHONPATH"
            raise BadInput(where, f"cannot be imported ({error})", todo) from None
        for part in name.split("."):
            if not hasattr(found, part):
                known = [n for n in dir(found) if not n.startswith("_")]
                raise BadInput(where, f"{module_name} has no {part}", choose_from(part, known))
            found = getattr(found, part)
        if not callable(found):
            raise BadInput(where, "is no function", 'write it as "package:function"')
        function: Callable[..., Mapping[str, float]] = found
        return function

    def __getstate__(self) -> dict[str, Any]:
        """To another process goes the name of the function, which it imports itself."""
        return {name: v for name, v in self.__dict__.items() if not name.startswith("_")}


StudyEvaluator = JointEvaluator | WholeEvaluator
"""What a study may be evaluated by."""
