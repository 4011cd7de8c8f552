"""The arrays of a chip for an accuracy measurement, and the genes of a design that decide them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from cimbo.errors import BadInput
from cimbo.hardware.array_description import (
    ARRAY_GENES,
    USUAL_CONDITIONS,
    ArrayDescription,
    RangePolicy,
    describe_array,
)
from cimbo.hardware.cell_errors import ArrayConditions
from cimbo.workloads.precision import is_precision_gene

N_DIES = 4  # dies over which errors that differ from chip to chip are averaged
DEFAULT_ROWS = 128  # rows of a chip that does not say
#: The genes of a chip that decide the accuracy on it.
ACCURACY_GENES = tuple(sorted(ARRAY_GENES))


@dataclass(frozen=True)
class ArrayInstance:
    """The arrays of a chip, of which several dies may be looked at.

    Attributes:
        array: description of the arrays.
        seed: seed of everything that differs between two dies of one design.
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
    """Replace an array's converters by ideal ones: without errors, with a range for every layer, step and slice.

    Word lines then take inputs of either sign and a slice is the difference of two cells, so that
    sums are small and around zero. A range that is fixed stays fixed. This is the best that any
    array could do, and what the shipped weights were trained for; the cost model charges for the
    array as described, not for this one.

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
    """Make the arrays of the chip in a design.

    Args:
        design: genes of a network and of a chip.
        seed: seed of the dies.
        ideal: whether converters are replaced by ideal ones (`with_ideal_converters`).
        conditions: conditions on which the errors of cells and converters depend.

    Returns:
        The arrays. None where ``design`` names neither array nor converter, so that there is no
        chip; but if it has stages of few bits, digital arrays, which only round operands.

    Raises:
        BadInput: As ``describe_array`` does, and for analog arrays of a chip that is counted as
            ZigZag counts: there they compute attention, whose errors no accuracy here has.
    """
    if "array" not in design and "adc_bits" not in design:
        if not any(is_precision_gene(name) for name in design):
            return None
        design = {**design, "array": "digital_sram"}
    array = describe_array({"rows": DEFAULT_ROWS, **design}, conditions)
    if design.get("zigzag_counting") and not array.is_digital:
        wrong = "is 1, so that analog arrays hold attention, whose errors no accuracy has"
        raise BadInput("zigzag_counting", wrong, "leave it out where accuracy is measured")
    return ArrayInstance(with_ideal_converters(array) if ideal else array, seed)
