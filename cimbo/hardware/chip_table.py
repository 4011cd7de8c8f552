"""Chips as columns of checked genes: what the laws of circuits take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cimbo.hardware.array_description import CELL_FAMILIES, Family
from cimbo.hardware.cells import cell_index, of_cells
from cimbo.hardware.chip import GENE_WORDS
from cimbo.hardware.chip_columns import columns
from cimbo.hardware.rows import Floats, Indices, select


@dataclass(frozen=True)
class ChipTable:
    """Genes of n chips, checked and complete; each column of shape (n,).

    A gene whose values are words is a column of indices into its list of words (CELL_FAMILIES, ...).
    ``rows_active`` is never 0: where a gene says 0 for "all", it is the number of rows.
    Names and units are those of the genes: see ``DEFAULT_GENES`` and docs/reference.md.
    """

    rows: Floats
    cols: Floats
    macros_per_pe: Floats
    pes: Floats
    adc_bits: Floats
    columns_per_adc: Floats
    buffer_mb: Floats
    buffer_gb_s: Floats
    dram_channels: Floats
    planes: Floats
    dac_bits: Floats
    noc_gb_s: Floats
    vector_lanes: Floats
    cell_bits: Floats
    clock_ghz: Floats
    act_bits: Floats
    weight_bits: Floats
    node_nm: Floats
    supply_v: Floats
    activity: Floats
    zero_skipping: Floats
    packing: Floats
    rows_written: Floats
    whole_kernels: Floats
    zigzag_counting: Floats
    rows_active: Floats
    signed_inputs: Floats
    columns_summed: Floats
    tree_bits: Floats
    kv_bits: Floats
    edram_mb: Floats
    edram_gb_s: Floats
    cell_transistors: Floats
    area_factor: Floats
    cycle_factor: Floats
    energy_factor: Floats
    leakage_factor: Floats
    array: Indices
    cell: Indices
    encoding: Indices
    adc_range: Indices
    converter: Indices
    dram: Indices
    schedule: Indices
    kv_cache: Indices
    execution: Indices
    duplication: Indices

    @property
    def size(self) -> int:
        """Number of chips."""
        return int(self.rows.size)

    def is_family(self, name: str) -> NDArray[np.bool_]:
        """Find the chips whose arrays are of a family.

        Args:
            name: One of ``CELL_FAMILIES``.

        Returns:
            True for each such chip, (n,).

        Raises:
            ValueError: For a name that is no family.
        """
        chosen: NDArray[np.bool_] = self.array == CELL_FAMILIES.index(name)
        return chosen

    def by_family(self, values: Mapping[Family, Any]) -> Floats:
        """Pick each chip's value by the family of its arrays.

        Args:
            values: A number, or an array (n,), for every family.

        Returns:
            Values, (n,).

        Raises:
            KeyError: Where a family has no value, so that a new family cannot be forgotten in a law.
        """
        each = [np.broadcast_to(values[family], self.array.shape) for family in CELL_FAMILIES]
        chosen: Floats = np.choose(self.array, each)
        return chosen

    def of_cell(self, quantity: str, usual: Any) -> Floats:
        """Look up a figure of the cell that each chip is built of.

        Args:
            quantity: One of ``cells.QUANTITY_UNITS``.
            usual: Figures for chips that name no cell, which have that of their family, (n,).

        Returns:
            Figures, (n,).
        """
        return of_cells(self.cell, quantity, usual)

    def broadcast(self, size: int) -> ChipTable:
        """Repeat one chip.

        Args:
            size: Number of chips wanted.

        Returns:
            A table of ``size`` chips; this one where it has as many already.

        Raises:
            ValueError: Where this table has neither one chip nor ``size`` of them.
        """
        if self.size == size:
            return self
        columns = {f.name: np.broadcast_to(getattr(self, f.name), (size,)) for f in fields(self)}
        return ChipTable(**columns)

    def select(self, where: slice | Indices) -> ChipTable:
        """Take some of the chips.

        Args:
            where: Their positions, as a slice or as indices.

        Returns:
            A table of those chips, in that order.
        """
        return select(self, where)


def chip_table(chips: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> ChipTable:
    """Check chips, fill in the defaults, and turn words into their indices.

    Args:
        chips: One chip, a list of chips, or a mapping from genes to columns of values.

    Returns:
        The chips, each column (n,).

    Raises:
        BadInput: Where a value is not allowed, naming the chip and the gene.
    """
    table = columns(chips)
    for name, allowed in GENE_WORDS.items():
        if name == "cell":  # not only the shipped cells, also those of a user's files
            index_of = {word: cell_index(word) for word in set(table[name].tolist())}
        else:
            index_of = {word: index for index, word in enumerate(allowed)}
        table[name] = np.array([index_of[word] for word in table[name].tolist()])
    return ChipTable(**{field.name: table[field.name] for field in fields(ChipTable)})
