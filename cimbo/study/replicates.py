"""Further measurements of a design. Its row never changes; they stand beside it, and a reader sees the mean of all.

Where measurements state fidelities, the mean is of those at the highest one: a design that was measured on a part first and in
full later is what the full measurement says.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cimbo.problem.fidelity import partial_metrics
from cimbo.problem.objectives import FIDELITY_SUFFIX
from cimbo.storage import Record, Store
from cimbo.study.stored_values import demand, is_number, is_text, list_of, mapping_of

# A study file keeps the replicates of a design under this prefix and its key
REPLICATES_PREFIX = "replicates/"
# The field of a record's ``extra`` that lists all measurements of the design, in order
REPLICATES_FIELD = "replicates"
# A study file keeps why further measurements of a design failed under this prefix and its key
FAILURES_PREFIX = "failed_replicates/"
# The field of a record's ``extra`` that lists these reasons, in order
FAILURES_FIELD = "failed_replicates"

Metrics = Mapping[str, float]

are_measurements = list_of(mapping_of(is_number))
are_reasons = list_of(is_text)


@dataclass(frozen=True)
class Further:
    """What was told of designs beyond their rows.

    Attributes:
        measured: The metrics of each further measurement, by the key of its design.
        failed: Why each further measurement that failed did, by the key of its design.
    """

    measured: Mapping[str, list[Metrics]] = field(default_factory=dict)
    failed: Mapping[str, list[str]] = field(default_factory=dict)


def add(store: Store, row: Record, metrics: Metrics, times: int = 1) -> bool:
    """Keeps ``metrics`` as a further measurement of the design of ``row``.

    Args:
        store: The study's file.
        row: The design's row, done.
        metrics: What was measured; finite.
        times: How often just these metrics were measured in all. What is stored as often already is not added,
            so that telling the same file twice changes nothing.

    Returns:
        Whether anything was added.
    """
    new = dict(metrics)
    counts = []

    def extended(known: list[Metrics] | None) -> list[Metrics]:
        """Append what is missing of ``times`` measurements with just these metrics."""
        kept = known or []
        missing = times - [row.metrics, *kept].count(new)
        counts.append(missing)
        return [*kept, *([new] * missing)]

    store.update_meta(REPLICATES_PREFIX + row.key, extended)
    return counts[-1] > 0


def count(store: Store, row: Record, metrics: Metrics) -> int:
    """Count the measurements of a design that gave just these metrics.

    Args:
        store: The study's file.
        row: The design's row.
        metrics: What was measured.

    Returns:
        How many are stored, the row's own one included.

    Raises:
        BadInput: What is stored is damaged.
    """
    kept = stored(store).measured.get(row.key, [])
    return [row.metrics, *kept].count(dict(metrics))


def add_failure(store: Store, key: str, reason: str, times: int = 1) -> bool:
    """Keep that a further measurement of a design failed; its row and its mean stay.

    Args:
        store: The study's file.
        key: The key of the design, whose row is done.
        reason: Why it failed.
        times: How often it failed for just this reason. What is stored as often already is not added.

    Returns:
        Whether anything was added.
    """
    counts = []

    def extended(known: list[str] | None) -> list[str]:
        """Append what is missing of ``times`` failures for this reason."""
        kept = known or []
        missing = times - kept.count(reason)
        counts.append(missing)
        return [*kept, *([reason] * missing)]

    store.update_meta(FAILURES_PREFIX + key, extended)
    return counts[-1] > 0


def stored(store: Store) -> Further:
    """Read all further measurements.

    Args:
        store: The study's file.

    Returns:
        Those that succeeded and those that failed.

    Raises:
        BadInput: What is stored is damaged.
    """
    measured = store.metas(REPLICATES_PREFIX)
    for key, measurements in measured.items():
        demand(store, REPLICATES_PREFIX + key, measurements, are_measurements)
    failed = store.metas(FAILURES_PREFIX)
    for key, reasons in failed.items():
        demand(store, FAILURES_PREFIX + key, reasons, are_reasons)
    return Further(measured, failed)


def merged(rows: list[Record], further: Further) -> list[Record]:
    """Replace the metrics of designs that were measured several times by the mean of their measurements.

    Where measurements state fidelities, only those at the highest one count. A metric that these
    lack is the mean of the others.

    Args:
        rows: Records as the file holds them.
        further: Further measurements, by key of the design.

    Returns:
        A record for each row, in the same order. In its ``extra``, `REPLICATES_FIELD` lists every
        measurement of a design that has several, and `FAILURES_FIELD` why further measurements
        failed, if any did. Rows whose status is not "done" are returned as they are.
    """
    if not further.measured and not further.failed:
        return list(rows)
    records = []
    for row in rows:
        again = further.measured.get(row.key)
        if again and row.status == "done":
            row = _with_mean(row, again)
        reasons = further.failed.get(row.key)
        if reasons and row.status == "done":
            row = replace(row, extra={**row.extra, FAILURES_FIELD: reasons})
        records.append(row)
    return records


def _with_mean(row: Record, further: list[Metrics]) -> Record:
    """A row with the mean of its design's measurements at the highest fidelity."""
    every = [row.metrics, *further]
    names: dict[str, None] = {}
    for metrics in every:
        names |= dict.fromkeys(metrics)
    counted = _at_highest_fidelity(every)
    measured = {name for metrics in counted for name in metrics}
    partial = {name for metrics in every for name in partial_metrics(metrics)} & measured
    means = {}
    for name in names:
        # What lower fidelities note beside a metric, such as images, does not hold of a higher one
        is_note = any(name.startswith(f"{metric}_") for metric in partial)
        if is_note and name not in measured:
            continue
        means[name] = _mean(_values(name, counted) or _values(name, every))
    return replace(row, metrics=means, extra={**row.extra, REPLICATES_FIELD: every})


