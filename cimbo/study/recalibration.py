"""Designs whose measurement was stopped at cheaper settings, read with what all designs measured both ways say today.

A study file keeps what the cheaper settings gave. What that says of the full measurement is computed when the file is read, so
that a design stopped early is corrected by every design that is measured in full later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from cimbo.evaluation.low_fidelity import (
    CHEAP_FIELD,
    CheapValues,
    cheap_values,
    estimates,
    is_below_target,
    is_measured_in_full,
    stated,
)
from cimbo.problem.calibration import Calibration, calibrations
from cimbo.problem.fidelity import DEVIATION_SUFFIX
from cimbo.problem.objectives import FIDELITY_SUFFIX, Metrics, Problem
from cimbo.storage import Record
from cimbo.study.provenance import FINGERPRINT_REFERENCE

# What evaluated, and with which settings: what one says of the full measurement does not hold for another
Source = tuple[object, str]


@dataclass
class Recalibration:
    """Corrects the records of stopped designs; keeps what it found until there are other records.

    Attributes:
        problem: What derives metrics from others.
    """

    problem: Problem
    _read: list[Record] = field(default_factory=list, init=False)
    _corrected: list[Record] = field(default_factory=list, init=False)

    def corrected(self, records: list[Record]) -> list[Record]:
        """Correct the records of stopped designs.

        Args:
            records: Those of a study, further measurements of a design taken together.

        Returns:
            A record for each, in the same order; the same list where nothing was measured with cheaper
            settings.
        """
        if not any(CHEAP_FIELD in record.extra for record in records):
            return records
        if records != self._read:
            self._read = list(records)
            self._corrected = self._with_todays_lines(records)
        return list(self._corrected)

    def _with_todays_lines(self, records: Sequence[Record]) -> list[Record]:
        """The records, those of stopped designs with what all records together say of them."""
        lines = _lines(records)
        found = []
        for record in records:
            cheap = _last_cheap_values(record)
            if cheap is not None and not is_measured_in_full(record.metrics, cheap):
                record = self._corrected_record(
                    record, cheap, lines.get(_source(record, cheap), {})
                )
            found.append(record)
        return found

    def _corrected_record(
        self, record: Record, cheap: CheapValues, lines: Mapping[str, Calibration]
    ) -> Record:
        """The record of a stopped design by the lines of its settings; as it is where these say less than it has."""
        derived = self.problem.derived
        replaced = {name for name in derived.expressions if name not in cheap.metrics}
        for name in cheap.metrics:
            replaced |= {name, name + FIDELITY_SUFFIX, name + DEVIATION_SUFFIX}
        metrics = stated(estimates(lines, cheap), cheap.stage.cost)
        for name, value in record.metrics.items():
            if name not in replaced:
                metrics[name] = value
        metrics = derived.completed(metrics, record.params)
        is_complete = all(name in metrics for name in self.problem.targets)
        if not is_complete or not is_below_target(self.problem, metrics):
            return record
        return replace(record, metrics=metrics)


def _lines(records: Sequence[Record]) -> dict[Source, dict[str, Calibration]]:
    """The line of each metric, by what evaluated and with which cheaper settings."""
    pairs: dict[Source, list[tuple[Metrics, Metrics]]] = {}
    for record in records:
        if record.status != "done":
            continue
        for cheap in cheap_values(record.extra):
            if is_measured_in_full(record.metrics, cheap):
                pair = (cheap.metrics, record.metrics)
                pairs.setdefault(_source(record, cheap), []).append(pair)
    return {source: calibrations(of_source) for source, of_source in pairs.items()}


def _last_cheap_values(record: Record) -> CheapValues | None:
    """What the costliest of the cheaper settings gave of a design; None where there is nothing."""
    measured = cheap_values(record.extra)
    if record.status != "done" or not measured:
        return None
    return measured[-1]


def _source(record: Record, cheap: CheapValues) -> Source:
    """What evaluated a design, and with which cheaper settings."""
    return record.extra.get(FINGERPRINT_REFERENCE), cheap.stage.name
