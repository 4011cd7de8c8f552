"""One network on one chip, without a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from cimbo import hardware as hardware_model
from cimbo.errors import BadInput, check_known, choose_from, naming
from cimbo.evaluation import simulators
from cimbo.session.chip_warnings import chip_warnings
from cimbo.workloads import Network, network
from cimbo.workloads.inference import InferenceSettings, with_settings
from cimbo.workloads.layers import Workload
from cimbo.workloads.precision import (
    MOST_STAGE_BITS,
    at_chip_bits,
    is_precision_gene,
    with_stage_bits,
)
from cimbo.workloads.sparsity import STORED_ACTIVITY, at_copies, at_shares, read_copies, read_shares
from cimbo.workloads.summary import COUNTED_FIELDS, counts_of, is_onnx, totals, with_counts


@dataclass(frozen=True)
class Simulation:
    """What a simulator says of a network on a chip.

    Attributes:
        costs: latency_ms, energy_uj, area_mm2, cycles and whatever else the simulator gives.
        layers: What it says of each layer, beside the layer's own counts at the bits that the chip
            computes with.
        counts: Multiplications, parameters and activations of the whole network, for its batch.
        network_warnings: What whoever counted the network could not be sure of.
    """

    costs: Mapping[str, Any]
    layers: tuple[Mapping[str, Any], ...]
    counts: Mapping[str, int]
    network_warnings: tuple[str, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the network's counts and the simulator want to be known."""
        return (*self.network_warnings, *self.costs.get("warnings", ()))

    def told(self, metric: str) -> str:
        """Say a cost in words.

        Args:
            metric: The cost's name, with its unit.

        Returns:
            Name and value, with the least and the most by published chips where they are known.
        """
        bar = self.costs.get("error_bars", {}).get(metric)
        return f"{metric} {self.costs[metric]:.5g}{_between(bar)}"

    def residency_told(self) -> str | None:
        """Say in a sentence where weights are between runs; None where the simulator does not tell."""
        resident = self.costs.get("resident")
        if resident is None:
            return None
        if resident:
            return "weights: all of them fit and stay on the chip between runs"
        return "weights: loaded from DRAM again at each run"

    def numbers(self) -> list[str]:
        """Names of what the simulator gave a number for, in its order."""
        return [name for name, cost in self.costs.items() if isinstance(cost, int | float)]

    def merits_told(self) -> list[str]:
        """Say power and efficiencies in one sentence; none where the simulator gives none."""
        figures = self.costs.get("figures_of_merit")
        if figures is None:
            return []
        told = []
        for name, bar in self.costs["merit_bars"].items():
            told.append(f"{name} {figures[name]:.4g}{_between(bar)}")
        return [", ".join(told)]

    def bounds_told(self) -> list[str]:
        """Say between what latency and energy lie where a formula only bounds them; none elsewhere."""
        if not self.costs.get("is_bound", False):
            return []
        between = []
        for name in ("latency_ms", "energy_uj"):
            low = f"{name}_low"
            if low in self.costs:
                between.append(f"{name} {self.costs[low]:.5g} to {self.costs[name]:.5g}")
        return [f"bounds of the best schedule: {', '.join(between)}"]

    def rows(self) -> list[dict[str, Any]]:
        """A line a layer, and their sum."""
        total = {
            "layer": "TOTAL",
            "cycles": self.costs.get("cycles"),
            "bound": "",
            "energy_uj": self.costs.get("energy_uj"),
        }
        if self.layers and not any("bound" in layer for layer in self.layers):
            return self._rows_said()
        rows = [layer_row(layer) | counts_of(layer) for layer in self.layers]
        return [*rows, total | counts_of(self.counts)]

    def _rows_said(self) -> list[dict[str, Any]]:
        """A line a layer of a simulator from outside, and their sum, in the columns that it gives."""
        rows = layer_rows_said(self.layers)
        total: dict[str, Any] = {"layer": "TOTAL"}
        for name in rows[0]:
            if name != "layer":
                total[name] = self.costs.get(name)
        rows = [row | counts_of(layer) for row, layer in zip(rows, self.layers, strict=True)]
        return [*rows, total | counts_of(self.counts)]

    def to_json(self) -> dict[str, Any]:
        """The document of ``cimbo simulate --format json``."""
        return {**self.counts, **self.costs, "layers": list(self.layers)}


