"""The table of published chips: every listed chip is there, with a figure or a reason."""

import pytest

from cimbo.hardware.silicon import TARGETS, comparison, macro, published


def test_eleven_chips_with_citations():
    chips = published()
    assert len(chips) == 11
    assert all(entry["citation"] and entry["reported"] for entry in chips.values())


def test_every_quantity_has_an_error_or_a_reason():
    rows = comparison()
    assert len(rows) == 3 * len(published())
    assert {row["quantity"] for row in rows} == set(TARGETS)
    for row in rows:
        assert row["not_comparable"] or row["error"] == pytest.approx(row["modelled"] / row["reported"] - 1)


def test_macro_energy_is_what_the_network_model_charges():
    """A full macro, one vector: the macro's TOPS/W is the layer's, from the array parts alone."""
    from cimbo.hardware import simulate
    from cimbo.workload import Layer, Workload

    genes = {"rows": 64, "cols": 64, "macros_per_pe": 1, "adc_bits": 6, "dac_bits": 2, "array": "digital_sram"}
    chip = {**genes, "pes": 1, "columns_per_adc": 1, "planes": 1, "buffer_mb": 1, "buffer_bw": 64, "dram_bw": 64}
    energy = simulate(Workload("w", (Layer("l", "linear", 1, 64, 8),)), chip)["energy_parts_uj"]
    array = sum(energy[name] for name in ("adc", "dac", "array", "adders", "accumulators"))
    assert 2 * 64 * 8 / (array * 1e6) == pytest.approx(macro(genes)["tops_per_watt"])
