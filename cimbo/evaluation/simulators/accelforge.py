"""AccelForge (accelforge 1.0.467 with hwcomponents) as a simulator: its analog macro, every distinct layer mapped once.

It needs Python 3.12 or newer and the programs that its component models run, whose shipped builds want a newer C library
than many systems have; all of it is probed first. Its macro descriptions are evaluated as code, so only those of the
installed package are read. Energy and time are its own, by NeuroSim and a survey of converters; it models no DRAM, no
buffer and no loading of weights, and macros stand side by side without a network between them.
"""

import subprocess
import sys
from collections.abc import Mapping
from contextlib import chdir
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from shlex import quote
from shutil import which
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from cimbo.errors import BadInput
from cimbo.hardware.chip_columns import columns
from cimbo.hardware.cost_model import one_circuit
from cimbo.workloads.layers import Layer, Workload

LEAST_PYTHON = (3, 12)
NEEDED_PACKAGES = ("accelforge", "hwcomponents", "hwcomponents_adc", "hwcomponents_neurosim")
MACRO_ARCHITECTURE = "basic_analog"
CELL_FILES = {
    "charge_sram": "sram_example.yaml",
    "current_sram": "sram_example.yaml",
    "rram": "rram_example.yaml",
}


class Lack(NamedTuple):
    """Something that AccelForge needs and that is missing here, and what to do about it."""

    what: str
    todo: str


