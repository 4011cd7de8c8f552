"""The arrays of a chip as they were made, and what of a design decides them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from cimbo.hardware.array_description import (
    ARRAY_GENES,
    USUAL_CONDITIONS,
    ArrayDescription,
    RangePolicy,
    describe_array,
)
from cimbo.hardware.cell_errors import ArrayConditions
from cimbo.workloads.precision import is_precision_gene

N_DIES = 4  # chips over which errors that are fixed once a chip is made are averaged
DEFAULT_ROWS = 128  # rows of a chip that does not say
#: The genes of a chip that decide the accuracy on it.
ACCURACY_GENES = tuple(sorted(ARRAY_GENES))


@dataclass(frozen=True)
class ArrayInstance:
    """The arrays of a chip as they were made.

    Attributes:
        array: what they compute with.
        seed: of everything that differs between two chips of one design.
        most_dies: how many dies are looked at at most.
    """

    array: ArrayDescription
    seed: int = 0
    most_dies: int = N_DIES

    @property
    def n_dies(self) -> int:
        """How many dies are looked at: one where all are alike."""
        if self.array.cells_err or self.array.offset_lsb:
            return min(self.most_dies, N_DIES)
        return 1


def with_ideal_converters(array: ArrayDescription) -> ArrayDescription:
    """Gives the array converters that do not err and a range for every layer, input step and slice.

    Word lines then take inputs of either sign and a slice is the difference of two cells, so that
    sums are small about zero. A range that is fixed stays fixed. It is the kindest array there can
    be, and what the shipped weights were trained for; the cost model charges for the array as
    described, not for this one.

    Args:
        array: The array as described.

    Returns:
        The array with such converters; a digital one as it is. Levels of cells are kept for RRAM
        only.
    """
    if array.is_digital:
        return array
    policy: RangePolicy = "fixed" if array.range_policy == "fixed" else "layer_and_digit"
    if array.family == "rram":
        cell_levels = array.cell_levels
    else:
        cell_levels = ()
    return replace(
        array,
        encoding="differential",
        signed_inputs=True,
        range_policy=policy,
        noise_lsb=0.0,
        inl_lsb=0.0,
        offset_lsb=0.0,
        sum_noise=0.0,
        cell_levels=cell_levels,
    )


def arrays(
    design: Mapping[str, Any],
    seed: int,
    *,
    ideal: bool,
    conditions: ArrayConditions = USUAL_CONDITIONS,
) -> ArrayInstance | None:
    """The arrays of the chip in ``design``.

    Args:
        design: genes of a network and of a chip.
        seed: of the dies.
        ideal: whether converters are taken as `with_ideal_converters` has them.
        conditions: under what cells and converters err.

    Returns:
        The arrays; None where ``design`` names no array and no converter, so that nothing is known of a chip. Where it
        has stages of few bits all the same, exact arrays round their operands.

    Raises:
        BadInput: As ``describe_array`` does.
    """
    if "array" not in design and "adc_bits" not in design:
        if not any(is_precision_gene(name) for name in design):
            return None
        design = {**design, "array": "digital_sram"}
    array = describe_array({"rows": DEFAULT_ROWS, **design}, conditions)
    return ArrayInstance(with_ideal_converters(array) if ideal else array, seed)
