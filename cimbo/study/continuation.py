"""Measurements that were stopped early, and which of them are worth continuing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from cimbo.evaluation.low_fidelity import cheap_values
from cimbo.evaluation.racing import IMAGES_NAME
from cimbo.problem.fidelity import DEVIATION_SUFFIX, Race, partial_metrics, remaining_cost
from cimbo.problem.objectives import Candidate, Metrics
from cimbo.storage import Record
from cimbo.study.fidelity_offsets import N_CALIBRATING
from cimbo.study.protocols import RecordingStudy
from cimbo.study.replicates import FAILURES_FIELD

Prediction = Mapping[str, tuple[float, float]]
# What a full evaluation has to be expected to add at least, as a share of what evaluations have added on average; and
# without references the least chance of being on the front. docs/design/fidelities.md says what other choices gave.
LEAST_GAIN = 0.03
# The same once designs have cost more than this share of a full evaluation in the mean
DEAR_COST = 0.32
LEAST_GAIN_WHEN_DEAR = 1.5
LEAST_CHANCE = 0.05


def stopped(records: Sequence[Record]) -> list[Record]:
    """Find the designs whose measurement ended early.

    Args:
        records: Evaluations.

    Returns:
        Those that may be continued, in order; none whose continuation has failed before.
    """
    found = []
    for record in records:
        has_failed = record.status != "done" or record.extra.get(FAILURES_FIELD)
        if not has_failed and partial_metrics(record.metrics):
            found.append(record)
    return found


def was_stopped_in_a_stage(record: Record) -> bool:
    """Tell whether a stage of the study ended a measurement, and not an evaluator of the user's by itself.

    Args:
        record: The evaluation of a design.

    Returns:
        True where the record has what a stage notes and is not measured in full.
    """
    is_of_a_stage = IMAGES_NAME in record.metrics or bool(cheap_values(record.extra))
    return is_of_a_stage and bool(partial_metrics(record.metrics))


def race(study: RecordingStudy, new: Sequence[Candidate]) -> Race:
    """Describe what designs have to beat.

    Args:
        study: The study.
        new: The designs that were chosen last and are not measured yet.

    Returns:
        The front, what is predicted of the new designs, and what these are expected to add for the
        cost of one full evaluation.
    """
    predicted = {}
    for c in new:
        if c.predicted:
            predicted[c.key] = c.predicted
    front = tuple(record.metrics for record in study.pareto())
    found = Race(study.problem, front, predicted)
    return replace(found, gain_elsewhere=_gain_of_new(found, new))


def patient_race(
    study: RecordingStudy,
    new: Sequence[Candidate],
    records: Sequence[Record],
    predicted: Mapping[str, Prediction],
    *,
    has_stages: bool = True,
) -> Race:
    """Describe what designs have to beat where a stopped measurement may go on later.

    Args:
        study: The study.
        new: The designs that were chosen last and are not measured yet.
        records: Stopped designs, their measurements corrected (`cimbo.study.fidelity_offsets`).
        predicted: What surrogates predict of these, by key.
        has_stages: Whether the search still measures in stages. Where it does not, only the small
            share below counts: every new design costs a full evaluation, too.

    Returns:
        The front, what is predicted of the stopped designs, and what new ones are expected to add for
        the cost of one full evaluation: beyond the front and what stopped ones promise, over the mean
        cost that designs had so far. Most are stopped early, so that one full evaluation pays for
        several. It is at least a small share of what evaluations have added so far.
    """
    to_beat = race(study, new)
    found = replace(to_beat, predicted=predicted)
    if not has_stages:
        return replace(found, gain_elsewhere=_least_gain(study, is_dear=False))
    promised = [_expected(found, record) for record in records]
    promised = [metrics for metrics in promised if found.is_feasible(metrics)]
    gain = _gain_of_new(replace(to_beat, front=[*to_beat.front, *promised]), new)
    costs = [1.0 - remaining_cost(record.metrics) for record in study.evaluations()]
    mean_cost = float(np.mean(costs)) if costs else 1.0
    least = _least_gain(study, is_dear=mean_cost > DEAR_COST)
    return replace(found, gain_elsewhere=max(gain / mean_cost, least))


def _least_gain(study: RecordingStudy, *, is_dear: bool) -> float:
    """The smallest gain that is worth a full evaluation, whatever else it would buy."""
    volume = study.hypervolume()
    if volume is None:
        return LEAST_CHANCE
    share = LEAST_GAIN_WHEN_DEAR if is_dear else LEAST_GAIN
    return share * volume / max(len(study.evaluations()), 1)


def _gain_of_new(race: Race, new: Sequence[Candidate]) -> float:
    """The mean of what is expected of new designs that a surrogate chose; 0 where there are none."""
    gains = [race.expected_gain(c.params, {}, {}) or 0.0 for c in new if c.predicted]
    if not gains:
        return 0.0
    return float(np.mean(gains))


def choose(
    race: Race, records: Sequence[Record], costs: Mapping[str, float], n: int
) -> list[Record]:
    """Choose stopped designs whose expected gain is worth the cost of their next stage.

    The first designs of a study are continued in any case, since they tell how measurements of a part
    deviate from full ones (`cimbo.study.fidelity_offsets`). Of the others the one that promises most for its
    cost comes first. It counts as measured, with the metrics that
    are expected of it, while the next one is chosen.

    Args:
        race: The front, what surrogates predict of the designs now, and what else their cost would buy.
        records: Stopped designs, their measurements corrected (`cimbo.study.fidelity_offsets`).
        costs: Key of each to the cost of its next stage, as a share of one full evaluation.
        n: How many at most.

    Returns:
        The chosen ones, in order of choice.
    """
    chosen = [record for record in records if record.number <= N_CALIBRATING]
    hopeful = [record for record in records if record.number > N_CALIBRATING]
    while len(chosen) < n:
        # What promises too little now promises too little later, too: gains only fall
        worth = [(_gain(race, record) / costs[record.key], record) for record in hopeful]
        worth = [pair for pair in worth if pair[0] > race.gain_elsewhere]
        if not worth:
            break
        _, best = max(worth, key=lambda pair: pair[0])
        chosen.append(best)
        hopeful = [record for _, record in worth if record is not best]
        expected = _expected(race, best)
        if race.is_feasible(expected):
            race = replace(race, front=[*race.front, expected])
    return chosen


def _gain(race: Race, record: Record) -> float:
    """What a stopped design is expected to add to the hypervolume, once it is measured in full."""
    measured = _measured_in_part(record)
    return race.expected_gain(record.params, measured, _exact_metrics(race, record)) or 0.0


def _measured_in_part(record: Record) -> dict[str, tuple[float, float]]:
    """Metric to value and standard deviation, of what was not measured in full."""
    found = {}
    for name in partial_metrics(record.metrics):
        found[name] = (record.metrics[name], record.metrics.get(name + DEVIATION_SUFFIX, 0.0))
    return found


def _expected(race: Race, record: Record) -> Metrics:
    """The metrics that a full measurement is expected to give."""
    means = {}
    for name, (value, std) in _measured_in_part(record).items():
        means[name], _ = race.estimate(record.key, name, value, std)
    return race.problem.completed({**means, **_exact_metrics(race, record)}, record.params)


def _exact_metrics(race: Race, record: Record) -> dict[str, float]:
    """The metrics of a record that are measured in full, without those that follow from others."""
    partial = partial_metrics(record.metrics)
    derived = race.problem.derived.expressions
    return {k: v for k, v in record.metrics.items() if k not in partial and k not in derived}
