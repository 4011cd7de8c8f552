"""Measures designs with cheaper settings first, and in full only where that may be worth its cost.

A cheap setting may be biased, so its values are not taken as they are: designs that were measured both ways say what full
measurement they stand for (`cimbo.problem.calibration`). What the cheap settings gave is kept beside each evaluation, so
that later designs correct the values of earlier ones.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from cimbo.evaluation.accuracy.answers import ACCURACY
from cimbo.evaluation.gene_notes import ABOUT_ACCURACY
from cimbo.problem.calibration import Calibration, Estimate, calibrations
from cimbo.problem.fidelity import DEVIATION_SUFFIX, Race
from cimbo.problem.noted_metrics import NotedMetrics, about, note_on_failure
from cimbo.problem.objectives import FIDELITY_SUFFIX, Metrics, Problem, at_target_fidelity
from cimbo.problem.scalars import finite
from cimbo.problem.space import Params, canonical_key

logger = logging.getLogger("cimbo")
Owner = Literal["evaluator", "simulator", "accuracy"]
"""Whose settings make a measurement cheaper."""
CHEAP_FIELD = "low_fidelity"
"""The field of a record's ``extra`` that lists what cheaper settings gave, see `CheapValues.to_json`."""
FAILED_CHEAPLY_FIELD = "failed_low_fidelity"
"""The field of a failed record's ``extra`` with the cost of the cheaper settings that failed, as a share of the full ones."""
COST_IN_FULL = 1.0  # of the full measurement, which begins anew whatever cheaper settings gave
NO_SETTINGS: Mapping[str, Any] = {}  # those of the full measurement, which stand elsewhere
STATED_SUFFIXES = (FIDELITY_SUFFIX, DEVIATION_SUFFIX)


@dataclass(frozen=True)
class LowFidelity:
    """Settings with which a measurement is cheaper.

    Attributes:
        settings: By name; all others are those of the full measurement.
        cost: Cost of the measurement, as a share of the full one; above 0 and below 1.
    """

    settings: Mapping[str, Any]
    cost: float

    @property
    def name(self) -> str:
        """The settings as text, by which their values are found again."""
        return json.dumps(dict(self.settings), sort_keys=True)


@dataclass(frozen=True)
class CheapValues:
    """What one measurement with cheaper settings gave.

    Attributes:
        stage: The settings.
        metrics: Finite numbers by name, as they were measured.
    """

    stage: LowFidelity
    metrics: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        """Write it as it stands in a study file."""
        return {
            "set": dict(self.stage.settings),
            "cost": self.stage.cost,
            "metrics": dict(self.metrics),
        }


def cheap_values(extra: Mapping[str, Any]) -> list[CheapValues]:
    """Read what cheaper settings gave of a design.

    Args:
        extra: The ``extra`` of its record, or the notes of its metrics.

    Returns:
        The measurements, the cheapest first; none where there are none, or what stands there has another form.
    """
    found = []
    notes = extra.get(CHEAP_FIELD)
    if not isinstance(notes, list):
        return []
    for note in notes:
        if not isinstance(note, dict):
            return []
        settings, cost, metrics = note.get("set"), finite(note.get("cost")), note.get("metrics")
        if not isinstance(settings, dict) or not isinstance(metrics, dict) or cost is None:
            return []
        found.append(CheapValues(LowFidelity(settings, cost), _finite(metrics)))
    return found


def is_measured_in_full(metrics: Metrics, cheap: CheapValues) -> bool:
    """Tell whether a design with cheap values was measured in full too.

    Args:
        metrics: The metrics of the design's evaluation.
        cheap: What cheaper settings gave.

    Returns:
        False where a metric of ``cheap`` states a lower fidelity.
    """
    return all(at_target_fidelity(metrics, name) for name in cheap.metrics)


def is_below_target(problem: Problem, metrics: Metrics) -> bool:
    """Tell whether a design cannot be on the front because something was not measured in full.

    Args:
        problem: What is searched.
        metrics: The metrics of the design's evaluation.

    Returns:
        True where an objective, a constrained metric or what one of them is computed from states a
        lower fidelity than 1.
    """
    names = list(problem.targets)
    for name in problem.targets:
        names += problem.derived.parts(name)
    return not all(at_target_fidelity(metrics, name) for name in names)


def estimates(lines: Mapping[str, Calibration], cheap: CheapValues) -> dict[str, Estimate]:
    """Say what cheap values tell of the full measurement.

    Args:
        lines: The line of each metric that has one.
        cheap: The values.

    Returns:
        Metric to what is known of it; without metrics of which nothing can be said yet.
    """
    found = {}
    for name, value in cheap.metrics.items():
        line = lines.get(name)
        estimate = line.estimate(value) if line is not None else None
        if estimate is not None:
            found[name] = estimate
    return found


