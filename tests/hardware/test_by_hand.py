"""Cases computed by hand, step by step: what no reference tool models.

The chip: macros of 64 x 64 one-bit cells, so 64 / 8 = 8 weights of 8 bits a row. Inputs enter whole (8-bit DAC, one
pulse) and every column has its converter, so one vector takes one cycle. One macro, one plane, links of 64 bit a
cycle, a NoC and a vector unit too wide to matter. Each test changes what it is about.
"""

import math

import pytest
from bits_per_cycle import in_gb_s, rounded

from cimbo.hardware import simulate
from cimbo.hardware.technology import constant
from cimbo.workloads.layers import Layer, Workload

CHIP = {
    "rows": 64,
    "cols": 64,
    "macros_per_pe": 1,
    "pes": 1,
    "adc_bits": 6,
    "columns_per_adc": 1,
    "dac_bits": 8,
    "buffer_mb": 1,
    "buffer_bw": 4096,
    "dram_bw": 64,
    "planes": 1,
    "noc_bw": 1e9,
    "vector_lanes": 1e9,
}


def layer(px: int, reduction: int, columns: int, **more) -> Layer:
    groups = more.get("groups", 1)
    sizes = {"inputs": px * reduction * groups, "outputs": px * columns * groups}
    return Layer("l", more.pop("kind", "linear"), px, reduction, columns, **(sizes | more))


def run(*layers: Layer, **change) -> dict:
    return rounded(simulate(Workload("w", layers), in_gb_s(CHIP | change)))


def test_1_one_tile_resident():
    # 64 x 8 weights fill one macro; the network is that one tile, 1 <= 1 macro x 1 plane: resident, nothing loaded.
    # 100 vectors x 1 pass x 1 pulse x 1 conversion = 100 cycles.
    result = run(layer(100, 64, 8))
    assert result["resident"]
    assert result["cycles"] == 100


def test_2_two_passes_with_reload():
    # 128 x 8 weights: 2 row tiles on 1 macro: 2 passes, not resident.
    # Load: 128 * 8 * 8 bit / 64 bit a cycle = 128 cycles; writing 2 x 64 rows takes 128 cycles in step: 128.
    # Compute: 100 x 2 passes = 200. One plane: 128 + 200 = 328.
    result = run(layer(100, 128, 8))
    assert not result["resident"]
    assert result["cycles"] == 328


def test_3_writing_rows_can_be_slower_than_the_link():
    # As case 2 with a 512-bit DRAM: transfer 8192 / 512 = 16 cycles, but 128 rows need 128 cycles: still 128 + 200.
    assert run(layer(100, 128, 8), dram_bw=512)["cycles"] == 328


def test_4_several_planes_hide_the_load():
    # As case 2 with 128-bit rows a plane apart, and a third row tile so that 3 tiles exceed 1 macro x 2 planes.
    # Load: 192 * 8 * 8 / 64 = 192; compute 100 x 3 = 300; several planes: max(192, 300) = 300.
    result = run(layer(100, 192, 8), planes=2)
    assert not result["resident"]
    assert result["cycles"] == 300


def test_5_several_planes_bound_by_the_load():
    # As case 4 with 16 bit a cycle: load 12288 / 16 = 768 > 300.
    result = run(layer(100, 192, 8), planes=2, dram_bw=16)
    assert result["cycles"] == 768
    assert result["layers"][0]["bound"] == "weight load"


def test_6_planes_make_it_resident():
    # Case 2's two tiles in two planes of the one macro: resident; 2 passes x 100 = 200.
    result = run(layer(100, 128, 8), planes=2)
    assert result["resident"]
    assert result["cycles"] == 200


def test_7_several_macros_take_tiles_at_once():
    # 128 x 16 weights: 2 row x 2 column tiles on 4 macros: 1 pass; 4 <= 4: resident; 100 cycles.
    assert run(layer(100, 128, 16), pes=4)["cycles"] == 100


def test_8_more_tiles_than_macros():
    # 3 macros for 4 tiles: ceil(4 / 3) = 2 passes x 100 = 200, reloaded. Load: 128 * 16 * 8 / 64 = 256; writing
    # 2 passes x 64 rows = 128 < 256. 256 + 200 = 456.
    assert run(layer(100, 128, 16), pes=3)["cycles"] == 456


