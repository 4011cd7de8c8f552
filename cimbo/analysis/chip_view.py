"""One design on its chip, as pictures need it: its layers under the chip's roofs, and energy and area by part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cimbo import hardware
from cimbo.hardware.chip_table import chip_table
from cimbo.hardware.memories import dram_gb_s
from cimbo.workloads.layers import Workload

OPERATIONS_PER_TERA = 1e12


@dataclass(frozen=True)
class LayerView:
    """A layer on a chip.

    Attributes:
        name: Its name.
        bound: What its time is spent on.
        latency_ms: Its time.
        energy_uj: Its energy.
        tops: Operations a second that it attains, two for a multiply-accumulate, in 10^12; None where it multiplies nothing.
        dram_bytes: What it moves over the DRAM's channels: its share of the DRAM's energy times the bytes of the run.
    """

    name: str
    bound: str
    latency_ms: float
    energy_uj: float
    tops: float | None
    dram_bytes: float

    @property
    def operations_per_byte(self) -> float | None:
        """Arithmetic intensity; None where it multiplies or moves nothing."""
        if self.tops is None or self.dram_bytes <= 0:
            return None
        return self.tops * OPERATIONS_PER_TERA * self.latency_ms * 1e-3 / self.dram_bytes


@dataclass(frozen=True)
class ChipView:
    """A design on its chip.

    Attributes:
        layers: In order of execution.
        peak_tops: The roof of the arrays, in 10^12 operations a second.
        dram_gb_s: The slope of the DRAM's roof.
        energy_by_part_uj: By part of the chip; parts that take nothing are left out.
        area_by_part_mm2: Likewise.
    """

    layers: tuple[LayerView, ...]
    peak_tops: float
    dram_gb_s: float
    energy_by_part_uj: Mapping[str, float]
    area_by_part_mm2: Mapping[str, float]


def chip_view(workload: Workload, chip: Mapping[str, Any]) -> ChipView:
    """Simulate a network on a chip, and keep what pictures show.

    Args:
        workload: The network.
        chip: Genes of the chip; those left out have their defaults.

    Returns:
        The design on its chip.

    Raises:
        BadInput: Where the chip is none, naming the gene.
    """
    result = hardware.simulate(workload, chip)
    dram_uj = result["energy_parts_uj"].get("dram", 0.0)
    bytes_per_uj = 0.0
    if dram_uj > 0:
        bytes_per_uj = result["dram_bytes"] / dram_uj
    return ChipView(
        layers=tuple(_layer_view(layer, result, bytes_per_uj) for layer in result["layers"]),
        peak_tops=result["peak_tops"],
        dram_gb_s=float(dram_gb_s(chip_table([chip]))[0]),
        energy_by_part_uj=_positive(result["energy_parts_uj"]),
        area_by_part_mm2=_positive(result["area_parts_mm2"]),
    )


def _layer_view(
    layer: Mapping[str, Any], result: Mapping[str, Any], bytes_per_uj: float
) -> LayerView:
    """A layer as `hardware.simulate` tells of it, and of the whole run."""
    tops = layer.get("utilisation", 0.0) * result["peak_tops"]
    return LayerView(
        name=str(layer["name"]),
        bound=layer["bound"],
        latency_ms=layer["cycles"] * result["clock_ns"] * 1e-6,
        energy_uj=sum(layer["energy_uj"].values()),
        tops=tops if tops > 0 else None,
        dram_bytes=layer["energy_uj"].get("dram", 0.0) * bytes_per_uj,
    )


def _positive(by_part: Mapping[str, float]) -> dict[str, float]:
    """The parts that take anything."""
    return {part: value for part, value in by_part.items() if value > 0}
