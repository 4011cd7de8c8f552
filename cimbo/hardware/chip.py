"""Chips as genes: defaults, words and limits, and two chips of middle size. :mod:`cimbo.hardware.chip_columns` checks them.

Arrays have a cycle of their own, which follows from their circuit; the digital side has a clock, a gene. Bandwidths are in
GB/s and the DRAM comes in channels of real kinds, so neither depends on how fast the arrays are.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from cimbo.errors import BadInput
from cimbo.hardware.array_description import (
    CELL_FAMILIES,
    RANGE_POLICIES,
    WEIGHT_ENCODINGS,
)
from cimbo.hardware.cells import CELL_WORDS, OWN_CELL
from cimbo.hardware.chip_ranges import CORE_GENES
from cimbo.hardware.kv_cache import CACHE_PLACES
from cimbo.hardware.pipeline_words import DUPLICATION_GOALS, EXECUTION_MODES
from cimbo.hardware.technology import CONVERTER_KINDS, DRAM_KINDS, constant

MOST_ADC_BITS = 16
MOST_SRAM_CELL_BITS = 4
LEAST_BUFFER_MB = 1e-4
MOST_OF_GENES = {"supply_v": 2.0, "clock_ghz": 10.0, "activity": 1.0}
"""Volts that core transistors of 65 nm and less outlive, a clock of digital logic, a share."""
SCHEDULE_GOALS = ("latency", "energy", "edp")
ERROR_FACTORS = ("area_factor", "cycle_factor", "energy_factor", "leakage_factor")

DEFAULT_GENES: dict[str, Any] = {
    "adc_bits": 8,  # of a digital array that is tried as another; others must say
    "dac_bits": 1,
    "noc_gb_s": 64,
    "vector_lanes": 256,
    "cell_bits": 1,
    "array": "charge_sram",
    "cell": OWN_CELL,  # what a bit is stored in: that of the array's family, or one of data/cells
    "clock_ghz": 0.5,  # of buffer, NoC and vector unit; the arrays have a cycle of their own
    "dram": "lpddr4x",
    # Precision of activations and weights, the process, and how the arrays are used.
    "act_bits": 8,
    "weight_bits": 8,
    "tree_bits": 0,  # of a weight that one adder tree of a digital array takes; 0: all of them
    "node_nm": 28,
    "supply_v": constant("logic.supply"),
    "activity": constant("logic.activity"),
    "zero_skipping": 0,  # 1: a step in which the bits of all active rows are zero is left out
    "packing": 1,  # 1: several groups share a macro block-diagonally, 0: one group a macro
    "rows_written": 1,  # rows a macro writes at once
    "whole_kernels": 1,  # 1: macros hold whole kernel sides of an even share of channels each, 0: windows are cut anywhere
    # 1: count as ZigZag does. Every window of a convolution is read whole, the buffer reads
    # and writes at the same time, and weights are loaded past the buffer and one vector
    # early.
    "zigzag_counting": 0,
    # How an array holds weights and reads sums; see array_description.
    "rows_active": 0,  # word lines on at once; 0: all of them
    "encoding": "twos_complement",  # of weights
    "signed_inputs": 0,
    "adc_range": "layer",  # what the converters' full scale is set to
    "converter": "auto",  # flash up to as many bits as one cycle of comparators is worth, successive approximation beyond
    "columns_summed": 1,  # neighbouring columns of binary weight that are summed before they are converted
    # Where keys and values of earlier tokens live, and in how many bits each.
    "kv_cache": "dram",
    "kv_bits": 0,  # 0: those of activations
    "edram_mb": 8,  # embedded DRAM of a chip whose kv_cache is one; it holds nothing else
    "edram_gb_s": 128,
    "execution": "layer_by_layer",  # or pipelined, where all weights stay on the chip
    "duplication": "latency",  # what spare macros hold copies of
    "schedule": "edp",  # what a schedule is chosen by: latency, energy, or their product
    # Factors by which the model may be off. Error bars draw them; everywhere else they are 1.
    "area_factor": 1.0,
    "cycle_factor": 1.0,
    "energy_factor": 1.0,
    "leakage_factor": 1.0,
    "cell_transistors": 0,  # of a cell with its part of the computing circuit; 0: as the family of the array has it
}
"""Values of the genes a chip may omit."""

BASELINE_CHIP: dict[str, Any] = {
    "rows": 128,
    "cols": 128,
    "macros_per_pe": 2,
    "pes": 16,
    "adc_bits": 6,
    "columns_per_adc": 4,
    "buffer_mb": 0.5,
    "buffer_gb_s": 64,
    "dram_channels": 1,
    "planes": 4,
}
"""A chip with converters, of middle size, which kits and tests simulate; what a study starts from is its ``[baseline]``."""

BASELINE_VIT_B: dict[str, Any] = BASELINE_CHIP | {
    "rows": 256,
    "cols": 256,
    "macros_per_pe": 4,
    "pes": 64,
    "buffer_mb": 2,
    "buffer_gb_s": 128,
    "dram_channels": 2,
}
"""The same chip, grown: 2 MB of weights a plane, 8 MB in all; of ViT-B some 86 MB are reloaded."""

REPLACED_GENES: dict[str, str] = {
    "buffer_bw": "buffer_gb_s, in GB/s: bits a cycle / 8 / ns of a cycle",
    "noc_bw": "noc_gb_s, in GB/s: bits a cycle / 8 / ns of a cycle",
    "dram_bw": "dram, the kind of its channels, and dram_channels, how many",
    "fixed_range": 'adc_range: "fixed" for 1, "layer_and_digit" for 0',
}
"""Genes of earlier releases, which are refused, and what to say instead.

