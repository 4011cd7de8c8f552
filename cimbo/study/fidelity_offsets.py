"""By how much measurements at a lower fidelity deviate from full ones, learned from designs that have both.

Measurements of different designs at one fidelity share what they were made with, such as the first 200 images. So they share
most of their deviation: where these images are harder than the others, every design looks worse. What designs share is
learned from the first ones, which are all measured in full. Of designs that were measured in full because they looked good
it could not be learned: they look better on the first images than they are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from cimbo.problem.fidelity import DEVIATION_SUFFIX, partial_metrics
from cimbo.problem.objectives import FIDELITY_SUFFIX, Metrics
from cimbo.storage import Record
from cimbo.study.replicates import measurements

N_CALIBRATING = 6  # first designs of a study, which are measured in full in any case
LEAST_PAIRS = 3  # designs with both measurements, before anything is learned
# The stated deviations count as so many further pairs
PAIRS_OF_PRIOR = 1.0


@dataclass(frozen=True)
class Offset:
    """What full measurements differ by from those at one fidelity, in standard deviations that these state.

    Attributes:
        mean: What to add.
        spread: The standard deviation of what remains.
    """

    mean: float
    spread: float


def calibrated(records: Sequence[Record]) -> list[Record]:
    """Correct partial measurements by what designs with full measurements tell.

    Args:
        records: Evaluations, with all measurements of each design.

    Returns:
        The evaluations. Metrics at less than full fidelity have another value and a smaller standard
        deviation where at least ``LEAST_PAIRS`` designs of the first ones have both.
    """
    offsets = _offsets(records)
    if not offsets:
        return list(records)
    corrected = []
    for record in records:
        corrected.append(replace(record, metrics=_corrected(record.metrics, offsets)))
    return corrected


def _corrected(metrics: Metrics, offsets: Mapping[tuple[str, float], Offset]) -> dict[str, float]:
    """Metrics with those corrected that are partial and have an offset."""
    changed = dict(metrics)
    for name in partial_metrics(metrics):
        offset = offsets.get((name, metrics[name + FIDELITY_SUFFIX]))
        std = metrics.get(name + DEVIATION_SUFFIX, 0.0)
        if offset is not None and std > 0:
            changed[name] = metrics[name] + offset.mean * std
            changed[name + DEVIATION_SUFFIX] = offset.spread * std
    return changed


def _offsets(records: Sequence[Record]) -> dict[tuple[str, float], Offset]:
    """The offset of each metric and fidelity that is known well enough."""
    differences: dict[tuple[str, float], list[float]] = {}
    for record in records:
        if record.number > N_CALIBRATING or partial_metrics(record.metrics):
            continue
        for measured in measurements(record):
            for name in partial_metrics(measured):
                std = measured.get(name + DEVIATION_SUFFIX, 0.0)
                if std > 0:
                    fidelity = measured[name + FIDELITY_SUFFIX]
                    difference = (record.metrics[name] - measured[name]) / std
                    differences.setdefault((name, fidelity), []).append(difference)
    return {key: _offset(found) for key, found in differences.items() if len(found) >= LEAST_PAIRS}


def _offset(differences: Sequence[float]) -> Offset:
    """What differences, in stated standard deviations, have in common, and what remains.

    A stated variance is that of what designs share and of what they do not. So where differences vary
    by all of it, designs share nothing, and the mean of the differences is chance.

    Args:
        differences: Those of n designs.

    Returns:
        The expected common difference, and the deviation around it.
    """
    n = len(differences)
    mean = math.fsum(differences) / n
    squares = math.fsum((d - mean) ** 2 for d in differences)
    not_shared = min((PAIRS_OF_PRIOR + squares) / (PAIRS_OF_PRIOR + n - 1), 1.0)
    shared = 1.0 - not_shared
    weight = shared / (shared + not_shared / n)
    return Offset(weight * mean, min(math.sqrt(not_shared * (1 + 1 / n)), 1.0))
