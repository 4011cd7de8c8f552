"""What a study wants: objectives and constraints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from difflib import get_close_matches
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cimbo.errors import BadInput
from cimbo.problem.candidates import Candidate as Candidate
from cimbo.problem.candidates import candidate as candidate
from cimbo.problem.candidates import candidate_of_row as candidate_of_row
from cimbo.problem.derived import DerivedMetrics
from cimbo.problem.scalars import finite, shown
from cimbo.problem.space import SearchSpace

Metrics = Mapping[str, float]
Array = NDArray[np.float64]
# An evaluator gives a metric's fidelity under the metric's name with this suffix
FIDELITY_SUFFIX = "_fidelity"


def _check_name(kind: str, name: object) -> None:
    """Refuse a name of a metric that is no text, or empty."""
    if not isinstance(name, str) or not name:
        raise BadInput(f"{kind} {shown(name)}", "names no metric", "give it a non-empty string")


def _finite(where: str, name: str, value: object, todo: str) -> float:
    """A field as a finite number. Raises BadInput where it is none."""
    number = finite(value)
    if number is None:
        raise BadInput(where, f"has the {name} {shown(value)}", todo)
    return number


@dataclass(frozen=True)
class Objective:
    """A measured metric to maximise or minimise.

    Attributes:
        name: The metric.
        goal: "max" or "min".
        reference: The worst value that still counts for the hypervolume, in the metric's unit; None for none.

    Raises:
        BadInput: For another goal, or a reference that is not finite.

    Examples:
        >>> from cimbo import Objective
        >>> Objective("latency_ms", "min", reference=0.8).sign
        -1.0
    """

    name: str
    goal: str
    reference: float | None = None

    def __post_init__(self) -> None:
        _check_name("objective", self.name)
        where = f"objective {self.name}"
        if not isinstance(self.goal, str) or self.goal not in ("max", "min"):
            raise BadInput(where, f"has the goal {shown(self.goal)}", "use 'max' or 'min'")
        if self.reference is not None:
            reference = _finite(where, "reference", self.reference, "give a finite number or none")
            object.__setattr__(self, "reference", reference)

    @property
    def sign(self) -> float:
        """+1 to maximise, -1 to minimise: the only place where the direction is flipped."""
        if self.goal == "max":
            return 1.0
        return -1.0


@dataclass(frozen=True)
class Constraint:
    """A bound on a measured metric.

    Attributes:
        metric: The metric.
        relation: "<=" or ">=".
        bound: The bound, in the metric's unit.

    Raises:
        BadInput: For another relation, or a bound that is not finite.

    Examples:
        >>> from cimbo import Constraint
        >>> Constraint("area_mm2", "<=", 4.0).holds({"area_mm2": 3.5})
        True
    """

    metric: str
    relation: str
    bound: float

    def __post_init__(self) -> None:
        _check_name("constraint", self.metric)
        where = f"constraint on {self.metric}"
        if not isinstance(self.relation, str) or self.relation not in ("<=", ">="):
            raise BadInput(where, f"has the relation {shown(self.relation)}", "use '<=' or '>='")
        bound = _finite(where, "bound", self.bound, "give a finite number")
        object.__setattr__(self, "bound", bound)

    @property
    def goal(self) -> str:
        """Which way the metric is wanted: "max" for a lower bound, "min" for an upper one."""
        if self.relation == ">=":
            return "max"
        return "min"

    def violation(self, values: Array) -> Array:
        """Tells how far values lie beyond the bound.

        Args:
            values: Values of the metric, of any shape.

        Returns:
            The excess in the metric's unit, of the shape of ``values``; negative where the bound is
            kept with room to spare.
        """
        if self.relation == "<=":
            return values - self.bound
        return self.bound - values

    def holds(self, metrics: Metrics) -> bool:
        """Tells whether a design keeps the bound.

        Args:
            metrics: The design's metrics.

        Returns:
            True where it does; False also where the metric was not measured.
        """
        if self.metric not in metrics:
            return False
        value = np.array([metrics[self.metric]], float)
        return bool(self.violation(value)[0] <= 0)


def at_target_fidelity(metrics: Metrics, name: str) -> bool:
    """Tells whether a metric was measured in full.

    Args:
        metrics: A design's metrics, with the fidelities that its evaluator states.
        name: The metric.

    Returns:
        True where its stated fidelity is 1, or where none is stated.
    """
    return metrics.get(name + FIDELITY_SUFFIX, 1.0) >= 1.0


def _check_types(where: str, entries: Iterable[object], expected: type) -> None:
    """Refuse entries of which one is not of the expected class."""
    for entry in entries:
        if not isinstance(entry, expected):
            raise BadInput(where, f"hold {shown(entry)}", f"give a list of {expected.__name__}")


@dataclass(frozen=True)
class Problem:
    """What a study searches, and what for.

    Attributes:
        space: The designs.
        objectives: At least one, none twice.
        constraints: Bounds on measured metrics.
        metrics: Name to expression, of metrics that the study computes from others.

    Raises:
        BadInput: For none or repeated objectives, and for wrong constraints or metrics.

    Examples:
        >>> from cimbo import Choice, Objective, Problem, SearchSpace
        >>> space = SearchSpace([Choice("depth", [2, 4])])
        >>> problem = Problem(space, (Objective("accuracy", "max"), Objective("energy_uj", "min")))
        >>> problem.targets
        ('accuracy', 'energy_uj')
    """

    space: SearchSpace
    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...] = ()
    metrics: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.space, SearchSpace):
            raise BadInput("space", f"is {shown(self.space)}", "give a SearchSpace of Choice")
        _check_types("objectives", self.objectives, Objective)
        _check_types("constraints", self.constraints, Constraint)
        names = [objective.name for objective in self.objectives]
        if not names or len(set(names)) < len(names):
            raise BadInput("objectives", f"are {names}", "name at least one, none twice")
        self._check_metrics()

    def _check_metrics(self) -> None:
        """Refuse derived metrics that are no expressions, or that have the name of a gene."""
        if not isinstance(self.metrics, Mapping):
            todo = 'give a dict such as {"edp": "energy_uj * latency_ms"}'
            raise BadInput("metrics", f"are {shown(self.metrics)}", todo)
        for name in self.metrics:
            if name in self.space.column:
                raise BadInput(f"metrics.{name}", "has the name of a gene", "rename it")
        _ = self.derived.expressions  # refuses what is no expression

    @cached_property
    def targets(self) -> tuple[str, ...]:
        """The metrics that a search needs: objectives, then constrained metrics that are no objective."""
        names = [objective.name for objective in self.objectives]
        names += [constraint.metric for constraint in self.constraints]
        return tuple(dict.fromkeys(names))

    @cached_property
    def _measured_targets(self) -> tuple[str, ...]:
        """The targets, and what the derived ones among them are computed from."""
        names = list(self.targets)
        for name in self.targets:
            names += self.derived.parts(name)
        return tuple(dict.fromkeys(names))

    @cached_property
    def derived(self) -> DerivedMetrics:
        """The metrics that follow from others: the study's own, and the shipped ones among its targets."""
        return DerivedMetrics(self.metrics, self.targets)

    def limited(self, limits: Iterable[Constraint]) -> Problem:
        """Makes a copy of the problem with other or more constraints.

        Args:
            limits: Constraints to add; one on the same metric and side as an older one takes its
                place.

        Returns:
            The new problem; all else is the same.
        """
        constraints = {}
        for constraint in (*self.constraints, *limits):
            constraints[constraint.metric, constraint.relation] = constraint
        return replace(self, constraints=tuple(constraints.values()))

    def completed(
        self,
        metrics: Metrics,
        params: Mapping[str, Any],
    ) -> dict[str, float]:
        """Adds to a design's metrics all that the study derives from them.

        Args:
            metrics: What was measured of the design.
            params: Its genes, which expressions may name.

        Returns:
            A new dict: the measured metrics first, then the derived ones that could be computed.
        """
        if self.derived:
            return self.derived.completed(metrics, params)
        return dict(metrics)

    def unmeasured(self, metrics: Metrics, params: Mapping[str, Any]) -> str | None:
        """Says in words what the study needs and an evaluation did not give.

        Args:
            metrics: What was measured of a design.
            params: Its genes.

        Returns:
            The targets that are neither measured nor derivable, and what they would need; None
            where nothing is missing.
        """
        known = self.completed(metrics, params)
        missing = [name for name in self.targets if name not in known]
        if not missing:
            return None
        divided = self.derived.not_finite(metrics, params)
        phrases = [f"{name}: {divided[name]}" for name in missing if name in divided]
        missing = [name for name in missing if name not in divided]
        if not missing:
            return f"gives no number for {'; '.join(phrases)}"
        phrases.append(f"did not measure {', '.join(missing)}")
        needed = self._needed(missing, {**params, **known})
        other_parts = [part for part in needed if part not in missing]
        if other_parts:
            phrases.append(f"which needs {', '.join(other_parts)}")
        # The evaluation may have measured it under a similar name
        similar = get_close_matches((needed or missing)[0], list(metrics), 1)
        if similar:
            phrases.append(f"is it {similar[0]}?")
        return ", ".join(phrases)

    def _needed(self, names: Iterable[str], known: Mapping[str, Any]) -> list[str]:
        """The metrics and genes that these metrics are computed from and that are not known, each once."""
        needed: dict[str, None] = {}
        for name in names:
            needed |= dict.fromkeys(self.derived.missing(name, known))
        return list(needed)

    def scores(self, metrics: Sequence[Metrics]) -> Array:
        """Turns metrics of evaluated designs into numbers to be maximised.

        Args:
            metrics: The metrics of n designs, with every objective in each.

        Returns:
            (n, m) the m objectives in their own units; those to be minimised are negated.

        Raises:
            KeyError: When a design lacks an objective.
        """
        scores = np.empty((len(metrics), len(self.objectives)))
        for row, measured in zip(scores, metrics, strict=True):
            row[:] = [o.sign * measured[o.name] for o in self.objectives]
        return scores

    def scores_of(self, values: Mapping[str, Array]) -> Array:
        """Turns arrays of the objectives into numbers to be maximised.

        Args:
            values: Objective to an array; all are of one shape.

        Returns:
            (..., m) the m objectives in their own units; those to be minimised are negated.
        """
        return np.stack([o.sign * values[o.name] for o in self.objectives], -1)

    def feasible(self, metrics: Metrics) -> bool:
        """Tells whether a design counts as a solution.

        Args:
            metrics: The design's metrics.

        Returns:
            True where every objective is measured, all targets are at full fidelity and every
            constraint holds.
        """
        if not all(objective.name in metrics for objective in self.objectives):
            return False
        if not all(at_target_fidelity(metrics, name) for name in self._measured_targets):
            return False
        return all(constraint.holds(metrics) for constraint in self.constraints)

    def reference(self) -> Array | None:
        """(m,) reference point, to be maximised, or None when an objective has none."""
        point = []
        for objective in self.objectives:
            if objective.reference is None:
                return None
            point.append(objective.sign * objective.reference)
        return np.array(point)

    def to_json(self) -> dict[str, Any]:
        """Describes the problem for a study file; `from_json` reads it again."""
        described: dict[str, Any] = {
            "space": self.space.to_json(),
            "objectives": [asdict(o) for o in self.objectives],
            "constraints": [asdict(c) for c in self.constraints],
        }
        if self.metrics:
            described["metrics"] = dict(self.metrics)
        return described

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Problem:
        """Makes the problem that `to_json` described.

        Args:
            data: The description: space, objectives, constraints and, where there are any, metrics.

        Returns:
            The problem.

        Raises:
            BadInput: When ``data`` is not of that form, or describes what is no valid problem.
        """
        try:
            return Problem(
                space=SearchSpace.from_json(data["space"]),
                objectives=tuple(Objective(**each) for each in data["objectives"]),
                constraints=tuple(Constraint(**each) for each in data.get("constraints", ())),
                metrics=data.get("metrics") or {},
            )
        except (KeyError, TypeError) as error:
            wrong = f"does not describe a problem ({error})"
            raise BadInput("study", wrong, "start a new study") from None
