"""ZigZag-IMC (zigzag-dse 3.9.1) as a simulator: one macro geometry, one plane, a converter for every column.

Layers are written as convolutions, since its Gemm operator fails on CiM arrays; unique layers are evaluated once for
each chip and kept. ``lpf_limit`` and ``spatial_mappings`` are its fast settings: they change results, so they are fixed.
"""

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cimbo.errors import BadInput
from cimbo.hardware.chip_columns import columns
from cimbo.hardware.cost_model import one_circuit
from cimbo.workloads.layers import Layer, Workload

UNSUPPORTED_GENES: tuple[tuple[str, Callable[[Any], bool], str], ...] = (
    ("planes", lambda value: value > 1, "models one plane of weights"),
    ("columns_per_adc", lambda value: value > 1, "has a converter for every column"),
    ("cell_bits", lambda value: value > 1, "has one bit a cell"),
    ("array", lambda value: value == "rram", "models SRAM arrays only"),
    ("columns_summed", lambda value: value > 1, "converts every column by itself"),
)


@dataclass
class ZigZag:
    """Cycles and energy of every layer by ZigZag's mapping search; clock and area of the chip by our own circuit model.

    Raises BadInput when zigzag-dse is not installed or the chip is beyond what it models.
    """

    lpf_limit: int = 4
    spatial_mappings: int = 1
    name: str = "zigzag"
    known: dict[tuple[Any, ...], tuple[float, float]] = field(default_factory=dict, repr=False)

    def simulate(self, workload: Workload, chip: Mapping[str, Any]) -> dict[str, Any]:
        """Computes what a network costs on a chip.

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
        part = one_circuit(chip)
        costs = [self._layer(layer, at_layer_bits(layer, full)) for layer in workload.layers]
        cycles, picojoules = (float(sum(column)) for column in zip(*costs, strict=True))
        clock_ns = float(part.clock_ns[0])
        layers = []
        for layer, (own, energy) in zip(workload.layers, costs, strict=True):
            layers.append({"name": layer.name, "cycles": own, "energy_uj": energy * 1e-6})
        return {
            "latency_ms": cycles * clock_ns * 1e-6,
            "energy_uj": picojoules * 1e-6,
            "area_mm2": float(part.area_mm2[0]),
            "cycles": cycles,
            "clock_ns": clock_ns,
            "layers": layers,
        }

    def _layer(self, layer: Layer, chip: Mapping[str, Any]) -> tuple[float, float]:
        description = _describe(layer, chip)
        _check_weight_bits(chip)
        key = (json.dumps(description), json.dumps(chip, sort_keys=True, default=str))
        if key not in self.known:
            self.known[key] = self._run(description, chip)
        cycles, picojoules = self.known[key]
        # Each head of an attention is a layer of its own, with its own operands.
        if layer.dynamic:
            times = layer.groups
        else:
            times = 1
        return times * cycles, times * picojoules

    def _run(self, description: dict[str, Any], chip: Mapping[str, Any]) -> tuple[float, float]:
        check_installed()
        from zigzag.mapping.temporal_mapping import TemporalMappingType  # type: ignore[import-not-found, unused-ignore]
        from zigzag.stages.main import MainStage  # type: ignore[import-not-found, unused-ignore]

        with TemporaryDirectory() as folder, _quiet():
            # JSON is valid YAML, and ZigZag reads these two only from files with YAML
            # names.
            paths = {}
            for name in ("accelerator", "mapping"):
                paths[name] = Path(folder) / f"{name}.yaml"
            paths["accelerator"].write_text(json.dumps(accelerator(chip)))
            paths["mapping"].write_text(json.dumps(DEFAULT_MAPPING))
            found = MainStage(
                list_of_callables=_stages(),
                workload=[description],
                accelerator=str(paths["accelerator"]),
                mapping=str(paths["mapping"]),
                loma_lpf_limit=self.lpf_limit,
                loma_show_progress_bar=False,
                nb_mappings_generated=self.spatial_mappings,
                enable_mix_spatial_mapping_generation=True,
                access_same_data_considered_as_no_access=True,
                temporal_mapping_type=TemporalMappingType.UNEVEN,
            ).run()
        return float(found[0][0].latency_total2), float(found[0][0].energy_total)


def _stages() -> list[Any]:
    """ZigZag's stages for chips that compute in memory, latency first, as its interface strings them together.

    Its drawings and dumps are left out: nobody reads them here, and they fail where a layer needs no loop in time.

    Returns:
        The stages, the outermost first.
    """
    names = (
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
    split = [name.rsplit(".", 1) for name in names]
    stages = []
    for module, stage in split:
        stages.append(getattr(import_module(f"zigzag.stages.{module}"), stage))
    return stages


def inputs(
    workload: Workload, chip: Mapping[str, Any]
) -> tuple[dict[str, Any], list[dict[str, Any]], list[list[dict[str, Any]]]]:
    """Writes what ZigZag is given for a network on a chip.

    A layer of attention is one head of it.

    Args:
        workload: The network.
        chip: Genes of the chip.

    Returns:
        The accelerator; a workload mapping; and for each layer of the network, in order, a workload
        of that layer alone.

    Raises:
        BadInput: When ZigZag cannot express the chip.
    """
    full = checked_chip(chip)
    listed = [[_describe(layer, full)] for layer in workload.layers]
    return accelerator(full), DEFAULT_MAPPING, listed


def at_layer_bits(layer: Layer, chip: Mapping[str, Any]) -> dict[str, Any]:
    """Makes the chip with operands of a layer's own bits, which ZigZag counts as a chip of its own, at the same clock.

    Args:
        layer: The layer; its bits count where it says any, and where they are fewer than the
            chip's.
        chip: All properties of the chip.

    Returns:
        The properties with these bits.
    """
    own = {"act_bits": layer.activation_bits, "weight_bits": layer.weight_bits}
    bits = {}
    for name, value in own.items():
        bits[name] = min(value or chip[name], chip[name])
    own_chip = {**chip, **bits}
    stretched = float(one_circuit(chip).clock_ns[0] / one_circuit(own_chip).clock_ns[0])
    return {**own_chip, "cycle_factor": chip["cycle_factor"] * stretched}


def is_installed() -> bool:
    """Tell whether ZigZag can be called here."""
    return not _absent_packages()


def _absent_packages() -> list[str]:
    return [name for name in ("zigzag", "six") if find_spec(name) is None]


def check_installed() -> None:
    """Raises BadInput naming the packages that are missing."""
    absent = _absent_packages()
    if absent:
        todo = "pip install 'cimbo[zigzag]' (zigzag-dse and six)"
        raise BadInput(
            "simulator zigzag", f"is not installed ({' and '.join(absent)} missing)", todo
        )


def checked_chip(chip: Mapping[str, Any]) -> dict[str, Any]:
    """Completes a chip, if ZigZag can express it.

    Args:
        chip: Genes of the chip; those left out have their defaults.

    Returns:
        All its properties.

    Raises:
        BadInput: ZigZag cannot express it; the gene is named.
    """
    full = {name: values[0] for name, values in columns(chip).items()}
    _check(full)
    return full


def _check(chip: Mapping[str, Any]) -> None:
    if chip["rows_active"] < chip["rows"]:
        what = f"is {chip['rows_active']:g}, but ZigZag switches on all rows at once"
        raise BadInput("chip.rows_active", what, "leave it out, or use simulator cimbo")
    _check_weight_bits(chip)
    for gene, beyond, what in UNSUPPORTED_GENES:
        if beyond(chip[gene]):
            raise BadInput(
                f"chip.{gene}",
                f"is {chip[gene]}, but ZigZag {what}",
                "fix the gene, or use simulator cimbo",
            )


def _check_weight_bits(chip: Mapping[str, Any]) -> None:
    bits = int(chip["weight_bits"])
    if bits & (bits - 1):
        what = f"is {bits}, but ZigZag knows powers of two only"
        raise BadInput("chip.weight_bits", what, "use simulator cimbo")


def _describe(layer: Layer, chip: Mapping[str, Any]) -> dict[str, Any]:
    """A layer as ZigZag's convolution; a linear layer has its tokens as rows of the image."""
    kernel, grouped = layer.kernel, layer.groups > 1 and not layer.dynamic
    size = {
        "B": 1,
        "K": layer.columns,
        "C": layer.reduction // kernel**2,
        "OY": layer.px // layer.width,
        "OX": layer.width,
        "FY": kernel,
        "FX": kernel,
    }
    group = "[g]" if grouped else ""
    return {
        "id": 0,
        "name": "layer",
        "operator_type": "Conv",
        "equation": f"O[b]{group}[k][oy][ox]+=W{group}[k][c][fy][fx]*I[b]{group}[c][iy][ix]",
        "dimension_relations": [f"ix={layer.stride}*ox+1*fx", f"iy={layer.stride}*oy+1*fy"],
        "loop_dims": [*(["G"] if grouped else []), *size],
        "loop_sizes": [*([layer.groups] if grouped else []), *size.values()],
        "operand_source": {"W": 0},  # its own constant, so that it is the stationary one
        "operand_precision": {
            "W": int(chip["weight_bits"]),
            "I": int(chip["act_bits"]),
            "O": 16,
            "O_final": int(min(layer.output_bits or chip["act_bits"], MOST_RESULT_BITS)),
        },
    }