def test_9_copies_share_the_vectors():
    # 1 tile on 4 macros: 4 copies, 100 / 4 = 25 cycles.
    assert run(layer(100, 64, 8), pes=4)["cycles"] == 25


def test_10_copies_never_exceed_the_vectors():
    # 3 vectors on 8 macros: 3 copies at most, 1 cycle.
    assert run(layer(3, 64, 8), pes=8)["cycles"] == 1


def test_11_uneven_copies():
    # 3 macros, 100 vectors: the busiest copy takes ceil(100 / 3) = 34.
    assert run(layer(100, 64, 8), pes=3)["cycles"] == 34


def test_12_shared_converters():
    # 8 columns a converter: each vector takes 8 conversions: 100 x 8 = 800.
    assert run(layer(100, 64, 8), columns_per_adc=8)["cycles"] == 800


def test_13_serial_inputs():
    # 8 bits through a 2-bit DAC: 4 pulses; with 4 columns a converter 100 x 4 x 4 = 1600.
    assert run(layer(100, 64, 8), dac_bits=2, columns_per_adc=4)["cycles"] == 1600


def test_14_depthwise_packed_on_the_diagonal():
    # 3 x 3 depthwise, 14 channels: 9 rows x 1 column each; min(64 // 9 = 7, 8) = 7 groups a macro: 2 tiles, 1 macro.
    # Weights 14 * 9 * 8 = 1008 bit / 64 = 15.75 cycles; writing 2 passes x 63 rows = 126; compute 2 x 100 = 200.
    # 126 + 200 = 326.
    depthwise = layer(100, 9, 1, groups=14, kernel=3, kind="depthwise")
    assert run(depthwise)["cycles"] == 326


def test_15_depthwise_unpacked():
    # One group a macro: 14 tiles, 14 passes x 100 = 1400; writing 14 x 9 rows = 126. 1526.
    depthwise = layer(100, 9, 1, groups=14, kernel=3, kind="depthwise")
    assert run(depthwise, packing=0)["cycles"] == 1526


def test_16_residency_of_a_network_and_its_copies():
    # Two layers of 1 tile, 100 and 25 vectors, on 6 macros, 1 plane: 2 tiles fit, 4 are left. They are shared out in
    # proportion to sqrt(px * tiles) = 10 and 5: 8/3 and 4/3 tiles, so 2 and 1 extra copies.
    # 100 / 3 -> 34 cycles, 25 / 2 -> 13 cycles: 47. Reloading instead: six copies, 17 + 5 cycles, but twice
    # 64 * 8 * 8 / 64 = 64 cycles of load: 150. Resident is faster.
    result = run(layer(100, 64, 8), layer(25, 64, 8), pes=6)
    assert result["resident"]
    assert [each["cycles"] for each in result["layers"]] == [34, 13]


def test_17_reloading_wins_over_residency():
    # As case 16 with 10,000 and 2,500 vectors on 3 macros: 1 tile left; shares 2/3 and 1/3: no copy. Resident:
    # 12,500 cycles. Reloaded: 3 copies each, 64 + ceil(10000 / 3) + 64 + ceil(2500 / 3) = 64 + 3334 + 64 + 834 = 4296.
    result = run(layer(10_000, 64, 8), layer(2500, 64, 8), pes=3)
    assert not result["resident"]
    assert result["cycles"] == 4296


def test_18_attention_written_at_run_time():
    # Scores of 1 head: 100 tokens, 16 wide: operand 16 x 100: ceil(100 / 8) = 13 column tiles, 16 rows each.
    # 1 macro: 13 passes x 100 = 1300; writing: 16 * 100 * 8 = 12800 bit over the 4096-bit buffer link = 3.125 cycles,
    # but 13 passes x 16 rows = 208 cycles. 1508. The unit of 64 lanes: 160,000 MACs / 64 = 2500: arrays are faster.
    attention = layer(100, 16, 100, dynamic=True, kind="attention")
    result = run(attention, vector_lanes=64, array="digital_sram")
    assert result["cycles"] == 1508
    assert result["layers"][0]["energy_uj"]["weight_write"] > 0


