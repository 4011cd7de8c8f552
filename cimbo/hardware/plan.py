"""What each (network, chip) pair runs: every way to keep or reload its weights, and the best of them by its criterion.

A *row* is one distinct layer shape of one pair. *Cycles and events* come as one array (1 + events, rows): cycles in the first
line, the counts of ``EVENT_FIELDS`` in the others. Every way to run has two schedules: the high one, which the chip can run,
and the low one, a lower bound of its costs (:class:`cimbo.hardware.schedule_table.Interval`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cimbo.hardware.events import EVENT_FIELDS, count_events
from cimbo.hardware.grid import Grid
from cimbo.hardware.pipeline import Pipeline, pipeline
from cimbo.hardware.plan_scores import PlanInputs, pair_score, row_scores
from cimbo.hardware.residency import Residency, capacity, partly
from cimbo.hardware.rows import Bools, ChipRows, Floats, Indices, select
from cimbo.hardware.schedule import schedule
from cimbo.hardware.schedule_table import Interval, Schedule
from cimbo.hardware.tiling import Tiling, tile

TIE_FACTOR = 1 + 1e-9
"""Scores this near are even, and weights stay: rounding, which is not the same in batches of every size, decides nothing."""


@dataclass(frozen=True)
class PlanSums:
    """Sums over the networks of some pairs, (pairs,) each.

    Attributes:
        cycles: Cycles of the high schedule.
        interval: Cycles between two results; fewer than ``cycles`` where layers work side by side.
        counts: Events of the high schedule, (events, pairs).
        cycles_low: Cycles of the low schedule.
        counts_low: Events of the low schedule, (events, pairs).
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
    """One way to run some rows.

    Attributes:
        schedules: The low and the high schedule; the same object where they do not differ.
        low: Cycles and events of the low schedule, (1 + events, rows).
        high: Cycles and events of the high schedule; the same object where they do not differ.
    """

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
class ResidencyChoice:
    """A way to run some rows, which some of the pairs have chosen.

    Attributes:
        variant: How these rows run.
        rows: Indices of the rows, (chosen rows,).
        share: Fraction of each row's equal layers that run so, (chosen rows,).
        chosen: True for each pair that has chosen it, (pairs,).
    """

    variant: _Variant
    rows: Indices
    share: Floats
    chosen: Bools


@dataclass(frozen=True)
class Plan:
    """What some pairs run.

    Attributes:
        tiling: The tiles of all rows.
        reloaded: How all rows run if weights are loaded at each inference.
        choices: Ways in which weights stay; of those that a pair has chosen, the last one counts.
        sums: Cycles and events of the pairs, run so.
        stages: The pipelines of the pairs that run as one; None where no pair does.
    """

    tiling: Tiling
    reloaded: _Variant
    choices: tuple[ResidencyChoice, ...]
    sums: PlanSums
    stages: Pipeline | None = None


def tile_grid(chip_columns: Floats, grid: Grid) -> Tiling:
    """Lay out the weights of every row of a grid.

    Args:
        chip_columns: The fields of ``ChipRows`` of each pair's chip, (len(CHIP_FIELDS), pairs).
        grid: The rows.

    Returns:
        The tiles, columns of shape (rows,).
    """
    return tile(grid.layers, ChipRows.from_columns(grid.rows(chip_columns)))