def _between(bar: Sequence[float] | None) -> str:
    """An error bar behind a value; nothing where there is none."""
    if bar is None:
        return ""
    low, high = bar
    return f" ({low:.3g} to {high:.3g})"


def simulate(
    workload: Workload,
    hardware: Mapping[str, Any],
    *,
    simulator: str = "cimbo",
    options: Mapping[str, Any] | None = None,
) -> Simulation:
    """Simulate one network on one chip.

    Args:
        workload: The network, see `workload`.
        hardware: Genes of the chip.
        simulator: cimbo, zigzag, accelforge, command, table, or a plug-in's name.
        options: What sets the simulator up.

    Returns:
        Costs, and what the simulator says of each layer.

    Raises:
        BadInput: For what is no chip, and a simulator that is unknown.
        RuntimeError: When the simulator cannot simulate this chip or network.
    """
    if workload.loop is not None and simulator != "cimbo":
        what = "counts single runs, and this network generates tokens"
        raise BadInput(f"simulator {simulator}", what, "use cimbo")
    options = options or {}
    chosen = simulators.simulator(simulator, **options)
    answer = dict(simulators.ask(chosen, workload, hardware))
    chip = {**options.get("fixed", {}), **hardware}
    layers = with_counts(at_chip_bits(workload, chip), answer.pop("layers", ()))
    if simulator == "cimbo":
        answer |= _further_figures(workload, chip, answer)
    return Simulation(answer, layers, totals(workload), workload.warnings)


def _further_figures(
    workload: Workload, chip: Mapping[str, Any], answer: Mapping[str, Any]
) -> dict[str, Any]:
    """What cimbo's model says of a chip besides costs: error bars, figures of merit, and warnings."""
    figures = hardware_model.figures_of_merit(workload, chip).to_json()
    warned = chip_warnings(chip, answer, figures, workload.batch)
    return {
        "error_bars": _as_lists(hardware_model.error_bars(workload, chip)),
        "figures_of_merit": figures,
        "merit_bars": _as_lists(hardware_model.merit_bars(workload, chip)),
        "warnings": [*answer["warnings"], *warned],
    }


def _as_lists(bars: Mapping[str, Sequence[float]]) -> dict[str, list[float]]:
    """Error bars as JSON has them."""
    return {metric: list(bar) for metric, bar in bars.items()}


def workload(
    name: str | Path,
    subnet: Mapping[str, Any] | None = None,
    *,
    where: str = "",
    batch: int | None = None,
    prompt: int | None = None,
    tokens: int | None = None,
    sizes: Mapping[str, int] | None = None,
    activity: str | None = None,
    copies: Mapping[str, int] | None = None,
) -> Workload:
    """Make what a simulator sees of a network: of a family's sub-network, or of an ONNX file.

    Args:
        name: A network family, or a file NAME.onnx.
        subnet: Genes of the sub-network; by default the largest.
        where: What messages call ``subnet``.
        batch: Inferences at once; by default one.
        prompt: Tokens in a language model's prompt; by default what its family says.
        tokens: Tokens in its answer; by default what its family says.
        sizes: By name, the sizes that an ONNX file leaves open, or those that a network of a library
            is built for (``image``, ``tokens``).
        activity: Which shares of the bits of each layer's inputs and weights are one. The path of a
            file that lists them; ``measured`` for those shipped with cimbo; or ``stored``: counted
            in the integer weights of an ONNX file. By default the chip's ``activity`` holds.
        copies: How many copies of a layer the chip holds, by its name or a pattern such as
            ``block_*``; used by chips whose ``duplication`` is ``given``.

    Returns:
        The network's layers.

    Raises:
        BadInput: For an unknown family or gene; for ``subnet``, ``prompt`` or ``tokens`` with an
            ONNX file; for ``sizes`` with a family; for ``prompt`` or ``tokens`` with a family that
            generates no tokens; and for a pattern in ``copies`` that fits no layer.
    """
    if is_onnx(str(name)):
        _check_single_network(name, subnet, prompt, tokens)
        found = _of_file(str(name), batch, sizes, activity)
        _check_copies(found, copies)
        return at_copies(found, read_copies(copies or {}))
    if batch is None:
        batch = 1
    settings = InferenceSettings(batch, prompt, tokens, activity or (), copies or {})
    family = with_settings(network(str(name), sizes), settings)
    if subnet is None:
        found = family.workload(family.largest())
    else:
        found = _sub_network(family, subnet, where)
    _check_copies(found, copies)
    return found


