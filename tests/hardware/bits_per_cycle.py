"""Chips whose bandwidths are given in bits a cycle of their arrays, as hand-computed cases and other tools count them."""

from typing import Any

from cimbo.hardware.cost_model import one_circuit
from cimbo.hardware.technology import constant

_OURS = {"buffer_bw": "buffer_gb_s", "noc_bw": "noc_gb_s"}


def in_gb_s(chip: dict[str, Any]) -> dict[str, Any]:
    """The chip in our genes.

    The digital clock is the arrays' cycle, so that a lane of the vector unit does one operation a cycle.
    """
    given = dict(chip)
    bits = {name: given.pop(name) for name in ("buffer_bw", "noc_bw", "dram_bw") if name in given}
    given |= {"buffer_gb_s": 1, "noc_gb_s": 1, "dram_channels": 1, "schedule": "latency"} | {
        name: given[name] for name in ("schedule", "dram_channels") if name in given
    }
    cycle_ns = float(one_circuit(given).clock_ns[0])
    for name, ours in _OURS.items():
        if name in bits:
            given[ours] = bits[name] / 8 / cycle_ns
    if "dram_bw" in bits:
        channel = constant("dram_lpddr4x.bandwidth")
        given["dram_channels"] = bits["dram_bw"] / 8 / cycle_ns / channel
    return given | {"clock_ghz": 1 / cycle_ns}


def rounded(result: dict[str, Any]) -> dict[str, Any]:
    """A result with cycles as a person would count them, without the last digits of a division."""
    layers = [layer | {"cycles": round(layer["cycles"], 6)} for layer in result["layers"]]
    return result | {"cycles": round(result["cycles"], 6), "layers": layers}
