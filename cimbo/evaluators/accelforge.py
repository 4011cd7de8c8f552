"""AccelForge (accelforge 1.0.467 with hwcomponents) as a simulator: one analog macro, every unique layer mapped once.

It needs Python 3.12 or newer and the programs that its component models run, whose shipped builds want a newer C library
than many systems have; all of it is probed first. Its macro descriptions are evaluated as code, so only those of the
installed package are read. Energy and time are its own; it models no DRAM, no buffer and no loading of weights.
"""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from shutil import which
from typing import Any

from cimbo.errors import BadInput
from cimbo.hardware.circuit import circuit
from cimbo.hardware.space import columns
from cimbo.workload import Layer, Workload

_PYTHON = (3, 12)
_PACKAGES = ("accelforge", "hwcomponents", "hwcomponents_adc", "hwcomponents_neurosim")
_PROGRAMS = {"hwcomponents_neurosim": "NeuroSim/main"}  # which its package runs, by path inside the package
_MACRO = "basic_analog"
_CANNOT = (
    ("macros_per_pe", lambda value: value > 1, "has one macro"),
    ("pes", lambda value: value > 1, "has one macro"),
    ("planes", lambda value: value > 1, "has one plane of weights"),
    ("columns_per_adc", lambda value: value > 1, "has a converter for every column"),
    ("array", lambda value: value == "digital_sram", "has analog cells"),
)