def test_19_attention_on_the_digital_unit():
    # The same with 256 lanes: 160,000 / 256 = 625 cycles; operands 2 * 160,000 * 8 bit / sqrt(256) = 160,000 bit and
    # results 100 * 100 * 8 = 80,000 bit over 4096 bit a cycle: 58.6. 625 < 1508.
    result = run(
        layer(100, 16, 100, dynamic=True, kind="attention"), vector_lanes=256, array="digital_sram"
    )
    assert result["cycles"] == 625
    assert result["layers"][0]["energy_uj"]["weight_write"] == 0


def test_20_attention_beside_resident_weights():
    # A 1-tile layer and attention on 4 macros: 3 tiles left, floor(3 / 2) = 1 for copies, 2 for attention's operands.
    # Static: share 1 of the 1: one extra copy: 100 / 2 = 50. Attention on 2 macros: ceil(13 / 2) = 7 passes x 100
    # = 700 and 7 x 16 rows of writing = 112: 812. Resident: 862.
    # Reloaded: 64 + 25 = 89, attention on 4 macros: 4 passes x 100 + 4 x 16 = 464: 553. Faster, though it fits.
    network = (layer(100, 64, 8), layer(100, 16, 100, dynamic=True, kind="attention"))
    result = run(*network, pes=4, vector_lanes=1, array="digital_sram")
    assert not result["resident"]
    assert [each["cycles"] for each in result["layers"]] == [89, 464]
    # With 4 bit a cycle of DRAM the load takes 4096 / 4 = 1024 cycles, and residency wins.
    slow = run(*network, pes=4, vector_lanes=1, dram_bw=4, array="digital_sram")
    assert slow["resident"]
    assert [each["cycles"] for each in slow["layers"]] == [50, 812]


def test_21_vector_unit():
    # 100 x 8 results, 5 operations each = 4000; 16 lanes: 250 cycles > 100 of the array.
    result = run(layer(100, 64, 8, vector_ops=4000), vector_lanes=16)
    assert result["cycles"] == 250
    assert result["layers"][0]["bound"] == "vector"


def test_22_buffer_and_its_window():
    # 1 x 1: reads 100 * 64 * 8 = 51,200 bit, writes 100 * 8 * 8 = 6,400; 64 bit a cycle: 900 cycles.
    assert run(layer(100, 64, 8), buffer_bw=64)["cycles"] == 900
    # 4 x 4 window, stride 1, over 4 channels: of 64 inputs a vector only 64 / 4 = 16 are new: 12,800 + 6,400 -> 300.
    assert run(layer(100, 64, 8, kernel=4, kind="conv"), buffer_bw=64)["cycles"] == 300


def test_23_inputs_are_read_for_every_pass_of_columns():
    # 64 x 16: 2 column tiles on 1 macro, 2 planes: resident, 2 passes, inputs read twice:
    # 2 * 51,200 + 12,800 bit over 128 bit a cycle = 900 > 200 of the arrays.
    assert run(layer(100, 64, 16), buffer_bw=128, planes=2)["cycles"] == 900
    # On 2 macros both tiles share one read: 51,200 + 12,800 -> 500.
    assert run(layer(100, 64, 16), buffer_bw=128, pes=2)["cycles"] == 500


def test_24_partial_sums_cross_the_noc():
    # 4 row tiles on 4 PEs of one macro: per result 3 partial sums of 24 bit besides its 8: 800 results x 80 bit
    # = 64,000; inputs 100 * 256 * 8 = 204,800 bit: 268,800 / 1024 = 262.5 cycles.
    assert run(layer(100, 256, 8), pes=4, noc_bw=1024)["cycles"] == 262.5
    # In one PE of 4 macros they are added on the spot: 204,800 + 6,400 = 211,200 / 1024 = 206.25.
    assert run(layer(100, 256, 8), macros_per_pe=4, noc_bw=1024)["cycles"] == 206.25


