"""What an array computes, and how its sums are read: one description for what it costs and for how accurate it is.

``describe_array`` derives it from a chip's genes. The cost model counts columns, conversions and drives by it
(:mod:`cimbo.hardware.macro`), and the accuracy under the arrays' errors reads the same object, so that both
speak of one circuit. Nothing here depends on a network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, hypot
from typing import Any, Literal, TypeVar

from cimbo.errors import BadInput
from cimbo.hardware.cell_errors import ArrayConditions, CellLevel, random_sum_noise
from cimbo.hardware.technology import constant

FlagT = TypeVar("FlagT")  # a truth value, or a column of them
Family = Literal["charge_sram", "current_sram", "digital_sram", "rram"]
Encoding = Literal["twos_complement", "offset", "differential"]
RangePolicy = Literal["fixed", "layer", "layer_and_digit"]

CELL_FAMILIES: tuple[Family, ...] = ("charge_sram", "current_sram", "digital_sram", "rram")
WEIGHT_ENCODINGS: tuple[Encoding, ...] = ("twos_complement", "offset", "differential")
RANGE_POLICIES: tuple[RangePolicy, ...] = ("fixed", "layer", "layer_and_digit")

FAMILY_ALIASES: dict[str, Family] = {"analog_sram": "charge_sram"}
"""Words of earlier releases for a family that is meant by them."""

FAMILY_HINTS = {"sram": "say how its sums are formed: charge_sram, current_sram or digital_sram"}
"""What to say instead of words that mean several families."""

USUAL_CONDITIONS = ArrayConditions()
"""Conditions of the arrays' errors (age of the cells, noise) unless a caller gives others."""

ARRAY_GENES = (
    "array",
    "cell",
    "rows",
    "rows_active",
    "adc_bits",
    "dac_bits",
    "cell_bits",
    "columns_summed",
    "weight_bits",
    "act_bits",
    "encoding",
    "signed_inputs",
    "adc_range",
)
"""The genes that an ``ArrayDescription`` is derived from: all on which an array's results depend."""


