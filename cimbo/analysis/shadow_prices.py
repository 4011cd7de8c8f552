"""Shadow prices: what one unit more of a resource changes in latency, energy and area, by exact re-simulation.

Genes are steps, so a price is the change over the next listed value divided by the units that step adds: mm2 of area, GB/s of
a bandwidth, bits of the converters. Where a gene is not searched or
stands at its last value, the step goes beyond the list: to twice the bandwidth, or one bit more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from operator import attrgetter
from typing import Any

from cimbo.analysis.mapped_design import COST_METRICS, Placed
from cimbo.hardware import DEFAULT_GENES
from cimbo.hardware.memories import channel_gb_s
from cimbo.problem.space import Choice

BANDWIDTH_UNITS = {
    "dram_channels": "DRAM GB/s",
    "buffer_gb_s": "buffer GB/s",
    "noc_gb_s": "NoC GB/s",
}
AREA, BIT = "mm2", "ADC bit"


@dataclass(frozen=True)
class Price:
    """``amount`` units of ``resource`` come with ``gene`` from ``start`` to ``to``; each unit changes the costs by so much.

    A negative change is a saving. ``beyond``: ``to`` is larger than any listed value.
    """

    resource: str
    gene: str
    start: Any
    to: Any
    amount: float
    latency_ms: float
    energy_uj: float
    area_mm2: float
    beyond: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the price for JSON; ``start`` is called "from" there."""
        values = asdict(self)
        return {
            "resource": values.pop("resource"),
            "gene": values.pop("gene"),
            "from": values.pop("start"),
            **values,
        }


def prices(placed: Placed) -> list[Price]:
    """Price the resources of a design by simulating it with more of each.

    Args:
        placed: The design as the chip model takes it.

    Returns:
        The price of each bandwidth, of one converter bit (none for digital arrays), and of area:
        the step that saves most latency and the step that saves most energy for each mm2 that it
        adds. Area has no price where no step saves anything.
    """
    return [*_bandwidths(placed), *_bits(placed), *_area(placed)]


def _bandwidths(placed: Placed) -> list[Price]:
    """Prices of a GB/s of each bandwidth: a step to the next listed value, else to twice as much."""
    found = []
    for gene, resource in BANDWIDTH_UNITS.items():
        now = placed.full[gene]
        to, beyond = _next(placed.choices, gene, now, 2 * now)
        costs = placed.costs([{}, {gene: to}])
        if gene == "dram_channels":  # counts channels; the other genes are in GB/s themselves
            gb_s_per_step = channel_gb_s(placed.full["dram"])
        else:
            gb_s_per_step = 1.0
        added_gb_s = (to - now) * gb_s_per_step
        found.append(_price((resource, gene, now, to), added_gb_s, costs, beyond=beyond))
    return found


def _bits(placed: Placed) -> list[Price]:
    if placed.full["array"] == "digital_sram":
        return []
    now = placed.full["adc_bits"]
    to, beyond = _next(placed.choices, "adc_bits", now, now + 1)
    costs = placed.costs([{}, {"adc_bits": to}])
    return [_price((BIT, "adc_bits", now, to), float(to - now), costs, beyond=beyond)]


def _area(placed: Placed) -> list[Price]:
    """Of all single steps that add area, the one that saves most latency a mm2, and the one that saves most energy."""
    steps = list(placed.steps())
    costs = placed.costs([{}, *({gene: to} for gene, _, to in steps)])
    every = []
    for i, (gene, now, to) in enumerate(steps, 1):
        added = float(costs["area_mm2"][i] - costs["area_mm2"][0])
        if added > 1e-9:
            pair = {name: costs[name][[0, i]] for name in COST_METRICS}
            every.append(_price((AREA, gene, now, to), added, pair))
    if not every:
        return []
    saving = []
    for metric in ("latency_ms", "energy_uj"):
        best = min(every, key=attrgetter(metric))
        if getattr(best, metric) < 0:
            saving.append(best)
    return list(dict.fromkeys(saving))


def _next(choices: Sequence[Choice], gene: str, now: Any, otherwise: Any) -> tuple[Any, bool]:
    """The next listed value of a gene, or ``otherwise``; and whether it is beyond the list."""
    for choice in choices:
        if choice.name == gene:
            larger = [value for value in choice.values if value > now]
            if larger:
                return larger[0], False
    return otherwise, True


def _price(
    what: tuple[str, str, Any, Any],
    amount: float,
    costs: Mapping[str, Any],
    *,
    beyond: bool = False,
) -> Price:
    latency, energy, area = (
        float(costs[name][1] - costs[name][0]) / amount for name in COST_METRICS
    )
    return Price(*what, amount, latency, energy, area, beyond)


def bottleneck(
    explained: Mapping[str, Any], chip: Mapping[str, Any], choices: Sequence[Choice] = ()
) -> dict[str, Any]:
    """Name the slowest layer of a design, and what most of the time waits for.

    Args:
        explained: What ``hardware.explain`` said of the design.
        chip: Every gene of its chip, defaults filled in.
        choices: Genes that may be changed, with their values; empty where that does not matter.

    Returns:
        For JSON: ``layer`` with its share of the time (``layer_share``) and what bounds it
        (``layer_bound``); ``interface``, the interface or unit that most of the time waits for,
        with its short name (``bound``) and its share of the latency (``share``, 0 to 1); and
        ``genes`` that widen it, with ``choices`` only those that another of their values still
        widens.
    """
    layer = max(explained["layers"], key=lambda each: each["latency_ms"])
    bound, milliseconds = max(explained["time_by_bound_ms"].items(), key=lambda item: item[1])
    name, genes = GENES_OF_BOUND[bound]
    if bound == "weight load":
        genes = (_narrower_of_weights(chip),)
    return {
        "layer": layer["name"],
        "layer_share": layer["time_share"],
        "layer_bound": layer["bound"],
        "interface": name,
        "bound": bound,
        "share": milliseconds / explained["latency_ms"],
        "genes": [gene for gene in genes if not choices or _wider(gene, chip, choices)],
    }


def _narrower_of_weights(chip: Mapping[str, Any]) -> str:
    """The gene of the narrower of the two interfaces that weights come through."""
    dram_gb_s = chip["dram_channels"] * channel_gb_s(chip.get("dram", DEFAULT_GENES["dram"]))
    if dram_gb_s <= chip["buffer_gb_s"]:
        return "dram_channels"
    return "buffer_gb_s"


def _wider(gene: str, chip: Mapping[str, Any], choices: Sequence[Choice]) -> bool:
    """Whether ``gene`` may still go where it widens: up, but for the columns that share a converter."""
    values = _values_of(gene, choices)
    if not values:
        return False
    if gene == "columns_per_adc":
        return bool(min(values) < chip[gene])
    return bool(max(values) > chip[gene])


def _values_of(gene: str, choices: Sequence[Choice]) -> list[Any]:
    """What a gene may be; nothing where no choice has its name."""
    values: list[Any] = []
    for choice in choices:
        if choice.name == gene:
            values.extend(choice.values)
    return values


GENES_OF_BOUND: dict[str, tuple[str, tuple[str, ...]]] = {
    "compute": ("arrays and their converters", ("columns_per_adc", "pes", "macros_per_pe")),
    "weight load": ("DRAM or buffer to the arrays, weights", ("dram_channels",)),
    "DRAM": ("DRAM to the buffer, activations", ("dram_channels", "buffer_mb")),
    "buffer": ("buffer to the arrays, activations", ("buffer_gb_s",)),
    "NoC": ("network between the processing elements", ("noc_gb_s",)),
    "vector": ("vector unit", ("vector_lanes",)),
}
