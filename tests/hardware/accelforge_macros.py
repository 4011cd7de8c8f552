"""AccelForge's published macros in our terms; the tests and benchmarks/macros.py share it."""

import math

from bits_per_cycle import in_gb_s

from cimbo.hardware import simulate
from cimbo.workloads.layers import Layer, Workload

# Rows, logical columns of each macro (its publication); all weights at once in place, so only its cycle time is free.
MACROS = {
    "basic_analog": (32, 32),
    "neurram_nature_2022": (256, 128),
    "colonnade_jssc_2021": (128, 16),
    "sinangil_jssc_2021": (64, 16),
    "wang_vlsi_2022": (128, 8),
    "jia_jssc_2020": (2304, 64),
}


def macro_cycles(arch: str, size: tuple[int, int, int]) -> float:
    """Array operations for M vectors of K and N columns, ``size``, on one macro; AccelForge loads no weights."""
    rows, used = MACROS[arch]
    chip = {
        "rows": rows,
        "cols": 8 * used,
        "macros_per_pe": 1,
        "pes": 1,
        "adc_bits": 8,
        "columns_per_adc": 1,
        "buffer_mb": 1024,
        "buffer_bw": 1e12,
        "dram_bw": 1e12,
        "planes": 1,
        "dac_bits": 8,
        "noc_bw": 1e12,
        "vector_lanes": 1e12,
        "rows_written": rows,
    }
    result = simulate(Workload("w", (Layer("product", "linear", *size),)), in_gb_s(chip))
    load = 0 if result["resident"] else math.ceil(size[1] / rows) * math.ceil(size[2] / used)
    return result["cycles"] - load