MOST_RESULT_BITS = 8  # most bits of the results that a layer passes to the next one
DEFAULT_MAPPING = [
    {
        "name": "default",
        "memory_operand_links": {"O": "O", "W": "I2", "I": "I1"},
        "spatial_mapping_hint": {"D1": ["K"], "D2": ["C", "FX", "FY"]},
    }
]


def accelerator(chip: Mapping[str, Any]) -> dict[str, Any]:
    """Describes a chip for ZigZag.

    Macros (D3) have rows (D2) and weight columns (D1); there are a buffer and a DRAM.

    Args:
        chip: All properties of the chip.

    Returns:
        The accelerator as ZigZag's files have it; bandwidths in bits a cycle of the arrays.
    """
    part = one_circuit(chip)
    sizes, energies = part.per_cycle, part.energies
    macros = int(part.macros[0])
    dimensions = ["D1", "D2", "D3"][: 3 if macros > 1 else 2]
    everything = {"served_dimensions": dimensions}
    # Bits in each cycle of the arrays, because ZigZag knows only one clock.
    buffer_bw, dram_bw = (max(1, round(float(b[0]))) for b in (sizes.buffer_bw, sizes.dram_bw))
    bits = int(chip["weight_bits"])
    analog = chip["array"] != "digital_sram"
    return {
        "name": "cimbo",
        "memories": {
            "cells": {
                "size": bits,
                "r_cost": 0,
                "w_cost": float(energies["write_energy"][0]) * bits,
                "area": 0,
                "latency": 0,
                "operands": ["I2"],
                "ports": [_port("rw", bits, ["I2, fh", "I2, tl"])],
                "served_dimensions": [],
            },
            **_registers(),
            "buffer": {
                "size": int(sizes.buffer_bits[0]),
                "r_cost": float(energies["read_energy"][0]) * buffer_bw,
                "w_cost": float(energies["store_energy"][0]) * buffer_bw,
                "area": 0,
                "latency": 1,
                "operands": ["I1", "O"],
                **everything,
                "ports": [
                    _port("r", buffer_bw, ["I1, tl", "O, tl", "O, th"]),
                    _port("w", buffer_bw, ["I1, fh", "O, fh", "O, fl"]),
                ],
            },
            "dram": {
                "size": 10**10,
                "r_cost": float(energies["dram_energy"][0]) * dram_bw,
                "w_cost": float(energies["dram_energy"][0]) * dram_bw,
                "area": 0,
                "latency": 1,
                "operands": ["I1", "I2", "O"],
                **everything,
                "ports": [
                    _port(
                        "rw",
                        dram_bw,
                        [f"{operand}, {way}" for operand in ("I1", "I2") for way in ("fh", "tl")]
                        + [f"O, {way}" for way in ("fh", "tl", "fl", "th")],
                    )
                ],
            },
        },
        "operational_array": {
            "is_imc": True,
            "imc_type": "analog" if analog else "digital",
            "input_precision": [int(chip["act_bits"]), bits],
            "bit_serial_precision": int(chip["dac_bits"]),
            **({"adc_resolution": int(chip["adc_bits"])} if analog else {}),
            "dimensions": dimensions,
            "sizes": [int(sizes.weight_columns[0]), int(chip["rows"]), macros][: len(dimensions)],
        },
    }