@dataclass(frozen=True)
class ArrayDescription:
    """One array of a chip, as its weights are stored and its sums are read.

    Attributes:
        family: Circuit of the cells and of their sum.
        encoding: How a signed weight stands in unsigned cells. ``twos_complement``: the highest slice counts
            negative. ``offset``: every weight is raised by half its range, and the sum of inputs times that offset
            is subtracted behind the converters. ``differential``: sign and magnitude, in two cells a digit whose
            columns are subtracted before they are converted.
        signed_inputs: Whether word lines take inputs of either sign. Then the highest input bit counts negative
            (two's complement, offset), or the drivers are bipolar (differential).
        range_policy: What a converter's full scale is set to: the largest sum that ``rows_active`` rows can give
            (``fixed``), one value a layer (``layer``), or one a layer, input step and slice
            (``layer_and_digit``).
        rows: Word lines of the array.
        rows_active: Word lines switched on at once; the rows of a partial sum.
        weight_bits: Bits of a weight.
        act_bits: Bits of an input.
        cell_bits: Bits of a weight in one cell.
        dac_bits: Bits of an input on a word line at once.
        adc_bits: Bits of a converter; 0 where sums are digital and exact.
        noise_lsb: Standard deviation of what a converter reads for one and the same sum, in its own steps as
            built: full scale over 2^adc_bits, also where the range is set so that one cell gives several steps.
        inl_lsb: Largest deviation of a converter's curve from a straight line, in the same steps.
        offset_lsb: Standard deviation of the converters' offsets after calibration, in the same steps.
        cell_noise: Standard deviation of what every cell holds, whatever its level, as a fraction of its full scale;
            added to that of ``cell_levels``.
        cell_levels: Mean and spread of what cells hold, by the level written into them; empty where they hold exactly
            what was written.
        stuck_cells: Fraction of the cells that hold nothing or their full scale, half each.
        sum_noise: Standard deviation of a sum from reading to reading, before its converter, in cells.
        columns_summed: Neighbouring columns of binary weight that are summed before they are converted, as one digit;
            of a weight no more than it has.
    """

    family: Family
    encoding: Encoding
    signed_inputs: bool
    range_policy: RangePolicy
    rows: int
    rows_active: int
    weight_bits: int
    act_bits: int
    cell_bits: int
    dac_bits: int
    adc_bits: int
    noise_lsb: float
    inl_lsb: float
    offset_lsb: float
    cell_noise: float = 0.0
    cell_levels: tuple[CellLevel, ...] = ()
    stuck_cells: float = 0.0
    sum_noise: float = 0.0
    columns_summed: int = 1

    @property
    def cells_err(self) -> bool:
        """Whether cells may hold something else than what was written into them."""
        levels_err = any(level.deviation or level.mean != level.level for level in self.cell_levels)
        return bool(levels_err or self.cell_noise or self.stuck_cells)

    @property
    def is_digital(self) -> bool:
        """Whether sums are formed by adders, without a converter."""
        return self.family == "digital_sram"

    @property
    def magnitude_bits(self) -> int:
        """Bits of a weight that are cut into slices: without the sign where two cells carry it."""
        if self.encoding == "differential":
            return max(1, self.weight_bits - 1)
        return self.weight_bits

    @property
    def magnitude_cells(self) -> int:
        """Cells that hold the ``magnitude_bits`` of one weight."""
        return ceil(self.magnitude_bits / self.cell_bits)

    @property
    def digit_bits(self) -> int:
        """Bits of a weight that one conversion reads: those of a cell, or of several whose columns are summed."""
        return self.cell_bits * min(self.columns_summed, self.magnitude_cells)

    @property
    def slices(self) -> int:
        """Digits of a weight, each read by itself."""
        return ceil(self.magnitude_bits / self.digit_bits)

    @property
    def cells_per_weight(self) -> int:
        """Cells, and columns of the array, that one weight takes."""
        return self.magnitude_cells * (2 if self.encoding == "differential" else 1)

    @property
    def input_steps(self) -> int:
        """Word-line pulses that one input takes."""
        return ceil(self.act_bits / self.dac_bits)

    @property
    def row_steps(self) -> int:
        """Steps in which all rows are switched on, ``rows_active`` at a time; each gives a partial sum."""
        return ceil(self.rows / self.rows_active)

    @property
    def conversions(self) -> int:
        """Readings of a converter for the full product of one column of weights with one input vector."""
        if self.is_digital:
            return 0
        return self.slices * self.input_steps * self.row_steps

    @property
    def largest_sum(self) -> int:
        """The largest partial sum of one slice and input step, in units of one cell at one input step."""
        return int(self.rows_active * (2**self.dac_bits - 1) * (2**self.digit_bits - 1))

    @property
    def full_scale(self) -> int:
        """What a converter's range spans under the ``fixed`` policy, in the units of ``largest_sum``."""
        return self.largest_sum * (2 if self.encoding == "differential" else 1)


def holds_attention(is_digital: FlagT) -> FlagT:
    """Tell whether arrays may compute attention's products: only digital ones do.

    The cost model and the accuracy both ask this function. Both operands of attention are
    activations, one of which is written into the array for every input. Digital arrays compute
    exactly what the vector unit does, so the faster of the two is used. Elsewhere the vector unit
    computes attention: converters would add errors for which our networks are not trained, and
    resistive cells do not endure being written so often.

    Args:
        is_digital: Whether adders form the sums: of one array, or a column of many.

    Returns:
        ``is_digital`` itself.
    """
    return is_digital