def plan_pairs(given: PlanInputs, grid: Grid, *, follow_first: bool = False) -> Plan:
    """Choose what each pair runs.

    Three ways are tried: all weights are reloaded at each inference; single layers' weights stay;
    all weights stay, where they fit. The best by the pair's criterion is taken. A chip that is to
    run as a pipeline keeps all weights wherever they fit.

    Args:
        given: What is known of each pair's chip, (..., pairs).
        grid: Which rows belong to which pair.
        follow_first: Whether every pair keeps the weights that the first one does; their networks
            are then the same, and so are the tiles of their chips.

    Returns:
        The plan of every pair, with its sums.
    """
    tiling = tile_grid(given.chip_columns, grid)
    reloaded = _variant(tiling, None)
    best = _Best.of(given, grid, reloaded)
    choices = []
    stages = None
    for residency in (partly(tiling, grid.network), capacity(tiling, grid)):
        rows = np.flatnonzero(residency.is_kept)
        if not rows.size:
            continue
        kept = _variant(select(tiling, rows), select(residency, rows))
        if not residency.fits[rows].any():  # single layers stay: each only where it gains by it
            reloaded_score = row_scores(given, grid, (reloaded.high[:, rows], rows), best.high)
            kept_score = row_scores(given, grid, (kept.high, rows), best.high)
            gains = kept_score <= reloaded_score * TIE_FACTOR
            if follow_first:
                gains = _as_first(gains, grid.starts.size)
            rows, kept = rows[gains], kept.select(gains)
        elif tiling.chip.is_pipelined[rows].any():
            stages = _pipelined(select(tiling, rows), grid, kept, residency)
        exchange = (reloaded, kept, rows)
        best, chosen = best.improved(given, grid, exchange, residency, follow_first=follow_first)
        choices.append(ResidencyChoice(kept, rows, residency.share[rows], chosen))
    sums = _plan_sums(tiling, grid, best, stages)
    if stages is None:
        return Plan(tiling, reloaded, tuple(choices), sums)
    return Plan(tiling, reloaded, tuple(choices), sums, stages.pipeline)


def _plan_sums(tiling: Tiling, grid: Grid, best: _Best, stages: _Stages | None) -> PlanSums:
    """What each pair's plan costs: the sums of its best way to run, with what a pipeline changes."""
    interval, counts = best.high[0], best.high[1:]
    if stages is not None:
        interval, counts = interval.copy(), counts.copy()
        _run_in_stages(stages, interval, counts)
    return PlanSums(
        cycles=best.high[0],
        interval=interval,
        counts=counts,
        cycles_low=best.low[0],
        counts_low=best.low[1:],
        macs=grid.sums(tiling.layers.macs * tiling.precision.mac_share),
        resident=best.resident,
        is_bound=best.is_bound,
    )


@dataclass(frozen=True)
class _Stages:
    """The pipelines of the pairs whose weights fit their chips.

    Attributes:
        pairs: Indices of these pairs, (fitting pairs,).
        is_pipelined: Whether each of them is to run as a pipeline, (fitting pairs,).
        pipeline: The pipelines of all of them.
    """

    pairs: Indices
    is_pipelined: Bools
    pipeline: Pipeline


def _pipelined(tiling: Tiling, grid: Grid, kept: _Variant, residency: Residency) -> _Stages:
    """Work out the pipelines of the pairs whose weights fit.

    Args:
        tiling: The tiles of these pairs' rows.
        grid: Which rows belong to which pair, of all pairs.
        kept: How these pairs' rows run with weights that stay.
        residency: Which weights stay, of all rows.

    Returns:
        The pipelines of these pairs.
    """
    fits = residency.fits[grid.starts]  # of each pair: all its rows have the same value
    fitting_grid = grid.some(fits)
    pipelines = pipeline(tiling, kept.schedules.high, fitting_grid)
    is_pipelined = tiling.chip.is_pipelined[fitting_grid.starts] > 0
    return _Stages(np.flatnonzero(fits), is_pipelined, pipelines)


def _run_in_stages(stages: _Stages, interval: Floats, counts: Floats) -> None:
    """Write what pipelines change into cycles between results, (pairs,), and events, (events, pairs).

    What a pipeline moves over the DRAM besides its layers' own traffic also passes the buffer.
    """
    pairs = stages.pairs[stages.is_pipelined]
    interval[pairs] = stages.pipeline.interval[stages.is_pipelined]
    dram, stored = EVENT_FIELDS.index("dram"), EVENT_FIELDS.index("stored")
    more_bits = stages.pipeline.dram_bits[stages.is_pipelined] - counts[dram, pairs]
    counts[dram, pairs] += more_bits
    counts[stored, pairs] += more_bits


