"""ZigZag-IMC (zigzag-dse 3.9.1) as a simulator: one macro geometry, one plane, a converter for every column.

Layers are written as convolutions, since its Gemm operator fails on CiM arrays; unique layers are evaluated once for
each chip and kept. ``lpf_limit`` and ``spatial_mappings`` are its fast settings: they change results, so they are fixed.
"""

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cimbo.errors import BadInput
from cimbo.evaluation.simulators.zigzag_inputs import (
    DEFAULT_MAPPING,
    accelerator,
    at_layer_bits,
    check_weight_bits,
    checked_chip,
    described,
    inputs,
)
from cimbo.hardware.cost_model import one_circuit
from cimbo.workloads.layers import Layer, Workload

__all__ = [
    "ZigZag",
    "accelerator",
    "at_layer_bits",
    "check_installed",
    "checked_chip",
    "inputs",
    "is_installed",
]

# In modules of ``zigzag.stages``, in the order in which they run.
ZIGZAG_STAGES = (
    "parser.workload_parser.WorkloadParserStage",
    "parser.accelerator_parser.AcceleratorParserStage",
    "results.reduce_stages.SumStage",
    "exploit_data_locality_stages.SearchInterLayerDataLocalityStage",
    "workload_iterator.WorkloadStage",
    "exploit_data_locality_stages.ExploitInterLayerDataLocalityStage",
    "results.reduce_stages.MinimalLatencyStage",
    "mapping.spatial_mapping_generation.SpatialMappingGeneratorStage",
    "results.reduce_stages.MinimalLatencyStage",
    "mapping.temporal_mapping_generator_stage.TemporalMappingGeneratorStage",
    "evaluation.cost_model_evaluation.CostModelStage",
)


@dataclass
class ZigZag:
    """Cycles and energy of every layer by ZigZag's mapping search; clock and area of the chip by our own circuit model.

    Raises BadInput when zigzag-dse is not installed or the chip is beyond what it models.

    Attributes:
        lpf_limit: Loop prime factors to which ZigZag cuts each loop; more: a finer search.
        spatial_mappings: Spatial mappings that it tries for each layer.
        name: Name of the simulator.
        known: Cycles and pJ of layers that were evaluated, by layer and chip.
    """

    lpf_limit: int = 4
    spatial_mappings: int = 1
    name: str = "zigzag"
    known: dict[tuple[Any, ...], tuple[float, float]] = field(default_factory=dict, repr=False)

    def simulate(self, workload: Workload, chip: Mapping[str, Any]) -> dict[str, Any]:
        """Compute what a network costs on a chip.

        Args:
            workload: The network; a token loop is not counted.
            chip: Genes of the chip.

        Returns:
            latency_ms, energy_uj (dynamic, by ZigZag), area_mm2 (our circuit model's), cycles,
            clock_ns, and each layer's name, cycles and energy_uj.

        Raises:
            BadInput: When zigzag-dse is not installed, or it cannot express the chip.
        """
        full = checked_chip(chip)
        circuit = one_circuit(chip)
        clock_ns = float(circuit.clock_ns[0])
        cycles = 0.0
        picojoules = 0.0
        layers = []
        for layer in workload.layers:
            layer_cycles, layer_pj = self._layer(layer, at_layer_bits(layer, full))
            cycles += layer_cycles
            picojoules += layer_pj
            layers.append(
                {"name": layer.name, "cycles": layer_cycles, "energy_uj": layer_pj * 1e-6}
            )
        return {
            "latency_ms": cycles * clock_ns * 1e-6,
            "energy_uj": picojoules * 1e-6,
            "area_mm2": float(circuit.area_mm2[0]),
            "cycles": cycles,
            "clock_ns": clock_ns,
            "layers": layers,
        }

    def _layer(self, layer: Layer, chip: Mapping[str, Any]) -> tuple[float, float]:
        """Cycles and picojoules of a layer, evaluated now or before."""
        description = described(layer, chip)
        check_weight_bits(chip)
        key = (json.dumps(description), json.dumps(chip, sort_keys=True, default=str))
        if key not in self.known:
            self.known[key] = self._run(description, chip)
        cycles, picojoules = self.known[key]
        if layer.dynamic:
            # Each head of an attention is a layer of its own, with its own operands.
            return layer.groups * cycles, layer.groups * picojoules
        return cycles, picojoules

    def _run(self, description: dict[str, Any], chip: Mapping[str, Any]) -> tuple[float, float]:
        """Run ZigZag on one layer, given as ZigZag describes it; cycles and picojoules."""
        check_installed()
        from zigzag.mapping.temporal_mapping import TemporalMappingType  # type: ignore[import-not-found, unused-ignore]
        from zigzag.stages.main import MainStage  # type: ignore[import-not-found, unused-ignore]

        with TemporaryDirectory() as folder, _quiet():
            # JSON is valid YAML, and ZigZag reads these two only from files with YAML names.
            chip_file = Path(folder) / "accelerator.yaml"
            mapping_file = Path(folder) / "mapping.yaml"
            chip_file.write_text(json.dumps(accelerator(chip)))
            mapping_file.write_text(json.dumps(DEFAULT_MAPPING))
            results = MainStage(
                list_of_callables=_stages(),
                workload=[description],
                accelerator=str(chip_file),
                mapping=str(mapping_file),
                loma_lpf_limit=self.lpf_limit,
                loma_show_progress_bar=False,
                nb_mappings_generated=self.spatial_mappings,
                enable_mix_spatial_mapping_generation=True,
                access_same_data_considered_as_no_access=True,
                temporal_mapping_type=TemporalMappingType.UNEVEN,
            ).run()
        best = results[0][0]
        return float(best.latency_total2), float(best.energy_total)


def _stages() -> list[Any]:
    """ZigZag's stages for chips that compute in memory, latency first, as its interface strings them together.

    Its drawings and dumps are left out: nobody reads them here, and they fail where a layer needs no loop in time.

    Returns:
        The stages, the outermost first.
    """
    stages = []
    for name in ZIGZAG_STAGES:
        module, stage = name.rsplit(".", 1)
        stages.append(getattr(import_module(f"zigzag.stages.{module}"), stage))
    return stages


def is_installed() -> bool:
    """Tell whether ZigZag can be called here."""
    return not _absent_packages()


def _absent_packages() -> list[str]:
    """Names of the packages that ZigZag needs and that are missing here."""
    return [name for name in ("zigzag", "six") if find_spec(name) is None]


def check_installed() -> None:
    """Raises BadInput naming the packages that are missing."""
    absent = _absent_packages()
    if absent:
        what = f"is not installed ({' and '.join(absent)} missing)"
        todo = "pip install 'cimbo[zigzag]' (zigzag-dse and six)"
        raise BadInput("simulator zigzag", what, todo)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence ZigZag within a block: it logs every step at INFO, and every limit of its array as a warning."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