def test_25_spill_with_inputs_fetched_again():
    # 1024 x 16 on 2 macros, 64 vectors: inputs 65,536 and outputs 1,024 elements: 532,480 bit. A buffer of 1/32 MB has
    # 262,144 bit: spilled, 3 chunks. 32 tiles, 16 passes; streams: column by column, 16 row tiles each: 2 reads.
    # Order 1: inputs 524,288 + what the buffer cannot keep 262,144 x (2 - 1) + outputs 8,192 = 794,624 bit / 64
    # = 12,416 cycles; load 1024 * 16 * 8 / 64 = 2048 (writing 16 x 64 = 1024): 14,464.
    # Order 2: 524,288 + 8,192 = 532,480 / 64 = 8,320 and three loads 6,144: 14,464. Equal; order 1 is kept.
    result = run(layer(64, 1024, 16), pes=2, buffer_mb=1 / 32)
    assert round(result["latency_ms_low"] / result["clock_ns"] * 1e6, 6) == 14_464
    assert result["is_bound"]  # 16 row tiles on 2 macros: partial sums may spill as well
    # What exists: 1,024 sums of 16 bit and the inputs in half the buffer each take ceil(2 * 540,672 / 262,144) = 5 parts,
    # five loads of 2,048 and 8,320: 18,560. Or every sum, put aside in each of a strip's 8 passes, there and back: 262,144
    # bit more and all inputs twice: 1,318,912 / 64 + 2,048 = 22,656.
    assert result["cycles"] == 18_560
    assert "lower bounds" in result["warnings"][0]


def test_26_spill_that_is_exact():
    # The same 65,536 inputs as 1024 vectors of 64 against 64 x 8 weights, resident: inputs 524,288 + outputs 65,536 bit
    # cross the DRAM once: 589,824 / 64 = 9,216 cycles. One row tile: results are complete at once, so no bound.
    result = run(layer(1024, 64, 8), buffer_mb=1 / 32)
    assert result["cycles"] == 9216
    assert not result["is_bound"]


def test_27_rram_writes_slowly():
    # Writing a row takes 1000 ns, in whole cycles of the arrays: 128 rows of load, and 200 cycles of compute.
    result = run(layer(100, 128, 8), array="rram")
    assert result["cycles"] == 128 * math.ceil(1000 / result["clock_ns"]) + 200


def test_28_two_bits_a_cell():
    # 4 cells a weight: 16 weights a row: 64 x 16 is one tile.
    assert run(layer(100, 64, 16), cell_bits=2)["cycles"] == 100


def test_29_energy_of_a_small_layer():
    # Resident 64 x 8, 10 vectors, one pulse. Conversions: 10 x 8 columns x 8 slices = 640 of a 6-bit converter; DAC: 10 x 64
    # rows of 50 fF * 8 bits. All at 0.9 V and 28 nm, so that fF x 0.81 are fJ. A row has 64 cells, whose charge does not grow
    # with the 8 bits, at an activity of a quarter, and a word line with 8 bits' worth of pulses.
    energy = run(layer(10, 64, 8))["layers"][0]["energy_uj"]
    converter = 6 * constant("adc.bit_capacitance") + 4**6 * constant("adc.noise_capacitance")
    assert energy["adc"] == pytest.approx(640 * converter * 0.81e-9)
    assert energy["dac"] == pytest.approx(640 * 50 * 8 * 0.81e-9)
    cell = constant("charge_cell.capacitance") * 0.25
    line = 8 * constant("array.word_line_capacitance")
    assert energy["array"] == pytest.approx(640 * 64 * (cell + line) * 0.81e-9)
    assert energy["control"] == pytest.approx(10 * 128 * constant("control.capacitance") * 0.81e-9)
    assert energy["dram"] == energy["weight_write"] == 0


def test_30_utilisation():
    # 100 vectors x 512 MACs in 100 cycles on 1 macro (512 a cycle) beside 512 idle lanes: a half.
    assert run(layer(100, 64, 8), vector_lanes=512)["utilisation"] == 0.5


def test_31_two_bit_sram_cells_are_two_cells():
    # Half the columns with two-bit cells: the same bits of cells, half the converters. Eight columns have room for a converter.
    one = run(layer(10, 64, 8), columns_per_adc=8)
    two = run(layer(10, 64, 8), cols=32, cell_bits=2, columns_per_adc=8)
    areas = one["area_parts_mm2"], two["area_parts_mm2"]
    assert areas[1]["cells"] == pytest.approx(areas[0]["cells"])
    assert 0.49 < areas[1]["adc"] / areas[0]["adc"] < 0.55  # and the ladder that sets their range


def test_32_each_pass_waits_for_its_own_slowest():
    # 64 x 20: column tiles of 8, 8 and 4 on 2 macros, 2 planes: resident, passes of 16 and of 4 columns. One operation a
    # result, 8 lanes: 100 * 16 / 8 = 200 > 100 of the arrays, then 100 * 4 / 8 = 50 < 100: 200 + 100 = 300.
    assert (
        run(layer(100, 64, 20, vector_ops=2000), pes=2, planes=2, vector_lanes=8)["cycles"] == 300
    )


