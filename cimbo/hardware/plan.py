"""What each (network, chip) pair runs: every way to keep or reload its weights, and the best of them by its criterion."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from cimbo.hardware.events import EVENT_FIELDS, count_events
from cimbo.hardware.grid import Grid
from cimbo.hardware.pipeline import Pipeline, pipeline
from cimbo.hardware.plan_scores import PlanInputs, pair_score, row_scores
from cimbo.hardware.residency import Residency, capacity, partly
from cimbo.hardware.rows import Bools, ChipRows, Floats, Indices, overwrite, select
from cimbo.hardware.schedule import schedule
from cimbo.hardware.schedule_table import Interval, Schedule
from cimbo.hardware.tiling import Tiling, tile

TIE_FACTOR = 1 + 1e-9
"""Scores this near are even, and weights stay: rounding, which is not the same in batches of every size, decides nothing."""


@dataclass(frozen=True)
class PlanSums:
    """Sums over the networks of some pairs, (pairs,) each.

    Attributes:
        cycles: Of the schedule that exists.
        interval: Cycles between two results; fewer than the former where layers work side by side.
        counts: Its events, (fields, pairs).
        cycles_low: Of the one that may be too good.
        counts_low: Its events, (fields, pairs).
        macs: Multiply-accumulates, in units of one at the chip's own bits.
        resident: Whether all weights stay on the chip.
        is_bound: Whether the two schedules differ.
    """

    cycles: Floats
    interval: Floats
    counts: Floats
    cycles_low: Floats
    counts_low: Floats
    macs: Floats
    resident: Bools
    is_bound: Bools


@dataclass(frozen=True)
class _Variant:
    """One way to run some rows: both schedules, and cycles above events of each, (1 + fields, rows)."""

    schedules: Interval
    low: Floats
    high: Floats

    def select(self, where: Bools) -> _Variant:
        """Take some of the rows.

        Args:
            where: True for each row to take, (rows,).

        Returns:
            Those rows, run in the same way.
        """
        if where.all():
            return self
        low, high = self.schedules.low, self.schedules.high
        some = select(low, where)
        schedules = Interval(some, some if high is low else select(high, where))
        events = self.low[:, where]
        return _Variant(schedules, events, events if self.high is self.low else self.high[:, where])


@dataclass(frozen=True)
class _Choice:
    """A way to run some rows, those rows and the share of their layers that run so, and which pairs (pairs,) take it."""

    variant: _Variant
    where: Indices
    share: Floats
    chosen: Bools


@dataclass(frozen=True)
class Plan:
    """What some pairs run.

    Attributes:
        tiling: Rows of the pairs.
        reloaded: All rows, with weights loaded at each inference.
        choices: Ways in which weights stay; a later one takes precedence.
        sums: What the pairs cost so.
        stages: The pipelines of those pairs that are some; None where none is.
    """

    tiling: Tiling
    reloaded: _Variant
    choices: tuple[_Choice, ...]
    sums: PlanSums
    stages: Pipeline | None = None


def tile_grid(chip_columns: Floats, grid: Grid) -> Tiling:
    """Tiles of every row of a grid.

    Args:
        chip_columns: What schedules depend on of each pair's chip, (len(CHIP_FIELDS), pairs).
        grid: The rows.

    Returns:
        Columns of shape (rows,).
    """
    return tile(grid.layers, ChipRows.from_columns(grid.rows(chip_columns)))


def plan_pairs(given: PlanInputs, grid: Grid, *, follow_first: bool = False) -> Plan:
    """Choose what each pair runs.

    Weights are reloaded, some of them kept, or all: whatever is best by the pair's criterion. A
    chip that is to run as a pipeline keeps all weights wherever they fit.

    Args:
        given: What is known of each pair's chip, (..., pairs).
        grid: The rows of these pairs.
        follow_first: Whether every pair keeps the weights that the first one does; their networks
            are then the same, and so are the tiles of their chips.

    Returns:
        The plan of every pair, with its sums.
    """
    tiling = tile_grid(given.chip_columns, grid)
    reloaded = _variant(tiling, None)
    best = _Best.of(given, grid, reloaded)
    choices = []
    in_stages = None
    for residency in (partly(tiling, grid.network), capacity(tiling, grid)):
        where = np.flatnonzero(residency.is_kept)
        if not where.size:
            continue
        kept = _variant(select(tiling, where), select(residency, where))
        single = ~residency.fits[where]
        if single.all():  # layers stay one by one, where that is better for them
            others = row_scores(given, grid, (reloaded.high[:, where], where), best.high)
            own = row_scores(given, grid, (kept.high, where), best.high)
            worth = own <= others * TIE_FACTOR
            if follow_first:
                worth = _as_first(worth, grid.starts.size)
            where, kept = where[worth], kept.select(worth)
        elif tiling.chip.is_pipelined[where].any():
            in_stages = _pipelined(select(tiling, where), grid, kept, residency)
        other = (reloaded, kept, where)
        best, chosen = best.improved(given, grid, other, residency, follow_first=follow_first)
        choices.append(_Choice(kept, where, residency.share[where], chosen))
    interval, counts = best.high[0], best.high[1:]
    if in_stages is not None:
        interval, counts = interval.copy(), counts.copy()
        _run_in_stages(in_stages, interval, counts)
    sums = PlanSums(
        cycles=best.high[0],
        interval=interval,
        counts=counts,
        cycles_low=best.low[0],
        counts_low=best.low[1:],
        macs=grid.sums(tiling.layers.macs * tiling.precision.mac_share),
        resident=best.resident,
        is_bound=best.is_bound,
    )
    if in_stages is None:
        stages = None
    else:
        stages = in_stages.pipeline
    return Plan(tiling, reloaded, tuple(choices), sums, stages)


@dataclass(frozen=True)
class _Stages:
    """Pairs whose weights fit, which of those run as pipelines, (fitting pairs,), and the pipelines of all of them."""

    pairs: Indices
    is_pipelined: Bools
    pipeline: Pipeline


def _pipelined(tiling: Tiling, grid: Grid, kept: _Variant, residency: Residency) -> _Stages:
    """The pipelines of the pairs whose weights fit; ``tiling`` and ``kept`` are of their rows."""
    fits = residency.fits[grid.starts]
    some = grid.some(fits)
    found = pipeline(tiling, kept.schedules.high, some)
    return _Stages(np.flatnonzero(fits), tiling.chip.is_pipelined[some.starts] > 0, found)


def _run_in_stages(stages: _Stages, interval: Floats, counts: Floats) -> None:
    """Writes what pipelines change into cycles between results (pairs,) and events (fields, pairs)."""
    pairs, chosen = stages.pairs[stages.is_pipelined], stages.is_pipelined
    interval[pairs] = stages.pipeline.interval[chosen]
    dram, stored = EVENT_FIELDS.index("dram"), EVENT_FIELDS.index("stored")
    more = stages.pipeline.dram_bits[chosen] - counts[dram, pairs]
    counts[dram, pairs] += more
    counts[stored, pairs] += more


@dataclass(frozen=True)
class _Best:
    """The best found for each pair: sums of both schedules, (1 + fields, pairs), score, and what holds, (pairs,)."""

    high: Floats
    low: Floats
    score: Floats
    resident: Bools
    is_bound: Bools

    @classmethod
    def of(cls, given: PlanInputs, grid: Grid, variant: _Variant) -> _Best:
        """Take one way to run all rows as the best so far.

        Args:
            given: The pairs' chips, (..., pairs).
            grid: The rows of these pairs.
            variant: How all rows run, with no weights kept.

        Returns:
            Sums and scores of every pair, none of them resident.
        """
        high = grid.sums(variant.high)
        if variant.low is variant.high:
            low = high
        else:
            low = grid.sums(variant.low)
        bound = grid.sums(variant.schedules.low.is_bound) > 0
        return cls(high, low, pair_score(given, high), np.zeros(grid.starts.size, bool), bound)

    def improved(
        self,
        given: PlanInputs,
        grid: Grid,
        other: tuple[_Variant, _Variant, Indices],
        residency: Residency,
        *,
        follow_first: bool,
    ) -> tuple[_Best, Bools]:
        """Compare the best so far with running some rows in another way.

        The other way is taken where it is as good or better, and by chips that are to run as
        pipelines wherever all weights fit.

        Args:
            given: The pairs' chips, (..., pairs).
            grid: The rows of these pairs.
            other: How all rows run as a base, how some rows run instead, and which rows these are.
            residency: Which weights stay so, and for which share of a row's layers, of all rows.
            follow_first: Whether every pair takes what is better for the first.

        Returns:
            The better of the two for each pair, and which pairs take the other way, (pairs,).
        """
        base, kept, where = other
        one = base.high is base.low and kept.high is kept.low
        taken = where, residency.share[where]
        high = _exchanged(grid, (base.high, kept.high), taken)
        if one:
            low = high
        else:
            low = _exchanged(grid, (base.low, kept.low), taken)
        score = pair_score(given, high)
        concerned = np.bincount(grid.network[where], minlength=grid.starts.size) > 0
        asked = (given.is_pipelined > 0) & residency.fits[grid.starts]
        chosen = concerned & (asked | (score <= self.score * TIE_FACTOR))
        if follow_first:
            chosen = _as_first(chosen, chosen.size)
        bound = base.schedules.low.is_bound.copy()
        bound[where] = kept.schedules.low.is_bound | (bound[where] & (taken[1] < 1))
        better = _Best(
            high=np.where(chosen, high, self.high),
            low=np.where(chosen, low, self.low),
            score=np.where(chosen, score, self.score),
            resident=np.where(chosen, residency.fits[grid.starts], self.resident),
            is_bound=np.where(chosen, grid.sums(bound) > 0, self.is_bound),
        )
        return better, chosen


def _as_first(chosen: Bools, pairs: int) -> Bools:
    """What is chosen for the first of some pairs of equal length, for all of them."""
    return np.tile(chosen[: chosen.size // pairs], pairs)


def _variant(tiling: Tiling, residency: Residency | None) -> _Variant:
    schedules = schedule(tiling, residency)
    low = _cycles_and_events(tiling, schedules.low)
    if schedules.high is schedules.low:
        return _Variant(schedules, low, low)
    bound = np.flatnonzero(schedules.low.is_bound)  # where alone the two schedules differ
    high = low.copy()
    high[:, bound] = _cycles_and_events(select(tiling, bound), select(schedules.high, bound))
    return _Variant(schedules, low, high)


def _cycles_and_events(tiling: Tiling, plan: Schedule) -> Floats:
    return np.concatenate([plan.cycles[None], count_events(tiling, plan).stacked()])


def _exchanged(
    grid: Grid, variants: tuple[Floats, Floats], taken: tuple[Indices, Floats]
) -> Floats:
    """Sums over each pair, (1 + fields, pairs), with some rows, or a share of their layers, run in the second way."""
    where, share = taken
    rows = variants[0].copy()
    rows[:, where] = _mixed(rows[:, where], variants[1], share)
    return grid.sums(rows)


def _mixed(usual: Floats, other: Floats, share: Floats) -> Floats:
    """What layers that are alike cost on average where a share of them runs in the other way."""
    return np.where(share == 1, other, usual + share * (other - usual))


def _mean_schedule(run: Schedule, choice: _Choice) -> Schedule:
    """What the rows of a choice run on average over their layers."""
    usual, other = select(run, choice.where), choice.variant.schedules.high
    if (choice.share == 1).all():
        return other
    mean: dict[str, Any] = {}
    for field in fields(Schedule):
        before, after = getattr(usual, field.name), getattr(other, field.name)
        is_number = after.dtype == float
        if is_number:
            mean[field.name] = _mixed(before, after, choice.share)
        else:
            mean[field.name] = after
    return Schedule(**mean)


def rows_run(plan: Plan) -> tuple[Schedule, Floats]:
    """Get the schedule and the events of each layer of one network on one chip.

    A row stands for layers of equal sizes. Where some of them run in another way than the others,
    the row has their average.

    Args:
        plan: The plan of a single pair of network and chip.

    Returns:
        The schedule of every row, and its events in the order of EVENT_FIELDS, (fields, rows).
    """
    run, counts = plan.reloaded.schedules.high, plan.reloaded.high[1:].copy()
    # A later choice takes precedence.
    for choice in reversed(plan.choices):
        if choice.chosen.all():
            where, share = choice.where, choice.share
            overwrite(run, where, _mean_schedule(run, choice))
            counts[:, where] = _mixed(counts[:, where], choice.variant.high[1:], share)
            break
    if plan.stages is not None:
        _spill_to_owners(plan, counts)
    return run, counts


def _spill_to_owners(plan: Plan, counts: Floats) -> None:
    """Writes what a pipeline moves over the DRAM into its layers' events, (fields, rows).

    Layers share what the buffer cannot hold by the activations that each has in it; where a pipeline moves less than its
    layers would alone, by what these move.
    """
    layers = plan.tiling.layers
    dram, stored = EVENT_FIELDS.index("dram"), EVENT_FIELDS.index("stored")
    more = float(plan.sums.counts[dram, 0] - np.sum(counts[dram] * layers.count))
    if more > 0:
        owned = plan.tiling.input_bits + plan.tiling.output_bits
    else:
        owned = counts[dram].copy()
    whole = float(np.sum(owned * layers.count))
    if whole > 0:
        counts[dram] += more * owned / whole
        counts[stored] += more * owned / whole
