"""The values that a search gives each gene of a chip, and why some of them go no further."""

from __future__ import annotations

from typing import Any

from cimbo.hardware.array_description import CELL_FAMILIES
from cimbo.hardware.technology import DRAM_KINDS
from cimbo.problem.space import Choice

CORE_GENES: dict[str, list[Any]] = {
    "array": ["charge_sram", "digital_sram"],
    "rows": [16, 32, 64, 128, 256, 512, 1024],
    "cols": [32, 64, 128, 256, 512],
    "macros_per_pe": [1, 2, 4, 8, 16, 32, 64],
    "pes": [1, 2, 4, 8, 16, 32, 64],
    "adc_bits": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
    "columns_per_adc": [1, 2, 4, 8, 16],
    "buffer_mb": [0.015625, 0.03125, 0.0625, 0.125, 0.25, 0.5, 1, 2, 4, 8],
    "buffer_gb_s": [8, 16, 32, 64, 128, 256, 512],
    "dram_channels": [1, 2, 4, 8],
    "planes": [1, 2, 4, 8, 16, 32],
}
"""Of the default studies: SRAM arrays with converters, or with trees of adders."""

EXTENDED_GENES: dict[str, list[Any]] = {
    "dac_bits": [1, 2, 4],
    "noc_gb_s": [8, 16, 32, 64, 128, 256, 512],
    "vector_lanes": [16, 64, 256, 1024],
    "cell_bits": [1, 2],
    "array": list(CELL_FAMILIES),
    "rows_active": [4, 16, 64, 256, 1024],
    "clock_ghz": [0.2, 0.35, 0.5, 0.7, 1.0],
    "dram": list(DRAM_KINDS),
    "node_nm": [65, 28, 22, 16, 7],
    "supply_v": [0.65, 0.7, 0.8, 0.9, 1.0],
}

SMALLEST_VALUE = "smallest"
LARGEST_VALUE = "largest"
_NO_LESS_THAN_ONE = "there is nothing below one"
_NO_FIGURES = "the constants hold for 7 to 65 nm"
_LONGEST_LINES = (
    "of the published macros hardly any has longer lines: they are cut into more macros"
)

RANGE_REASONS: dict[tuple[str, str], str] = {
    ("rows", LARGEST_VALUE): _LONGEST_LINES,
    ("cols", LARGEST_VALUE): _LONGEST_LINES,
    ("macros_per_pe", SMALLEST_VALUE): _NO_LESS_THAN_ONE,
    ("pes", SMALLEST_VALUE): _NO_LESS_THAN_ONE,
    ("adc_bits", SMALLEST_VALUE): "a single comparator is the coarsest converter",
    (
        "columns_per_adc",
        SMALLEST_VALUE,
    ): "every column has a converter, or a tree of adders, of its own",
    ("buffer_mb", SMALLEST_VALUE): "the figures for memories begin at 16 KB",
    (
        "dram_channels",
        SMALLEST_VALUE,
    ): "a chip has at least one channel; slower kinds are the gene dram",
    ("planes", SMALLEST_VALUE): _NO_LESS_THAN_ONE,
    ("dac_bits", SMALLEST_VALUE): _NO_LESS_THAN_ONE,
    ("cell_bits", SMALLEST_VALUE): _NO_LESS_THAN_ONE,
    ("rows_active", LARGEST_VALUE): "these are all rows",
    ("node_nm", SMALLEST_VALUE): _NO_FIGURES,
    ("node_nm", LARGEST_VALUE): _NO_FIGURES,
    ("supply_v", SMALLEST_VALUE): "nearer the threshold the law of delays does not hold",
}
"""Why a gene goes no further than an end of its range; other ends are choices, which a study may widen."""


def chip_choices(extended: bool = False) -> list[Choice]:
    """List the genes of a chip that a search varies, each with its values.

    The gene ``adc_bits`` is active only where arrays are not digital: digital ones have no
    converters.

    Args:
        extended: False: the eleven genes of ``CORE_GENES``. True: those of ``EXTENDED_GENES``, too,
            and all families of arrays.

    Returns:
        The genes, those of ``CORE_GENES`` first.
    """
    genes = CORE_GENES | (EXTENDED_GENES if extended else {})
    analog_families = [family for family in genes["array"] if family != "digital_sram"]
    conditions = {"adc_bits": {"array": analog_families}}
    return [Choice(name, values, conditions.get(name)) for name, values in genes.items()]


def range_reason(gene: str, end: str, value: Any) -> str | None:
    """Say why a gene cannot go beyond the value at which the range of a study ends.

    Args:
        gene: Name of the gene.
        end: Which end of the range: ``SMALLEST_VALUE`` or ``LARGEST_VALUE``.
        value: The study's value at that end.

    Returns:
        A reason; None where the range may be widened, because the end is a mere choice or because
        the study has a narrower range than the default one.
    """
    values = EXTENDED_GENES.get(gene, CORE_GENES.get(gene))
    if values is None:
        return None
    default_end = min(values) if end == SMALLEST_VALUE else max(values)
    if value != default_end:
        return None
    return RANGE_REASONS.get((gene, end))