def _at_highest_fidelity(every: Sequence[Metrics]) -> list[Metrics]:
    """The measurements of a design whose fidelity none of the others exceeds."""
    fidelities = [_fidelity(metrics) for metrics in every]
    highest = max(fidelities, default=1.0)
    return [m for m, fidelity in zip(every, fidelities, strict=True) if fidelity == highest]


def _fidelity(metrics: Metrics) -> float:
    """The lowest fidelity that a measurement states of any metric; 1 where it states none."""
    stated = [value for name, value in metrics.items() if name.endswith(FIDELITY_SUFFIX)]
    return min(stated, default=1.0)


def _values(name: str, every: Iterable[Metrics]) -> list[float]:
    """What the measurements say of one metric, without those that do not have it."""
    return [metrics[name] for metrics in every if name in metrics]


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def measurements(record: Record) -> list[Metrics]:
    """List every measurement of a design that was measured several times.

    Args:
        record: What `merged` returned.

    Returns:
        The metrics of each, in order; nothing of a design that was measured once.
    """
    every: Any = record.extra.get(REPLICATES_FIELD)
    if are_measurements(every):
        return list(every)
    return []


def noise(records: Iterable[Record]) -> dict[str, float]:
    """Estimate the standard deviation of one measurement of each metric.

    It is pooled over the designs that were measured several times: the square root of the sum of
    squares about each design's mean over the sum of its degrees of freedom.

    Args:
        records: What `merged` returned.

    Returns:
        The standard deviation by metric, in the unit of the metric. A metric that no design has
        several measurements of is left out.
    """
    squares: dict[str, float] = {}
    freedom: dict[str, int] = {}
    for record in records:
        every = _at_highest_fidelity(measurements(record))
        for name in record.metrics:
            values = _values(name, every)
            if len(values) > 1:
                deviations = np.array(values) - _mean(values)
                squares[name] = squares.get(name, 0.0) + float(deviations @ deviations)
                freedom[name] = freedom.get(name, 0) + len(values) - 1
    return {name: math.sqrt(total / freedom[name]) for name, total in squares.items()}


def noise_of_means(records: Sequence[Record]) -> dict[str, NDArray[np.float64]]:
    """Estimate the standard deviation of what each record says of a metric.

    It is that of one measurement over sqrt(k) where the record is the mean of k measurements.

    Args:
        records: What `merged` returned, n of them.

    Returns:
        Standard deviations (n,) by metric, in the unit of the metric. Empty where no design was
        measured several times, or where its measurements never differed.
    """
    deviations = {}
    for name, value in noise(records).items():
        if value > 0:
            deviations[name] = value
    if not deviations:
        return {}
    counts = [len(_at_highest_fidelity(measurements(record))) or 1 for record in records]
    roots = np.sqrt(np.array(counts, float))
    return {name: value / roots for name, value in deviations.items()}