def _registers() -> dict[str, Any]:
    """The registers at the edges of the arrays, as in ZigZag's own examples."""
    register = {"r_cost": 0.021, "w_cost": 0.021, "area": 0, "latency": 1}
    return {
        "inputs": {
            "size": 8,
            **register,
            "operands": ["I1"],
            "ports": [_port("r", 8, ["I1, tl"]), _port("w", 8, ["I1, fh"])],
            "served_dimensions": ["D1"],
        },
        "outputs": {
            "size": 16,
            **register,
            "operands": ["O"],
            "served_dimensions": ["D2"],
            "ports": [
                _port("r", 16, ["O, tl"], 1),
                _port("r", 16, ["O, th"], 2),
                _port("w", 16, ["O, fh"], 1),
                _port("w", 16, ["O, fl"], 2),
            ],
        },
    }


def _port(kind: str, bits: int, uses: list[str], number: int = 1) -> dict[str, Any]:
    names = {"r": "read", "w": "write", "rw": "read_write"}
    return {
        "name": f"{kind}_port_{number}",
        "type": names[kind],
        "bandwidth_min": min(bits, 64),
        "bandwidth_max": bits,
        "allocation": uses,
    }


@contextmanager
def _quiet() -> Iterator[None]:
    """ZigZag logs every step at INFO, and every limit of its array as a warning."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
