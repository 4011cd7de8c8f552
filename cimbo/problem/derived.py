"""Metrics that are computed from others: those that a study declares as expressions, and those that are shipped.

A declared metric is computed whatever an evaluation returns under its name; a shipped one only where an evaluation returns
none. Expressions may name measured metrics, other derived ones, and genes that are numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from cimbo.errors import BadInput
from cimbo.problem.expressions import Expression
from cimbo.problem.scalars import finite, shown

FORMULA_TOLERANCE = 0.01  # relative; programs print rounded numbers
SHIPPED_METRICS: dict[str, str] = {
    "edp": "energy_uj * latency_ms",  # uJ ms
    "edap": "energy_uj * latency_ms * area_mm2",  # uJ ms mm2
    "ed2p": "energy_uj * latency_ms ** 2",  # uJ ms2
    "power_w": "1e-3 * energy_uj / latency_ms",  # uJ / ms = mW
    "power_density_w_mm2": "power_w / area_mm2",
    "inferences_per_s": "1e3 / latency_ms",
    "inferences_per_j": "1e6 / energy_uj",
    # Two operations a multiply-accumulate.
    "tops": "2e-9 * macs / latency_ms",
    "tops_per_watt": "2e-6 * macs / energy_uj",
    "tops_per_mm2": "tops / area_mm2",
    "energy_per_mac_pj": "1e6 * energy_uj / macs",
}
"""What every study knows beside what its evaluations return. ``macs``: multiply-accumulates of one inference."""


@dataclass(frozen=True)
class DerivedMetrics:
    """The derived metrics of a study, each after those that it follows from.

    Attributes:
        declared: The study's own, by name.
        wanted: Names that the study speaks of elsewhere: the shipped ones among them are derived too.

    Raises:
        BadInput: For what is no expression, and for metrics that follow from themselves.
    """

    declared: Mapping[str, str] = field(default_factory=dict)
    wanted: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, text in self.declared.items():
            _check_text(name, text)
        for expression in self.expressions.values():
            _check_number(expression)

    @cached_property
    def expressions(self) -> dict[str, Expression]:
        """Every derived metric by name, each after those in its expression."""
        ordered: dict[str, Expression] = {}
        for name in (*self.declared, *self.wanted):
            self._add(name, ordered, ())
        return ordered

    def _add(
        self,
        name: str,
        ordered: dict[str, Expression],
        used_by: tuple[str, ...],
    ) -> None:
        """Add a metric and those in its expression to the ordered ones, parts before wholes.

        Args:
            name: The metric; nothing is added where it is not derived.
            ordered: Name to expression of the derived metrics so far; it is added to.
            used_by: The metrics whose expressions led here, the outermost first.

        Raises:
            BadInput: When the metric is used by itself.
        """
        if name in used_by:
            circle = [*used_by[used_by.index(name) :], name]
            wrong = f"follows from itself: {' from '.join(circle)}"
            raise BadInput(f"metrics.{name}", wrong, "name another metric")
        text = self.declared.get(name, SHIPPED_METRICS.get(name))
        if text is None or name in ordered:
            return
        expression = Expression(text, f"metrics.{name}")
        for part in expression.names:
            self._add(part, ordered, (*used_by, name))
        ordered[name] = expression

    def __bool__(self) -> bool:
        return bool(self.expressions)

    def completed(
        self, metrics: Mapping[str, Any], params: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Adds the derived metrics to those of one evaluation.

        Args:
            metrics: What was measured.
            params: The design's genes, which expressions may name.

        Returns:
            The measured ones first, then derived ones. A derived metric that cannot be computed is left
            out; a declared one replaces what the evaluation returned under its name.
        """
        completed = dict(metrics)
        known = {**(params or {}), **metrics}
        values = {name: finite(value) for name, value in known.items()}
        for name, expression in self.expressions.items():
            is_measured = name in metrics and name not in self.declared
            if is_measured or any(values.get(part) is None for part in expression.names):
                continue
            number = finite(expression(values))
            if number is not None:
                completed[name] = number
                values[name] = number
        return completed

    def contradicted(
        self, measured: Mapping[str, Any], completed: Mapping[str, Any]
    ) -> tuple[str, ...]:
        """Name the declared metrics for which an evaluation returns another value than their expression.

        Args:
            measured: What an evaluation returned.
            completed: What `completed` made of that.

        Returns:
            Those whose measured and computed values differ by more than `FORMULA_TOLERANCE`.
        """
        names = []
        for name in self.declared:
            returned = finite(measured.get(name))
            computed = finite(completed.get(name))
            if returned is None or computed is None:
                continue
            if not math.isclose(returned, computed, rel_tol=FORMULA_TOLERANCE):
                names.append(name)
        return tuple(names)

    def not_finite(
        self, metrics: Mapping[str, Any], params: Mapping[str, Any] | None = None
    ) -> dict[str, str]:
        """Tell which expressions have no finite value of a design although all that they name is known.

        Args:
            metrics: What was measured of the design.
            params: The design's genes.

        Returns:
            By name of the metric what it was computed of, in words.
        """
        known = {**(params or {}), **self.completed(metrics, params)}
        reasons = {}
        for name, expression in self.expressions.items():
            parts = {part: finite(known.get(part)) for part in expression.names}
            if name in known or any(value is None for value in parts.values()):
                continue
            values = ", ".join(f"{part} is {value:g}" for part, value in parts.items())
            reasons[name] = f"{expression.text!r} has no finite value where {values}"
        return reasons

    def parts(self, name: str) -> tuple[str, ...]:
        """Names the measured metrics and genes that a metric is made of.

        Derived metrics in its expression are replaced by what they are made of.

        Args:
            name: A metric, derived or measured, or a gene.

        Returns:
            The measured metrics and genes, each once; ``name`` alone where it is not derived.
        """
        return tuple(dict.fromkeys(self._parts(name)))

    def _parts(self, name: str) -> Iterator[str]:
        """As ``parts``, but perhaps more than once."""
        if name not in self.expressions:
            yield name
            return
        for part in self.expressions[name].names:
            yield from self._parts(part)

    def of_parts(self, name: str, values: Mapping[str, Any]) -> Any:
        """Computes a metric from the values of its `parts`, metric by metric where expressions are nested.

        Args:
            name: A metric, derived or measured.
            values: Each of the metric's `parts` to a number or an array; arrays have one shape.

        Returns:
            The metric in its own unit: a number, or an array of the shape of ``values``.

        Raises:
            KeyError: When ``values`` lacks one of the parts.
        """
        if name not in self.expressions:
            return values[name]
        expression = self.expressions[name]
        return expression({part: self.of_parts(part, values) for part in expression.names})

    def missing(self, name: str, metrics: Iterable[str]) -> tuple[str, ...]:
        """Names the `parts` of a metric that are not known.

        Args:
            name: A metric, derived or measured.
            metrics: The names that are known.

        Returns:
            The parts that are not among ``metrics``.
        """
        known = frozenset(metrics)
        return tuple(part for part in self.parts(name) if part not in known)


def _check_text(name: object, text: object) -> None:
    """Refuse a declared metric whose name or expression is no text."""
    if not isinstance(name, str) or not isinstance(text, str):
        todo = 'give names and texts, such as edp = "energy_uj * latency_ms"'
        raise BadInput(f"metrics.{shown(name)}", f"is {shown(text)}", todo)


def _check_number(expression: Expression) -> None:
    """Refuse an expression that is true or false."""
    if expression.is_condition:
        wrong = "is true or false, not a number"
        raise BadInput(expression.where, wrong, "write an expression that is a number")