def test_33_sums_wait_in_the_buffer():
    # 192 x 8: 3 row tiles on 1 macro, 4 planes: resident. Inputs 100 * 192 * 8 = 153,600 bit, results 6,400, over 32 bit:
    # 1,600 + 1,600 + 1,800 = 5,000 cycles. Sums of 16 bit are put aside in all 3 passes and read again: 3 * 800 * 16 =
    # 38,400 bit; with the inputs 192,000 bit: 6,000 cycles.
    result = run(layer(100, 192, 8), planes=4, buffer_bw=32)
    assert result["cycles"] == 6000
    assert result["layers"][0]["bound"] == "buffer"


def test_34_groups_of_several_columns_share_passes():
    # 2 groups of 16 x 12: column tiles of 8 and 4 each. 3 macros: a pass of 8, 4 and 8 columns, which reads both groups'
    # inputs, and one of 4, which reads the second's again. Over 64 bit: inputs 2 x 12,800 + results 16,000 = 650 cycles,
    # then 12,800 + 3,200 = 250; arrays 100 each. Loads: 16 * 20 * 8 / 64 = 40 > 16 rows, then 8 < 16 rows: 56. 956.
    result = run(layer(100, 16, 12, groups=2), pes=3, buffer_bw=64)
    assert not result["resident"]
    assert result["cycles"] == 956


def test_35_a_narrow_last_strip_is_loaded_faster():
    # 128 x 12 on 1 macro: two passes of 8 columns, two of 4: loads 64 rows x 8 x 8 / 32 = 128 cycles twice, 64 (and 64 rows)
    # twice: 384; arrays 4 x 100. 784.
    assert run(layer(100, 128, 12), dram_bw=32)["cycles"] == 784


def test_36_waiting_sums_beyond_the_buffer_give_a_bound():
    # 128 vectors of 128 against 128 x 8 on one macro, two passes: inputs 131,072 bit and 1,024 sums of 16 bit. 1/64 MB are
    # 131,072 bit: inputs and 8-bit results spill, and the sums as well. In 147,456 bit all fit, one bit less is too small.
    at = lambda bits: run(layer(128, 128, 8), buffer_mb=bits / 2**23)  # noqa: E731
    assert at(131_072)["is_bound"]
    assert at(147_455)["is_bound"]
    assert "lower bounds" in at(147_455)["warnings"][0]
    assert not at(147_456)["is_bound"]


def test_37_macros_hold_whole_kernel_sides():
    # 3 x 3 with 14 channels, 126 rows. Of 64: 7 channels x 9 = 63, two of them: 2 tiles. 24 channels, 216 rows: shares of
    # 1, 2, 3, 4, 6, 8, 12 or 24 times 1, 3 or 9: at most 6 x 9 = 54, four tiles, where cut anywhere ceil(216 / 64) = 4, too.
    # 16 channels, 144 rows: 16 x 3 = 48, three tiles (cut anywhere 3); 20 channels, 180 rows: 20 x 3 = 60, three (3);
    # 11 channels, 99 rows: 11 x 3 = 33, three, where cut anywhere two would do. One macro: 100 cycles a tile, and each
    # tile's 33 rows are 33 * 8 * 8 / 64 = 33 cycles of loading, 3 * 133 = 399; cut anywhere 64 + 35 rows, 99 + 200 = 299.
    for channels, tiles, cut in [(14, 2, 2), (24, 4, 4), (16, 3, 3), (20, 3, 3), (11, 3, 2)]:
        window = layer(100, 9 * channels, 8, kernel=3, kind="conv")
        assert run(window)["cycles"] == tiles * 100 + 9 * channels
        assert run(window, whole_kernels=0)["cycles"] == cut * 100 + 9 * channels


def test_38_more_channels_than_rows():
    # 3 x 3 with 100 channels on 64 rows: shares are those of 64, so that 64 channels of one position fill them: ceil(100 / 64)
    # = 2 tiles a position, 18 tiles, which hold 50 rows each. 18 x (100 + 50) = 2,700. Cut anywhere: ceil(900 / 64) = 15
    # tiles, 15 x 100 + 900 = 2,400.
    window = layer(100, 900, 8, kernel=3, kind="conv")
    assert run(window)["cycles"] == 2700
    assert run(window, whole_kernels=0)["cycles"] == 2400


