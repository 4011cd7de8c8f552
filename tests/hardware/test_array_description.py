"""The array of a chip, as cost and accuracy both read it: counted by hand."""

import pytest

from cimbo.errors import BadInput
from cimbo.hardware import BASELINE_CHIP
from cimbo.hardware.array_description import describe_array


def test_eight_bits_in_one_bit_cells():
    array = describe_array(BASELINE_CHIP)
    assert (array.family, array.encoding, array.range_policy) == (
        "charge_sram",
        "twos_complement",
        "layer",
    )
    assert (array.slices, array.cells_per_weight, array.input_steps) == (8, 8, 8)
    assert array.conversions == 64  # 8 slices x 8 steps, all 128 rows at once
    assert array.largest_sum == 128


def test_differential_cells_carry_the_sign():
    """7 bits of magnitude in 2-bit cells: 4 digits, two cells each; the sums of both columns are read as one."""
    array = describe_array(
        BASELINE_CHIP | {"encoding": "differential", "cell_bits": 2, "dac_bits": 4}
    )
    assert (array.slices, array.cells_per_weight, array.input_steps) == (4, 8, 2)
    assert array.conversions == 8
    assert array.largest_sum == 128 * 15 * 3
    assert array.full_scale == 2 * array.largest_sum


def test_few_rows_at_once_are_read_one_after_the_other():
    array = describe_array(BASELINE_CHIP | {"array": "rram", "rows_active": 48})
    assert array.row_steps == 3  # 48 + 48 + 32 of 128
    assert array.conversions == 3 * 64
    assert array.cells_err


def test_digital_sums_are_exact():
    array = describe_array(BASELINE_CHIP | {"array": "digital_sram"})
    assert (array.adc_bits, array.conversions, array.noise_lsb) == (0, 0, 0)


def test_genes_of_the_rest_of_a_design_are_ignored():
    assert describe_array(BASELINE_CHIP | {"depth": 12}) == describe_array(BASELINE_CHIP)


@pytest.mark.parametrize("gene", ["array", "encoding", "adc_range"])
def test_unknown_words_are_named(gene):
    with pytest.raises(BadInput, match=rf"chip.{gene}: of chance is unknown; use one of"):
        describe_array(BASELINE_CHIP | {gene: "of chance"})
