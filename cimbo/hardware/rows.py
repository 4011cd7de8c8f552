"""Columns of (layer shape, chip) pairs: what the laws of a schedule read.

Every column has one element for each pair, a "row"; a chunk of a batch has some thousand rows. A network's rows stand
together, so that sums over a network are sums over a run of rows (:class:`cimbo.hardware.grid.Grid`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    TableT = TypeVar("TableT", bound=DataclassInstance)
else:
    TableT = TypeVar("TableT")

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Indices = NDArray[np.intp]


@dataclass(frozen=True)
class LayerRows:
    """Shapes of layers, each column of shape (rows,); see :class:`cimbo.workloads.layers.Layer` for their meaning.

    Attributes:
        positions: Output positions M of a group, each an input vector.
        reduction: Length K of the product, in weights.
        outputs_each: Outputs N of a group.
        groups: Independent products.
        is_dynamic: Whether the stationary operand is an activation (attention).
        vector_ops: Operations of the vector unit.
        inputs: Activations read, counted once.
        outputs: Activations written.
        new_inputs: Elements of an input vector that the vector before it did not have.
        kernel: Side of a convolution's window.
        weight_bits: Bits of the stationary operand; 0: as the chip has it.
        activation_bits: Bits of an input; 0: as the chip has it.
        output_bits: Bits of a result as it is written; 0: as an input.
        cached: Elements of attention's operand that come from the cache of earlier tokens.
        appended: Elements that are added to it.
        cache_size: Elements of the whole network's cache meanwhile.
        input_ones: Share of the bits of inputs that are one; 0: as the chip has it.
        weight_ones: Share of the bits of the stationary operand that are one, likewise.
        copies: Copies that a user gives the layer; 0: one.
        steps: Steps of a recurrence that its positions come in, one after the other; 0: none.
        count: How often the layer occurs in its network; broken where it runs in some steps only.
    """

    positions: Floats
    reduction: Floats
    outputs_each: Floats
    groups: Floats
    is_dynamic: Bools
    vector_ops: Floats
    inputs: Floats
    outputs: Floats
    new_inputs: Floats
    kernel: Floats
    weight_bits: Floats
    activation_bits: Floats
    output_bits: Floats
    cached: Floats
    appended: Floats
    cache_size: Floats
    input_ones: Floats
    weight_ones: Floats
    copies: Floats
    steps: Floats
    count: Floats

    @classmethod
    def from_columns(cls, columns: Floats) -> LayerRows:
        """Name the columns of an array.

        Args:
            columns: The array of ``Workload.unique``, (columns, rows), in the order of
                LAYER_FIELDS.

        Returns:
            The same columns by name.

        Raises:
            ValueError: For more or fewer columns than there are fields.
        """
        values: dict[str, Any] = dict(zip(LAYER_FIELDS, columns, strict=True))
        return cls(**values | {"is_dynamic": columns[4] > 0})

    @property
    def side_by_side(self) -> Floats:
        """Positions that may be computed at once: all of them, or those of one step of a recurrence, (rows,)."""
        found: Floats = np.ceil(self.positions / np.maximum(self.steps, 1))
        return found

    def vectors_of_a_copy(self, copies: Floats) -> Floats:
        """Count the vectors that pass through the fullest copy of each layer, one after the other.

        Copies share the vectors of a layer, or those of one step of a recurrence; steps stay in their
        order.

        Args:
            copies: Copies of each layer, (rows,).

        Returns:
            Vectors, (rows,).
        """
        in_steps = np.maximum(self.steps, 1) * np.ceil(self.side_by_side / copies)
        found: Floats = np.where(
            (self.steps > 1) & (copies > 1), in_steps, np.ceil(self.positions / copies)
        )
        return found

    @property
    def macs(self) -> Floats:
        """Multiply-accumulates of each row."""
        macs: Floats = self.positions * self.reduction * self.outputs_each * self.groups
        return macs


@dataclass(frozen=True)
class ChipRows:
    """Of each row's chip what a schedule depends on, each column of shape (rows,). A cycle is one of the arrays.

    Attributes:
        rows: Word lines of a macro.
        weight_columns: Weights side by side in a row.
        rows_active: Word lines switched on at once.
        slices: Digits of a weight, each converted by itself.
        macros: Macros of the chip.
        macros_per_pe: Macros of a processing element.
        planes: Weight contexts of a macro.
        capacity_tiles: Tiles of weights that the chip holds.
        pulses: Steps in which an input enters.
        share: Columns that one converter serves.
        act_bits: Bits of an activation.
        weight_bits: Bits of a weight.
        dac_bits: Bits of an input that enter at once.
        cols: Columns of a macro.
        cell_bits: Bits of a weight in a cell.
        columns_summed: Columns that are summed before they are converted.
        adc_bits: Bits of a converter.
        tree_bits: Bits of a weight that one tree of a digital array adds up.
        is_differential: 1 where a weight is a difference of two cells.
        buffer_bits: Size of the buffer in bits.
        buffer_bw: Bits a cycle to and from the buffer.
        dram_bw: Bits a cycle of all DRAM channels.
        noc_bw: Bits a cycle of the network between processing elements.
        vector_lanes: Operations a cycle of the vector unit.
        packing: 1 where several groups share a macro block-diagonally.
        whole_kernels: 1 where macros hold whole kernel sides.
        zigzag_counting: 1 where reads and loads are counted as ZigZag does.
        rows_written: Rows that a macro writes at once.
        row_write_cycles: Cycles that writing them takes.
        kv_bits: Bits of an element in the cache of keys and values.
        cache_bits: Bits of the cache that fit on the chip.
        is_cache_in_buffer: 1 where they lie in the buffer, 0 in the embedded DRAM, if anywhere.
        edram_bw: Bits a cycle of the embedded DRAM.
        is_pipelined: 1 where layers are to work side by side.
        duplication: Index of what spare macros hold copies of.
        activity: Share of an array's cells that switch at an input step.
        zero_skipping: 1 where a step is left out in which no active row's input bit is one.
        is_digital: Whether sums are formed by adders.
        is_rram: Whether cells are never written at run time.
    """

    rows: Floats
    weight_columns: Floats
    rows_active: Floats
    slices: Floats
    macros: Floats
    macros_per_pe: Floats
    planes: Floats
    capacity_tiles: Floats
    pulses: Floats
    share: Floats
    act_bits: Floats
    weight_bits: Floats
    dac_bits: Floats
    cols: Floats
    cell_bits: Floats
    columns_summed: Floats
    adc_bits: Floats
    tree_bits: Floats
    is_differential: Floats
    buffer_bits: Floats
    buffer_bw: Floats
    dram_bw: Floats
    noc_bw: Floats
    vector_lanes: Floats
    packing: Floats
    whole_kernels: Floats
    zigzag_counting: Floats
    rows_written: Floats
    row_write_cycles: Floats
    kv_bits: Floats
    cache_bits: Floats
    is_cache_in_buffer: Floats
    edram_bw: Floats
    is_pipelined: Floats
    duplication: Floats
    activity: Floats
    zero_skipping: Floats
    is_digital: Bools
    is_rram: Bools

    @classmethod
    def from_columns(cls, columns: Floats) -> ChipRows:
        """Name the columns of an array.

        Args:
            columns: An array (fields, rows) in the order of CHIP_FIELDS.

        Returns:
            The same columns by name.

        Raises:
            ValueError: For more or fewer columns than there are fields.
        """
        values: dict[str, Any] = dict(zip(CHIP_FIELDS, columns, strict=True))
        return cls(**values | {"is_digital": columns[-2] > 0, "is_rram": columns[-1] > 0})


LAYER_FIELDS: tuple[str, ...] = tuple(field.name for field in fields(LayerRows))
CHIP_FIELDS: tuple[str, ...] = tuple(field.name for field in fields(ChipRows))


def select(table: TableT, where: slice | Indices | Bools) -> TableT:
    """Take some rows of every array of a table, and of the dataclasses within it.

    Fields that are neither arrays nor dataclasses stay as they are.

    Args:
        table: A dataclass whose arrays have rows as their last axis.
        where: The rows to take: a slice, indices, or a mask.

    Returns:
        A table of the same type with those rows.
    """
    chosen: dict[str, Any] = {}
    indices: Any = None
    if isinstance(where, np.ndarray) and where.dtype != bool:
        indices = where
    for field in fields(table):
        value = getattr(table, field.name)
        if isinstance(value, np.ndarray):
            # np.take is much faster than indexing in brackets, which only slices and
            # masks need.
            if indices is None:
                value = value[..., where]
            else:
                value = value.take(indices, axis=-1)
        elif is_dataclass(value) and not isinstance(value, type):
            value = select(value, where)
        chosen[field.name] = value
    return type(table)(**chosen)


def joined_columns(tables: Sequence[Mapping[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    """Concatenate tables of the same columns.

    Args:
        tables: Tables with the same names, whose columns are of shape (n_i,).

    Returns:
        One table, its columns of shape (sum of n_i,).
    """
    joined = {}
    for name in tables[0]:
        joined[name] = np.concatenate([table[name] for table in tables])
    return joined


def overwrite(table: TableT, rows: Indices, values: TableT, names: Sequence[str] = ()) -> None:
    """Write columns into some rows of a table, in place.

    Args:
        table: A dataclass whose arrays have rows as their last axis.
        rows: Indices of the rows to write.
        values: What to write, a table of the same type; its columns have one element for each of
            ``rows``.
        names: The columns to write; all of them where none is named.
    """
    for field in fields(table):
        column = getattr(table, field.name)
        if isinstance(column, np.ndarray) and (not names or field.name in names):
            column[..., rows] = getattr(values, field.name)