@dataclass(frozen=True)
class _Best:
    """The best way to run that was found for each pair.

    Attributes:
        high: Cycles and events of the high schedule, (1 + events, pairs).
        low: Cycles and events of the low schedule, (1 + events, pairs).
        score: What the pair's criterion gives for ``high``; less is better, (pairs,).
        resident: Whether all weights stay on the chip, (pairs,).
        is_bound: Whether the two schedules differ, (pairs,).
    """

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
            grid: Which rows belong to which pair.
            other: How all rows run as a base, how some rows run instead, and which rows these are.
            residency: Which weights stay so, and for which share of a row's layers, of all rows.
            follow_first: Whether every pair takes what is better for the first.

        Returns:
            The better of the two for each pair, and which pairs take the other way, (pairs,).
        """
        base, kept, rows = other
        share = residency.share[rows]
        high = _exchanged(grid, (base.high, kept.high), (rows, share))
        if base.high is base.low and kept.high is kept.low:
            low = high
        else:
            low = _exchanged(grid, (base.low, kept.low), (rows, share))
        score = pair_score(given, high)
        has_such_rows = np.bincount(grid.network[rows], minlength=grid.starts.size) > 0
        must_keep = (given.is_pipelined > 0) & residency.fits[grid.starts]
        chosen = has_such_rows & (must_keep | (score <= self.score * TIE_FACTOR))
        if follow_first:
            chosen = _as_first(chosen, chosen.size)
        # Of a row whose layers do not all run in the other way, some still run in the base way.
        bound = base.schedules.low.is_bound.copy()
        bound[rows] = kept.schedules.low.is_bound | (bound[rows] & (share < 1))
        better = _Best(
            high=np.where(chosen, high, self.high),
            low=np.where(chosen, low, self.low),
            score=np.where(chosen, score, self.score),
            resident=np.where(chosen, residency.fits[grid.starts], self.resident),
            is_bound=np.where(chosen, grid.sums(bound) > 0, self.is_bound),
        )
        return better, chosen


def _as_first(chosen: Bools, pairs: int) -> Bools:
    """Choose for all pairs what is chosen for the first; all pairs have as many elements of ``chosen``."""
    return np.tile(chosen[: chosen.size // pairs], pairs)


def _variant(tiling: Tiling, residency: Residency | None) -> _Variant:
    """Schedule rows with weights that stay as ``residency`` says (None: all reloaded); count events."""
    schedules = schedule(tiling, residency)
    low = _cycles_and_events(tiling, schedules.low)
    if schedules.high is schedules.low:
        return _Variant(schedules, low, low)
    bound = np.flatnonzero(schedules.low.is_bound)  # where alone the two schedules differ
    high = low.copy()
    high[:, bound] = _cycles_and_events(select(tiling, bound), select(schedules.high, bound))
    return _Variant(schedules, low, high)


def _cycles_and_events(tiling: Tiling, plan: Schedule) -> Floats:
    """Cycles, and below them the counts of all events, (1 + events, rows)."""
    return np.concatenate([plan.cycles[None], count_events(tiling, plan).stacked()])


def _exchanged(
    grid: Grid, variants: tuple[Floats, Floats], taken: tuple[Indices, Floats]
) -> Floats:
    """Sum cycles and events over each pair, with some rows run in another way.

    Args:
        grid: Which rows belong to which pair.
        variants: Cycles and events of all rows in the usual way, (1 + events, rows), and of some
            rows in the other way, (1 + events, some rows).
        taken: Which rows these are, and the fraction of their equal layers that run in the other
            way, (some rows,) each.

    Returns:
        Sums, (1 + events, pairs).
    """
    usual, other = variants
    rows, share = taken
    values = usual.copy()
    values[:, rows] = mean_over_layers(values[:, rows], other, share)
    return grid.sums(values)


def mean_over_layers(usual: Floats, other: Floats, share: Floats) -> Floats:
    """Mean over equal layers, a fraction ``share`` of which runs in the other way; exact where it is 1."""
    return np.where(share == 1, other, usual + share * (other - usual))