Bandwidths were in bits a cycle, so how many GB/s they mean depends on each chip's clock.
"""


def refuse_replaced_gene(where: str, name: str) -> None:
    """Refuse a gene of an earlier release with a message that says what to give instead.

    Args:
        where: Where the gene stands, for the message.
        name: Name of any gene; present ones pass.

    Raises:
        BadInput: Where it is one of ``REPLACED_GENES``.
    """
    if name in REPLACED_GENES:
        todo = f"say {REPLACED_GENES[name]}"
        raise BadInput(where, "is a gene of an earlier release", todo)


GENE_WORDS: dict[str, tuple[str, ...]] = {
    "array": CELL_FAMILIES,
    "cell": CELL_WORDS,
    "encoding": WEIGHT_ENCODINGS,
    "adc_range": RANGE_POLICIES,
    "converter": CONVERTER_KINDS,
    "dram": DRAM_KINDS,
    "schedule": SCHEDULE_GOALS,
    "kv_cache": CACHE_PLACES,
    "execution": EXECUTION_MODES,
    "duplication": DUPLICATION_GOALS,
}
NUMBER_GENES = tuple(dict.fromkeys(n for n in (*CORE_GENES, *DEFAULT_GENES) if n not in GENE_WORDS))
# A fraction of a channel stands for a channel at a lower data rate.
FRACTION_GENES = (
    *ERROR_FACTORS,
    "dram_channels",
    "buffer_mb",
    "buffer_gb_s",
    "noc_gb_s",
    "edram_mb",
    "edram_gb_s",
    "supply_v",
    "activity",
    "clock_ghz",
)
IS_WHOLE = np.array([[name not in FRACTION_GENES] for name in NUMBER_GENES])
SWITCH_GENES = ("zero_skipping", "packing", "whole_kernels", "zigzag_counting", "signed_inputs")
_ZERO_MEANS = ("kv_bits", "rows_active", "tree_bits", "adc_bits", "cell_transistors")
MAY_BE_ZERO = np.array([[name in (*SWITCH_GENES, *_ZERO_MEANS)] for name in NUMBER_GENES])
REQUIRED_GENES = tuple(name for name in CORE_GENES if name not in DEFAULT_GENES)


def is_chip(properties: Iterable[str]) -> bool:
    """Tell whether a set of names can be the genes of a chip.

    It must contain every gene that has no default, and nothing that is not a gene.

    Args:
        properties: The names.

    Returns:
        True where they can.
    """
    names = frozenset(properties)
    required = CORE_GENES.keys() - DEFAULT_GENES.keys()
    allowed = CORE_GENES.keys() | DEFAULT_GENES.keys()
    return required <= names <= allowed