def describe_array(
    chip: Mapping[str, Any], conditions: ArrayConditions = USUAL_CONDITIONS
) -> ArrayDescription:
    """Derive the array of a chip from its genes.

    Args:
        chip: Genes of one chip, as scalars; those left out have their defaults. A gene of the network or of the
            rest of the chip is ignored, so that a whole design may be given.
        conditions: Conditions on which the errors of cells and converters depend.

    Returns:
        The array, as the cost model and the accuracy both take it.

    Raises:
        BadInput: Where a gene has a value that no array can have, naming the gene.
    """
    from cimbo.hardware.chip import DEFAULT_GENES  # imported here: that module uses the names above

    given = {name: value for name, value in chip.items() if value is not None}
    full = {**DEFAULT_GENES, **given}
    family = FAMILY_ALIASES.get(full["array"], full["array"])
    full["array"] = family
    _check_array_genes(full, given)
    rows = int(full["rows"])
    rows_active = min(int(full["rows_active"]) or rows, rows)  # 0: all of them
    is_digital = family == "digital_sram"
    cell_bits = int(full["cell_bits"])
    columns = min(int(full["columns_summed"]), ceil(int(full["weight_bits"]) / cell_bits))
    if is_digital:
        adc_bits = 0
    else:
        adc_bits = int(full["adc_bits"])
    return ArrayDescription(
        family=family,
        encoding=full["encoding"],
        signed_inputs=bool(full["signed_inputs"]),
        range_policy=full["adc_range"],
        rows=rows,
        rows_active=rows_active,
        weight_bits=int(full["weight_bits"]),
        act_bits=int(full["act_bits"]),
        cell_bits=cell_bits,
        dac_bits=int(full["dac_bits"]),
        adc_bits=adc_bits,
        noise_lsb=0.0 if is_digital else _stated(conditions.noise_lsb, "adc.noise"),
        inl_lsb=0.0 if is_digital else _stated(conditions.inl_lsb, "adc.nonlinearity"),
        offset_lsb=0.0 if is_digital else _stated(conditions.offset_lsb, "adc.offset"),
        cell_levels=_levels(conditions, family, full["cell"]),
        stuck_cells=conditions.stuck(family),
        sum_noise=_sum_noise(family, rows_active, cell_bits, columns),
        columns_summed=columns,
    )


def _check_array_genes(full: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Refuse unknown words, and missing rows or converter bits. Raises BadInput, naming the gene.

    Args:
        full: The chip's genes, completed with the defaults.
        given: The genes that were given.
    """
    words = {"array": CELL_FAMILIES, "encoding": WEIGHT_ENCODINGS, "adc_range": RANGE_POLICIES}
    for gene, known in words.items():
        value = full[gene]
        if value not in known:
            raise BadInput(f"chip.{gene}", f"{value} is unknown", f"use one of {', '.join(known)}")
    if "rows" not in full:
        raise BadInput("chip.rows", "is missing", "give the word lines of an array")
    if full["array"] != "digital_sram" and not given.get("adc_bits"):
        raise BadInput("chip.adc_bits", "is missing", "give the bits of the converters")


def _sum_noise(family: str, rows_active: int, cell_bits: int, columns: int) -> float:
    """Standard deviation of a sum of ``columns`` columns of weight 1, 2^cell_bits, 4^cell_bits, ...

    Their noises are independent, so the weighted variances add up.

    Returns:
        The deviation, in cells.
    """
    column_noise = random_sum_noise(family, rows_active, cell_bits)
    weights = [2.0 ** (cell_bits * number) for number in range(columns)]
    return column_noise * hypot(*weights)


def _levels(conditions: ArrayConditions, family: str, word: str) -> tuple[CellLevel, ...]:
    """Mean and spread of what cells hold, by level.

    A user's noise table comes first; then the spread of a named cell, if its file has one; then the
    figures of the family.

    Args:
        conditions: Conditions on which the errors depend; they may name a noise table.
        family: Family of the array.
        word: The chip's gene ``cell``.

    Returns:
        Levels, rising.
    """
    from cimbo.hardware.cells import cell  # imported here: that module uses the names above

    named = cell(word)
    if named is None or "spread" not in named.figures or conditions.noise_table is not None:
        return conditions.levels(family)
    return (CellLevel(0.0, 0.0, 0.0), CellLevel(1.0, 1.0, named.figures["spread"]))


def _stated(value: float | None, name: str) -> float:
    """What a user stated, else the constant of that name."""
    if value is None:
        return float(constant(name))
    return float(value)