def _check_single_network(
    name: str | Path, subnet: Mapping[str, Any] | None, prompt: int | None, tokens: int | None
) -> None:
    """Raises BadInput for options of a family beside an ONNX file."""
    if subnet is not None:
        what = f"chooses within a family, but {name} is one network"
        raise BadInput("--subnet", what, "leave it out")
    if prompt is not None or tokens is not None:
        what = f"are of a family that generates tokens, and {name} is one network"
        raise BadInput("--prompt and --tokens", what, "set its sizes with --set")


def _of_file(
    name: str, batch: int | None, sizes: Mapping[str, int] | None, activity: str | None
) -> Workload:
    """The network of an ONNX file, with shares of ones by layer where they are asked for."""
    from cimbo.workloads.onnx.reader import from_onnx

    is_stored = activity == STORED_ACTIVITY
    found = from_onnx(name, batch=batch, sizes=sizes, read_weights=is_stored)
    if activity and not is_stored:
        return at_shares(found, read_shares(activity, found.name))
    return at_shares(found, ())


def _sub_network(family: Network, subnet: Mapping[str, Any], where: str) -> Workload:
    """A sub-network by its genes, which messages call ``where``."""
    if any(is_precision_gene(gene) for gene in subnet):
        family = with_stage_bits(family, range(1, MOST_STAGE_BITS + 1))
    genes = [choice.name for choice in family.choices()]
    for gene in subnet:
        check_known(gene, genes, f"--subnet, {gene}", "is no gene of this network", "the genes are")
    with naming(where) if where else nullcontext():
        return family.workload(dict(subnet))


def _check_copies(found: Workload, copies: Mapping[str, int] | None) -> None:
    """Raise BadInput for a pattern that is the name of no layer."""
    names = _layer_names(found)
    for pattern in copies or {}:
        if not any(fnmatchcase(name, pattern) for name in names):
            todo = choose_from(pattern, dict.fromkeys(names), "the layers are")
            raise BadInput(f"copies: {pattern}", "is no layer of this network", todo)


def _layer_names(found: Workload) -> list[str]:
    """Names of all layers, those of the steps that generate tokens included."""
    names = [layer.name for layer in found.layers]
    if found.loop is not None:
        names += [layer.name for layer in found.loop.step.layers]
    return names


def pipeline_told(costs: Mapping[str, Any]) -> list[str]:
    """Say which stage limits a network whose layers work side by side.

    Args:
        costs: What the simulator said of the network.

    Returns:
        One sentence; none where the layers run one after another.
    """
    stages = costs.get("pipeline")
    if stages is None:
        return []
    every = f"{stages['stages']} stages side by side, a result every {costs['interval_ms']:.4g} ms"
    return [f"{every}; bottleneck stage: {stages['bottleneck']} (bound by {stages['bound']})"]


def layer_row(layer: Mapping[str, Any]) -> dict[str, Any]:
    """Shorten a layer to one line of a table.

    Args:
        layer: What a simulator said of the layer; another one than cimbo's may say less.

    Returns:
        Name, cycles, what bounds it, and energy in µJ, summed over its parts; None for a number
        that the simulator does not give.
    """
    energy_uj = layer.get("energy_uj")
    if isinstance(energy_uj, dict):
        energy_uj = float(sum(energy_uj.values()))
    return {
        "layer": layer.get("name"),
        "cycles": layer.get("cycles"),
        "bound": layer.get("bound", ""),
        "energy_uj": energy_uj,
    }


def layer_rows_said(layers: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Shorten what a simulator from outside says of layers to a line each.

    Args:
        layers: What it said, beside counts of the layers.

    Returns:
        A row a layer: its name, and every number and text of the simulator's own. All rows have the
        same columns; None for what the simulator does not give of a layer.
    """
    names: dict[str, None] = {}
    for layer in layers:
        for name, value in layer.items():
            if isinstance(value, int | float | str) and name not in COUNTED_FIELDS:
                names[name] = None
    rows = []
    for layer in layers:
        row: dict[str, Any] = {"layer": layer.get("name")}
        for name in names:
            row[name] = layer.get(name)
        rows.append(row)
    return rows