@dataclass
class AccelForge:
    """Energy and latency of every layer on AccelForge's basic analog macro with the chip's rows, columns and converters.

    Raises BadInput, before anything else, when Python, a package or a program is missing, naming all of them and what to do
    in one line, and where the chip's arrays are digital. ``cell``: a file of the package's memory cells, by default one of
    the kind that the chip has.
    """

    cell: str | None = None
    name: str = "accelforge"
    known: dict[tuple[Any, ...], tuple[float, float]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        missing = lacking()
        if missing:
            what = "; ".join(dict.fromkeys(lack.what for lack in missing))
            todo = "; ".join(dict.fromkeys(lack.todo for lack in missing))
            raise BadInput("simulator accelforge", f"cannot run here: {what}", todo)

    def simulate(self, workload: Workload, chip: Mapping[str, Any]) -> dict[str, Any]:
        """Computes what a network costs on a chip.

        Args:
            workload: The network; a token loop is not counted.
            chip: Genes of the chip.

        Returns:
            latency_ms, energy_uj, area_mm2 (our circuit model's, so that chips compare), cycles,
            clock_ns, and each layer's name, cycles and energy_uj.

        Raises:
            BadInput: When the macro cannot express the chip.
        """
        full = {name: values[0] for name, values in columns(chip).items()}
        check(full)
        circuit = one_circuit(chip)
        clock_ns = float(circuit.clock_ns[0])
        costs = [self._layer(layer, full, clock_ns) for layer in workload.layers]
        joules, seconds = (float(sum(column)) for column in zip(*costs, strict=True))
        return {
            "latency_ms": seconds * 1e3,
            "energy_uj": joules * 1e6,
            "area_mm2": float(circuit.area_mm2[0]),
            "cycles": seconds * 1e9 / clock_ns,
            "clock_ns": clock_ns,
            "layers": [
                {"name": layer.name, "cycles": time * 1e9 / clock_ns, "energy_uj": energy * 1e6}
                for layer, (energy, time) in zip(workload.layers, costs, strict=True)
            ],
        }

    def _layer(self, layer: Layer, chip: Mapping[str, Any], clock_ns: float) -> tuple[float, float]:
        """Joules and seconds of a layer, evaluated now or before.

        Groups and heads are products of their own, which share the macros evenly; where there are
        more of them than macros, they take turns.

        Args:
            layer: The layer.
            chip: All properties of the chip.
            clock_ns: Period of its clock.

        Returns:
            Joules and seconds.
        """
        size = {"M": layer.px, "K": layer.reduction, "N": layer.columns}
        macros = int(chip["macros_per_pe"] * chip["pes"])
        macros_a_group = max(macros // layer.groups, 1)
        turns = -(-layer.groups // (macros // macros_a_group))  # rounded up
        settings = variables(chip, clock_ns)
        cell = self.cell or CELL_FILES[chip["array"]]
        array = (int(chip["rows"]), int(chip["cols"]), macros_a_group)
        key = (*size.values(), chip["rows"], chip["cols"], macros_a_group, *settings.values(), cell)
        if key not in self.known:
            self.known[key] = _run(size, array, settings, cell)
        joules, seconds = self.known[key]
        return layer.groups * joules, turns * seconds


def lacking() -> list[Lack]:
    """List what AccelForge lacks here: a newer Python, packages, programs that do not start.

    Returns:
        What is missing; empty if AccelForge can run.
    """
    missing = []
    if sys.version_info < LEAST_PYTHON:
        version = ".".join(map(str, sys.version_info[:2]))
        missing.append(Lack(f"Python {version} is older than 3.12", "use Python 3.12 or newer"))
    absent = [name for name in NEEDED_PACKAGES if find_spec(name) is None]
    if absent:
        missing.append(Lack(f"no package {', '.join(absent)}", "pip install 'cimbo[accelforge]'"))
    spec = find_spec("hwcomponents_neurosim")
    if spec is not None and spec.origin is not None:
        missing += _trouble(Path(spec.origin).parent / "NeuroSim/main")
    if which("dot") is None:
        missing.append(
            Lack("no program dot, with which its mapper draws what it found", "install graphviz")
        )
    return missing


def _trouble(program: Path) -> list[Lack]:
    """Find out why a program does not start: it is absent, or the system's loader refuses it.

    Returns:
        The reason; empty if it starts.
    """
    try:
        done = subprocess.run(  # noqa: S603  a program of the installed package, without arguments
            [str(program)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    except OSError as error:
        return [
            Lack(
                f"its program NeuroSim/main does not start ({error.strerror})",
                rebuild_advice(program),
            )
        ]
    except subprocess.TimeoutExpired:
        return []  # it started, and waits for work
    refused = []
    for line in done.stderr.splitlines():
        if "GLIBC" in line or "shared librar" in line:
            refused.append(line)
    if not refused:
        return []
    wanted = "a shared library"
    if "version `" in refused[0]:
        wanted = refused[0].split("version `")[-1].split("'")[0]
    return [
        Lack(
            f"its program NeuroSim/main needs {wanted}, which this system lacks",
            rebuild_advice(program),
        )
    ]


def rebuild_advice(program: Path) -> str:
    """Say how to build NeuroSim from the sources that its Python package brings.

    Args:
        program: Where it is missing or does not start: PACKAGE/NeuroSim/main.

    Returns:
        Advice for an error message, on one line: the tools that it needs, and shell commands.
    """
    package = program.parents[1]
    sources = "DNN_NeuroSim_V1.3/Inference_pytorch/NeuroSIM"
    steps = (
        f"cp drop_in/* {sources} && make -C {sources} clean all && cp {sources}/main NeuroSim/main"
    )
    return f"with g++ and make: cd {quote(str(package))} && {steps}"


def check(chip: Mapping[str, Any]) -> None:
    """Refuses a chip that AccelForge's macro cannot express.

    Args:
        chip: All properties of the chip.

    Raises:
        BadInput: When the arrays are none of its kinds; it names the gene.
    """
    if chip["array"] not in CELL_FILES:
        todo = f"use array {' or '.join(CELL_FILES)}, or simulator cimbo"
        raise BadInput(
            "chip.array", f"is {chip['array']}, but AccelForge's macro has analog cells", todo
        )


def variables(chip: Mapping[str, Any], clock_ns: float) -> dict[str, Any]:
    """Computes the macro's variables for a chip.

    Columns that share a converter are converted one after the other, so a period has as many
    clocks.

    Args:
        chip: All properties of the chip.
        clock_ns: Period of its clock in nanoseconds.

    Returns:
        Converters, planes, precision, supply in volts, node in metres and period in seconds, by
        AccelForge's names.
    """
    share = int(chip["columns_per_adc"])
    return {
        "adc_resolution": int(chip["adc_bits"]),
        "voltage_dac_resolution": int(chip["dac_bits"]),
        "temporal_dac_resolution": 1,
        "n_adc_per_bank": -(-int(chip["cols"]) // share),
        "cim_unit_depth_cells": int(chip["planes"]),
        "bits_per_cell": int(chip["cell_bits"]),
        "cycle_period": clock_ns * share * 1e-9,
        "supported_input_bits": int(chip["act_bits"]),
        "supported_weight_bits": int(chip["weight_bits"]),
        "voltage": float(chip["supply_v"]),
        "tech_node": float(chip["node_nm"]) * 1e-9,
    }


@cache
def _loader(folder: Path) -> Any:
    """Import the package's own loader of its published macros; BadInput where it has none."""
    file = folder / "_load_spec.py"
    spec = spec_from_file_location("accelforge_macros", file)
    # A specification is made of a missing file, too; only running it would fail.
    if spec is None or spec.loader is None or not file.is_file():
        raise BadInput("simulator accelforge", f"has no {file}", "install accelforge 1.0.467")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def published_latency_s(macro: str, size: tuple[int, int, int]) -> float:
    """Computes the time of a product on a macro that AccelForge describes, as it describes it.

    Args:
        macro: Name of the macro.
        size: M vectors, K elements of each, N columns.

    Returns:
        Seconds.
    """
    accelforge = import_module("accelforge")
    accelforge.set_n_parallel_jobs(1)
    spec = _loader(_macros(accelforge)).get_spec(macro, add_dummy_main_memory=True)
    spec.workload.rank_sizes.update(zip("MKN", size, strict=True))
    return float(_mapped(spec).latency())


def _mapped(spec: Any) -> Any:
    """Run AccelForge's mapper in a folder of its own: it writes drawings into the working directory."""
    with TemporaryDirectory() as folder, chdir(folder):
        return spec.map_workload_to_arch(print_progress=False)


def _macros(accelforge: Any) -> Path:
    """The folder of the package's descriptions of CiM macros."""
    return Path(accelforge.examples.path) / "arches" / "compute_in_memory"


def _run(
    size: dict[str, int], array: tuple[int, int, int], settings: dict[str, Any], cell: str
) -> tuple[float, float]:
    """Simulate one product of M vectors of K elements with N columns.

    Args:
        size: M, K and N by name.
        array: Rows and columns of an array, and how many macros there are.
        settings: The macro's variables, as `variables` computes them.
        cell: File of the memory cell, in AccelForge's folder of cells.

    Returns:
        Energy in joules, time in seconds.
    """
    accelforge = import_module("accelforge")
    accelforge.set_n_parallel_jobs(1)
    folder = _macros(accelforge)
    spec = _loader(folder).get_spec(
        MACRO_ARCHITECTURE, add_dummy_main_memory=True, n_macros=array[2]
    )
    for name, value in settings.items():
        # A variable of the architecture hides one of the same name outside of it.
        if name in spec.arch.variables:
            spec.arch.variables[name] = value
        else:
            spec.variables[name] = value
    # A plain string would be evaluated as an expression.
    cell_path = accelforge.LiteralString(folder / "memory_cells" / cell)
    spec.variables["cell_config"] = cell_path
    for node in spec.arch.nodes:
        for spatial in getattr(node, "spatial", ()):
            for suffix, fanout in zip(("ARRAY_ROWS", "ARRAY_COLUMNS"), array, strict=False):
                if spatial.name.strip().endswith(suffix):
                    spatial.fanout = fanout
    spec.workload.rank_sizes.update(size)
    mapping = _mapped(spec)
    return float(mapping.energy()), float(mapping.latency())
