"""Formulas of docs/mathematics.md, written out once more from the page and compared with what the code computes."""

import math

import numpy as np
import pytest

from cimbo.hardware.chip_table import chip_table
from cimbo.hardware.elements import adc_area, adc_capacitance, adc_steps, tree_adders
from cimbo.hardware.macro import macro_circuit
from cimbo.hardware.technology import CONVERTER_KINDS, constant, slowdown
from cimbo.optimizer.screening import _AreaGain
from cimbo.problem.pareto import hypervolume
from predictors import Feature, Schema, gp
from predictors.core import calibrated_std_scale
from predictors.gp.inputs import KernelFeatures

CHIP = {"cols": 128, "macros_per_pe": 2, "pes": 16, "adc_bits": 6, "columns_per_adc": 4}
CHIP |= {"buffer_mb": 0.5, "buffer_gb_s": 64, "dram_channels": 1}
SAR, FLASH = CONVERTER_KINDS.index("sar"), CONVERTER_KINDS.index("flash")


def test_kernel_of_the_gaussian_process():
    schema = Schema((Feature("a", "ordinal", (1, 2, 4, 8)), Feature("b", "nominal", ("x", "y"))))
    rows = [{"a": 1, "b": "x"}, {"a": 4, "b": "y"}, {"a": 8, "b": "x"}]
    encoded = schema.encode(rows)
    inputs = KernelFeatures.of(schema, encoded).inputs(encoded)
    hyper = gp.Hyper(np.log([0.7, 1.3]), np.log([0.4]), np.log([0.5, 0.2, 0.3]), -3.0)
    z = encoded - np.array([0.5, 0.5, 0.5])
    lengths = np.array([0.7, 1.3, 1.3])
    for i in range(3):
        for j in range(3):
            r = math.sqrt(5) * math.sqrt((((z[i] - z[j]) / lengths) ** 2).sum())
            value = 1 + 0.4 * (1 + r + r**2 / 3) * math.exp(-r)
            for group, weight in enumerate((0.5, 0.2, 0.3)):
                columns = inputs.linear[:, inputs.group == group]
                value += weight * float(columns[i] @ columns[j])
            assert gp.kernel(hyper, inputs, inputs)[i, j] == pytest.approx(value, rel=1e-9)


def test_calibration_of_standard_deviations():
    errors = np.linspace(-4, 4, 41)
    n, d = 50, 10
    quantile = np.quantile(np.abs(errors), 0.9)
    squared = 0.5 * (1 + d / n + max((quantile / 1.645) ** 2, 1 + d / n))
    assert calibrated_std_scale(errors, n, d) == pytest.approx(math.sqrt(squared), rel=1e-3)


def test_what_a_point_adds_under_a_staircase():
    rng = np.random.default_rng(0)
    base, pool = rng.random((4, 6, 2)), rng.random((4, 5, 2))
    reference = np.array([0.1, 0.2])
    gain = _AreaGain(base, pool, np.ones((4, 5), bool), reference)([], np.arange(5))
    for point in range(5):
        added = [
            hypervolume(np.vstack([front, new[point]]), reference) - hypervolume(front, reference)
            for front, new in zip(base, pool, strict=True)
        ]
        assert gain[point] == pytest.approx(np.mean(added), abs=1e-12)


def test_converters_and_trees():
    bits = np.array([3.0, 6.0, 9.0])
    kind = np.full(3, SAR)
    area = constant("adc.bit_area") * bits + constant("adc.unit_area") * 2**bits
    assert adc_area(bits, kind) == pytest.approx(area)
    noise = constant("adc.noise_capacitance") * 4.0**bits
    assert adc_capacitance(bits, kind) == pytest.approx(
        constant("adc.bit_capacitance") * bits + noise
    )
    assert adc_steps(bits, kind).tolist() == [3, 6, 9]
    flash = np.full(3, FLASH)
    assert adc_area(bits, flash) == pytest.approx(constant("adc.comparator_area") * (2**bits - 1))
    assert adc_steps(bits, flash).tolist() == [1, 1, 1]
    assert tree_adders(np.array([64.0]), np.array([8.0])) == pytest.approx(64 * 9 - (8 + 6 + 1))


def _word_line_ns(cols: float, cell_height_um: float, slow: float) -> float:
    """At 28 nm: Elmore's delay of a driven line, or that of one with repeaters; kOhm x fF are ps."""
    length = cols * 2 * cell_height_um
    load = constant("wire.capacitance") * length + constant("word_line.gate") * cols
    wire_kohm = constant("wire.resistance") * length / 1e3
    driven = (0.69 * constant("word_line.driver") * slow + 0.38 * wire_kohm) * load / 1e3
    repeated = 2.5 * (constant("wire.repeater") * slow * wire_kohm * load / 1e3) ** 0.5
    return min(driven, repeated)


@pytest.mark.parametrize("family", ["charge_sram", "current_sram"])
def test_time_of_an_activation(family):
    chip = {**CHIP, "array": family, "rows": 128, "rows_active": 64, "planes": 4}
    chip |= {"node_nm": 28, "converter": "sar"}
    macro = macro_circuit(chip_table([chip]))
    table, geometry = chip_table([chip]), macro.geometry
    rows = 64 + constant("array.idle_row_load") * (128 - 64)
    planes = 1 + constant("array.plane_load") * 3
    stack = 1 + constant("adc.stack_load") * (float(geometry.pitch_stack[0]) - 1)
    start = constant(f"{family.removesuffix('_sram')}_cell.settle")
    settle = start + 2 * constant("array.row_settle") * rows * planes * stack
    convert = float(table.adc_bits[0]) * constant("adc.step")
    share = float(geometry.share[0])
    slow = float(slowdown(table.supply_v, table.node_nm)[0])
    line = _word_line_ns(float(table.cols[0]), float(geometry.cell_height_um[0]), slow)
    ratio = (convert + (settle + line / slow) / share) / convert
    assert macro.cycle_ns[0] / macro.conversion_ns[0] == pytest.approx(ratio)
    assert macro.settle_ns[0] / macro.conversion_ns[0] == pytest.approx(
        (settle + line / slow) / convert
    )