def test_39_counted_as_zigzag_counts():
    # Case 2, each of its two loads begins one vector, a cycle, before the pass before ends: 328 - 2.
    assert run(layer(100, 128, 8), zigzag_counting=1)["cycles"] == 326
    # Two column tiles over a 16-bit buffer: each loads 4,096 bit, 256 cycles, reads 51,200 bit and writes 6,400, 3,600 cycles:
    # 7,712. Past the buffer the load is 4,096 / 64 = 64 and begins a cycle early, and reading takes 3,200: 6,526.
    assert run(layer(100, 64, 16), buffer_bw=16)["cycles"] == 7712
    assert run(layer(100, 64, 16), buffer_bw=16, zigzag_counting=1)["cycles"] == 6526
    # Case 1 over a 32-bit buffer: 51,200 bit of inputs and 6,400 of results are 1,800 cycles; read and written at once 1,600.
    assert run(layer(100, 64, 8), buffer_bw=32)["cycles"] == 1800
    assert run(layer(100, 64, 8), buffer_bw=32, zigzag_counting=1)["cycles"] == 1600
    # A 3 x 3 window of 7 channels, 63 rows: a third of it is new with each vector, 16,800 bit, and 6,400 bit of results:
    # 725 cycles. Read whole 50,400 bit, at once with the results: 1,575.
    window = layer(100, 63, 8, kernel=3, kind="conv")
    assert run(window, buffer_bw=32)["cycles"] == 725
    assert run(window, buffer_bw=32, zigzag_counting=1)["cycles"] == 1575


def test_40_few_rows_at_once():
    # 64 rows, 16 on at once: 4 activations a vector, each converted: 4 x 100. A layer of 20 rows takes 2 of them.
    assert run(layer(100, 64, 8), rows_active=16)["cycles"] == 400
    assert run(layer(100, 20, 8), rows_active=16)["cycles"] == 200


def test_41_differential_weights_take_twice_the_columns():
    # 7 bits of magnitude in two cells each: 14 columns a weight, 4 weights in 64 columns: 64 x 8 are 2 tiles, one conversion
    # for both columns of a digit: 10 vectors x 8 weights x 7 digits.
    result = run(layer(10, 64, 8), planes=2, encoding="differential")
    assert result["cycles"] == 20
    converter = 6 * constant("adc.bit_capacitance") + 4**6 * constant("adc.noise_capacitance")
    energy = result["layers"][0]["energy_uj"]["adc"]
    assert energy == pytest.approx(10 * 8 * 7 * converter * 0.81e-9)


def test_42_a_network_that_is_partly_resident():
    # One macro of two planes, three tiles: 64 x 8 for 10 vectors, 128 x 8 for 1,000. One plane is left for loads, so the first
    # layer, whose load serves the fewest vectors, stays in the other: 10 cycles instead of 64 of its load. The second takes
    # 2 x 1,000 beside 128 of loading: 2,010, and 8,192 bit from the DRAM.
    result = run(layer(10, 64, 8), layer(1000, 128, 8), planes=2)
    assert not result["resident"]
    assert [each["cycles"] for each in result["layers"]] == [10, 2000]
    assert result["energy_parts_uj"]["dram"] == pytest.approx(8192 * 6.0e-6)


def test_43_what_picks_the_schedule():
    # Case 16 with ten times its vectors on 3 macros: resident 1,000 + 250 cycles; reloaded 64 + 334 + 64 + 84, and 8,192 bit of
    # DRAM an inference.
    network = (layer(1000, 64, 8), layer(250, 64, 8))
    small = {"pes": 3, "noc_bw": 2048, "vector_lanes": 64}
    latency, energy = (run(*network, **small, schedule=by) for by in ("latency", "energy"))
    assert (latency["resident"], energy["resident"]) == (False, True)
    assert (latency["cycles"], energy["cycles"]) == (546, 1250)
    assert energy["energy_uj"] < latency["energy_uj"]
    both = run(*network, **small, schedule="edp")
    products = [each["energy_uj"] * each["latency_ms"] for each in (latency, energy)]
    assert both["energy_uj"] * both["latency_ms"] == pytest.approx(min(products))