def stated(estimated: Mapping[str, Estimate], cost: float) -> dict[str, float]:
    """Write estimates of a full measurement as the metrics of a design whose measurement was stopped.

    Args:
        estimated: What is known of each metric.
        cost: What was measured cost, as a share of the full measurement.

    Returns:
        Each metric; of one that the cheaper settings change also its fidelity, which is the cost, and its
        standard deviation around the full measurement.
    """
    metrics = {}
    for name, estimate in estimated.items():
        metrics[name] = estimate.mean
        if estimate.std > 0:
            metrics[name + FIDELITY_SUFFIX] = cost
            metrics[name + DEVIATION_SUFFIX] = estimate.std
    return metrics


@dataclass
class LowFidelities:
    """Measures designs in stages of growing cost, each with its settings; the last is the full measurement.

    Attributes:
        owner: Whose settings they are.
        stages: The settings before the full measurement, the cheapest first.
        race: What a design has to be worth; None: every design is measured in full, and in no stage before.
        known: Key of a design to the name of a stage to what it gave.
    """

    owner: Owner
    stages: tuple[LowFidelity, ...]
    race: Race | None = None
    known: dict[str, dict[str, Metrics]] = field(default_factory=dict)
    _pairs: dict[str, dict[str, tuple[Metrics, Metrics]]] = field(default_factory=dict, init=False)
    _lines: dict[str, Mapping[str, Calibration]] = field(default_factory=dict, init=False)

    def measure(
        self,
        key: str,
        design: Params,
        measure: Callable[[Mapping[str, Any]], Metrics],
        others: Callable[[], Metrics] = dict,
    ) -> NotedMetrics:
        """Measure a design with cheaper settings, and in full where that may be worth its cost.

        Args:
            key: What designs have in common that measure the same.
            design: Each active gene to its value.
            measure: Measures the design with settings other than those of the full measurement.
            others: Gives the metrics that are measured otherwise; called when they are needed.

        Returns:
            The metrics of the full measurement, or what cheaper ones say of them; with a note of
            what each stage gave.
        """
        if self.race is not None and not self.is_continued(design):
            for stage in self.stages:
                with self._noting_failure(key, {FAILED_CHEAPLY_FIELD: stage.cost}):
                    cheap = self.value(key, design, stage, measure)
                stopped = self._stopped(design, cheap, others)
                if stopped is not None:
                    return self._noted(key, stopped)
        with self._noting_failure(key, {}):
            return self._noted(key, measure(NO_SETTINGS))

    @contextmanager
    def _noting_failure(self, key: str, notes: Mapping[str, Any]) -> Iterator[None]:
        """Say on what is raised in the block which stages were measured before, and ``notes``."""
        try:
            yield
        except Exception as error:
            note_on_failure(error, {**about(self._noted(key, {})), **notes})
            raise

    def warn_of_missing(self, key: str, full: Metrics, wanted: Sequence[str]) -> None:
        """Warn of metrics that a full measurement gives and a cheaper one does not: they stop no design.

        Args:
            key: As in `measure`, of a design that was measured in all stages.
            full: What the full measurement gave.
            wanted: Metrics that the study needs.
        """
        for stage in self.stages:
            missing = self.missing(self.known.get(key, {}).get(stage.name, {}), full, wanted)
            if missing:
                logger.warning(
                    f"with {stage.name} {' and '.join(missing)} is missing or no finite number, so that no "
                    "design is stopped there and each costs more than without this stage: return it "
                    "too, or take the stage out of [[fidelity]]"
                )

    def missing(self, given: Metrics, full: Metrics, wanted: Sequence[str]) -> list[str]:
        """Name the metrics that a full measurement gives and cheaper settings should give, too, but do not.

        Args:
            given: What the cheaper settings gave.
            full: What the full measurement gave.
            wanted: Metrics that the study needs.

        Returns:
            Those of ``wanted`` of which ``given`` has no finite number.
        """
        found = []
        for name in wanted:
            is_accuracy = name.startswith(ACCURACY)
            is_other = self.owner != "evaluator" and is_accuracy != (self.owner == "accuracy")
            if name in full and not is_other and finite(given.get(name)) is None:
                found.append(name)
        return found

    def is_continued(self, design: Params) -> bool:
        """Tell whether a design was stopped before, and is measured in full now that it is worth that.

        Args:
            design: Each active gene to its value.

        Returns:
            Whether it is, by what the study said last.
        """
        if self.race is None or self.race.continued is None:
            return False
        return canonical_key(design) in self.race.continued

    def value(
        self,
        key: str,
        design: Params,
        stage: LowFidelity,
        measure: Callable[[Mapping[str, Any]], Metrics],
    ) -> CheapValues:
        """Measure a design with the settings of a stage, or look up what that gave before.

        Args:
            key: As in `measure`.
            design: Each active gene to its value.
            stage: The settings.
            measure: As in `measure`.

        Returns:
            What it gave, which is kept.
        """
        known = self.known.setdefault(key, {})
        if stage.name not in known:
            measured = measure(stage.settings)
            kept = _finite(measured)
            for gene in kept.keys() & design.keys():  # some programs print the design again
                del kept[gene]
            known[stage.name] = NotedMetrics(kept, _gene_note(about(measured)))
        return CheapValues(stage, known[stage.name])

    def stops(
        self,
        key: str,
        design: Params,
        stage: LowFidelity,
        others: Callable[[], Metrics] = dict,
    ) -> bool:
        """Tell whether a design's measurement ends at a stage whose values are known.

        Args:
            key: As in `measure`.
            design: Each active gene to its value.
            stage: The stage.
            others: As in `measure`.

        Returns:
            Whether going on is not worth its cost.
        """
        cheap = CheapValues(stage, self.known[key][stage.name])
        return self._stopped(design, cheap, others) is not None

    def _stopped(
        self, design: Params, cheap: CheapValues, others: Callable[[], Metrics]
    ) -> NotedMetrics | None:
        """The metrics of a measurement that ends here; None where it goes on, as while too little is known."""
        race = self.race
        if race is None:
            return None
        lines = self._lines_of(cheap.stage)
        if not lines:
            return None
        estimated = estimates(lines, cheap)
        exact = {**others()}
        if not _knows_all(race, design, {**exact, **dict.fromkeys(estimated, 1.0)}):
            return None
        measured = {name: (known.mean, known.std) for name, known in estimated.items()}
        if not race.is_hopeless(design, measured, exact, self._remaining_cost(cheap.stage)):
            return None
        metrics = stated(estimated, cheap.stage.cost)
        if not is_below_target(race.problem, metrics):
            return None
        return NotedMetrics(metrics, about(cheap.metrics))

    def _remaining_cost(self, stage: LowFidelity) -> float:
        """The cost of all that comes after a stage, as a share of the full measurement."""
        later = [each.cost for each in self.stages if each.cost > stage.cost]
        return sum(later, COST_IN_FULL)

    def _lines_of(self, stage: LowFidelity) -> Mapping[str, Calibration]:
        """The line of each metric from a stage to the full measurement."""
        if stage.name not in self._lines:
            self._lines[stage.name] = calibrations(list(self._pairs.get(stage.name, {}).values()))
        return self._lines[stage.name]

    def learn(self, key: str, metrics: Metrics) -> None:
        """Take in an evaluation that was made before, perhaps by another process.

        Args:
            key: As in `measure`.
            metrics: Its metrics, with the note of what cheaper settings gave.
        """
        note = _gene_note(about(metrics))
        for cheap in cheap_values(about(metrics)):
            name = cheap.stage.name
            self.known.setdefault(key, {})[name] = NotedMetrics(cheap.metrics, note)
            if not is_measured_in_full(metrics, cheap):
                continue
            pair = (cheap.metrics, dict(metrics))
            pairs = self._pairs.setdefault(name, {})
            if pairs.get(key) != pair:
                pairs[key] = pair
                self._lines.pop(name, None)

    def _noted(self, key: str, metrics: Metrics) -> NotedMetrics:
        """Metrics with a note of what the stages gave, beside the notes that they have."""
        known = self.known.get(key, {})
        notes = []
        for stage in self.stages:
            if stage.name in known:
                notes.append(CheapValues(stage, known[stage.name]).to_json())
        noted = about(metrics)
        if notes:
            noted[CHEAP_FIELD] = notes
        return NotedMetrics(metrics, noted)


def _knows_all(race: Race, design: Params, known: Mapping[str, float]) -> bool:
    """Whether everything that the study needs of a design is among what is known; a stopped design has to have it."""
    derived = race.problem.derived
    names = [*known, *design]
    return not any(derived.missing(target, names) for target in race.problem.targets)


def _gene_note(notes: Mapping[str, Any]) -> dict[str, Any]:
    """Of the notes of a measurement the one of the genes that an accuracy depended on."""
    if ABOUT_ACCURACY in notes:
        return {ABOUT_ACCURACY: notes[ABOUT_ACCURACY]}
    return {}


def _finite(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The finite numbers among metrics, without what is said of other metrics' fidelity."""
    kept = {}
    for name, value in metrics.items():
        number = finite(value)
        if number is not None and not name.endswith(STATED_SUFFIXES):
            kept[name] = number
    return kept