@dataclass
class AccelForge:
    """Energy and latency of every layer on AccelForge's basic analog macro with the chip's rows, columns and converters.

    Raises BadInput, before anything else, when Python, a package or a program is missing, naming all of them in one line,
    and where the chip is beyond one macro. ``cell``: a file of the package's memory cells.
    """

    cell: str = "sram_example.yaml"
    name: str = "accelforge"
    known: dict[tuple, tuple[float, float]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        lacking = missing()
        if lacking:
            todo = "use Python 3.12 or newer, pip install accelforge==1.0.467, install graphviz, rebuild the programs"
            raise BadInput("simulator accelforge", f"cannot run here: {'; '.join(lacking)}", todo)

    def simulate(self, workload: Workload, chip: Mapping[str, Any]) -> dict[str, Any]:
        """latency_ms, energy_uj, area_mm2 (our circuit model's, so that chips compare), and each layer's energy and time."""
        full = {name: values[0] for name, values in columns(chip).items()}
        check(full)
        part = circuit(columns(chip))
        costs = [self._layer(layer, full, float(part.clock_ns[0])) for layer in workload.layers]
        joules, seconds = (float(sum(column)) for column in zip(*costs, strict=True))
        return {
            "latency_ms": seconds * 1e3,
            "energy_uj": joules * 1e6,
            "area_mm2": float(part.area_mm2[0]),
            "cycles": seconds * 1e9 / float(part.clock_ns[0]),
            "clock_ns": float(part.clock_ns[0]),
            "layers": [
                {"name": layer.name, "cycles": time * 1e9 / float(part.clock_ns[0]), "energy_uj": energy * 1e6}
                for layer, (energy, time) in zip(workload.layers, costs, strict=True)
            ],
        }

    def _layer(self, layer: Layer, chip: Mapping[str, Any], clock_ns: float) -> tuple[float, float]:
        """Joules and seconds; groups and heads are products of their own, one after another."""
        size = {"M": layer.px, "K": layer.reduction, "N": layer.columns}
        settings = variables(chip, clock_ns)
        key = (*size.values(), chip["rows"], chip["cols"], *settings.values(), self.cell)
        if key not in self.known:
            self.known[key] = _run(size, (int(chip["rows"]), int(chip["cols"])), settings, self.cell)
        joules, seconds = self.known[key]
        return layer.groups * joules, layer.groups * seconds


def missing() -> list[str]:
    """What AccelForge lacks here, in words: a newer Python, packages, programs that do not start. Empty if it can run."""
    lacking = []
    if sys.version_info < _PYTHON:
        lacking.append(f"Python {'.'.join(map(str, sys.version_info[:2]))} is older than 3.12")
    absent = [name for name in _PACKAGES if find_spec(name) is None]
    if absent:
        lacking.append(f"no package {', '.join(absent)}")
    for package, program in _PROGRAMS.items():
        spec = find_spec(package)
        if spec is not None and spec.origin is not None:
            lacking += _trouble(Path(spec.origin).parent / program)
    if which("dot") is None:
        lacking.append("no program dot (graphviz), with which its mapper draws what it found")
    return lacking


def _trouble(program: Path) -> list[str]:
    """Why ``program`` does not start, if it does not: it is absent, or the loader refuses it."""
    try:
        done = subprocess.run(  # noqa: S603  a program of the installed package, without arguments
            [str(program)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False
        )
    except OSError as error:
        return [f"program {program.name} of {program.parent.name} does not start ({error.strerror})"]
    except subprocess.TimeoutExpired:
        return []  # it started, and waits for work
    refused = [line for line in done.stderr.splitlines() if "GLIBC" in line or "shared librar" in line]
    if not refused:
        return []
    wanted = refused[0].split("version `")[-1].split("'")[0] if "version `" in refused[0] else "a shared library"
    return [f"program {program.name} of {program.parent.name} needs {wanted}"]


def check(chip: Mapping[str, Any]) -> None:
    """Raises BadInput naming the gene that one AccelForge macro cannot express."""
    for gene, beyond, what in _CANNOT:
        if beyond(chip[gene]):
            raise BadInput(
                f"chip.{gene}", f"is {chip[gene]}, but AccelForge {what}", "fix the gene, or use simulator cimbo"
            )


def variables(chip: Mapping[str, Any], clock_ns: float) -> dict[str, Any]:
    """The macro's variables for a chip: converters, precision, supply, node in metres, period in seconds."""
    return {
        "adc_resolution": int(chip["adc_bits"]),
        "voltage_dac_resolution": int(chip["dac_bits"]),
        "temporal_dac_resolution": 1,
        "n_adc_per_bank": int(chip["cols"]),
        "bits_per_cell": int(chip["cell_bits"]),
        "cycle_period": clock_ns * 1e-9,
        "supported_input_bits": int(chip["act_bits"]),
        "supported_weight_bits": int(chip["weight_bits"]),
        "voltage": float(chip["supply_v"]),
        "tech_node": float(chip["node_nm"]) * 1e-9,
    }


@cache
def _loader(folder: Path) -> Any:
    """The package's own loader of its published macros."""
    spec = spec_from_file_location("accelforge_macros", folder / "_load_spec.py")
    if spec is None or spec.loader is None:
        raise BadInput("simulator accelforge", f"has no {folder / '_load_spec.py'}", "install accelforge 1.0.467")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _run(size: dict[str, int], array: tuple[int, int], settings: dict[str, Any], cell: str) -> tuple[float, float]:
    """Joules and seconds of one product (M vectors of K, N columns) on one macro of rows x columns ``array``."""
    accelforge = import_module("accelforge")
    accelforge.set_n_parallel_jobs(1)
    folder = Path(accelforge.examples.path) / "arches" / "compute_in_memory"
    spec = _loader(folder).get_spec(_MACRO, add_dummy_main_memory=True)
    for name, value in settings.items():
        (spec.arch.variables if name in spec.arch.variables else spec.variables)[name] = value
    spec.variables["cell_config"] = accelforge.LiteralString(folder / "memory_cells" / cell)  # no expression
    for node in spec.arch.nodes:
        for spatial in getattr(node, "spatial", ()):
            for suffix, fanout in zip(("ARRAY_ROWS", "ARRAY_COLUMNS"), array, strict=True):
                if spatial.name.strip().endswith(suffix):
                    spatial.fanout = fanout
    spec.workload.rank_sizes.update(size)
    found = spec.map_workload_to_arch(print_progress=False)
    return float(found.energy()), float(found.latency())
