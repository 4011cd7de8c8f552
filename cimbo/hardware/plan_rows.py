"""What each layer of one network on one chip runs, read from the plan of the pair.

A *row* is one distinct layer shape of the network.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np

from cimbo.hardware.events import EVENT_FIELDS
from cimbo.hardware.plan import Plan, ResidencyChoice, mean_over_layers
from cimbo.hardware.rows import Floats, overwrite, select
from cimbo.hardware.schedule_table import Schedule


def _mean_schedule(run: Schedule, choice: ResidencyChoice) -> Schedule:
    """The schedule of a choice's rows, on average over the equal layers that each row stands for."""
    usual, other = select(run, choice.rows), choice.variant.schedules.high
    if (choice.share == 1).all():
        return other
    mean: dict[str, Any] = {}
    for field in fields(Schedule):
        usual_values, other_values = getattr(usual, field.name), getattr(other, field.name)
        is_number = other_values.dtype == float
        if is_number:
            mean[field.name] = mean_over_layers(usual_values, other_values, choice.share)
        else:  # truth values have no mean
            mean[field.name] = other_values
    return Schedule(**mean)


def rows_run(plan: Plan) -> tuple[Schedule, Floats]:
    """Get the schedule and the events of each layer of one network on one chip.

    A row stands for layers of equal sizes. Where some of them run in another way than the others,
    the row has their average.

    Args:
        plan: The plan of a single pair of network and chip.

    Returns:
        The schedule of every row, and its events in the order of EVENT_FIELDS, (events, rows).
    """
    run, counts = plan.reloaded.schedules.high, plan.reloaded.high[1:].copy()
    # Of the choices that the pair has taken, the last one counts.
    for choice in reversed(plan.choices):
        if choice.chosen.all():
            rows = choice.rows
            overwrite(run, rows, _mean_schedule(run, choice))
            counts[:, rows] = mean_over_layers(
                counts[:, rows], choice.variant.high[1:], choice.share
            )
            break
    if plan.stages is not None:
        _spill_to_owners(plan, counts)
    return run, counts


def _spill_to_owners(plan: Plan, counts: Floats) -> None:
    """Divide a pipeline's DRAM traffic among its layers, in place of their own, in ``counts`` (events, rows).

    Traffic beyond the layers' own is what the buffer cannot hold: layers share it in proportion to
    the activations that each has in the buffer. Where a pipeline moves less than its layers would
    alone, the difference is taken from them in proportion to what they move.
    """
    layers = plan.tiling.layers
    dram, stored = EVENT_FIELDS.index("dram"), EVENT_FIELDS.index("stored")
    more_bits = float(plan.sums.counts[dram, 0] - np.sum(counts[dram] * layers.count))
    if more_bits > 0:
        weight = plan.tiling.input_bits + plan.tiling.output_bits
    else:
        weight = counts[dram].copy()
    all_weights = float(np.sum(weight * layers.count))
    if all_weights > 0:
        counts[dram] += more_bits * weight / all_weights
        counts[stored] += more_bits * weight / all_weights
