"""One chip for several networks: best in the worst case, on the weighted mean, and in regret against specialists."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from cimbo.analysis import Portfolio, serve
from cimbo.analysis.portfolio import Served
from cimbo.errors import BadInput, check_known, check_positive
from cimbo.hardware import DEFAULT_GENES, chip_choices
from cimbo.session.design import find
from cimbo.session.text import genes_text
from cimbo.workloads import is_family_name, known, network
from cimbo.workloads.layers import Workload

DEFAULT_CHIP_SAMPLES = 20_000
PORTFOLIO_METRICS = ("latency_ms", "energy_uj")


@dataclass(frozen=True)
class ServedNetwork:
    """What one network costs on a chip, and its regret: how much more than on the chip found for it alone."""

    network: str
    cost: float
    regret: float

    def to_json(self, metric: str) -> dict[str, Any]:
        """List the network in an entry of ``cimbo portfolio --format json``.

        Args:
            metric: Name of the cost.

        Returns:
            Name, cost and regret.
        """
        return {"network": self.network, metric: self.cost, "regret": self.regret}


@dataclass(frozen=True)
class SharedChip:
    """The chip that is best by ``criterion``, and every network on it."""

    criterion: str
    chip: Mapping[str, Any]
    area_mm2: float
    networks: tuple[ServedNetwork, ...]
    metric: str

    def row(self) -> dict[str, Any]:
        """A line of the table."""
        row: dict[str, Any] = {"for": self.criterion, "area_mm2": self.area_mm2}
        for each in self.networks:
            row[f"{each.network} {self.metric}"] = each.cost
        for each in self.networks:
            row[f"{each.network} regret %"] = round(100 * each.regret, 1)
        row["chip"] = genes_text(self.chip)
        return row

    def to_json(self) -> dict[str, Any]:
        """An entry of ``cimbo portfolio --format json``."""
        return {
            "for": self.criterion,
            "chip": dict(self.chip),
            "area_mm2": self.area_mm2,
            "networks": [each.to_json(self.metric) for each in self.networks],
        }


@dataclass(frozen=True)
class ChipPortfolio:
    """Chips for several networks: best in the worst case, on the weighted mean, in regret, and for each alone."""

    chips: tuple[SharedChip, ...]

    @property
    def sharing_costs_nothing(self) -> bool:
        """Whether one chip is the best for each network alone too."""
        return all(each.chip == self.chips[0].chip for each in self.chips)

    def to_json(self) -> list[dict[str, Any]]:
        """The document of ``cimbo portfolio --format json``."""
        return [chip.to_json() for chip in self.chips]


@dataclass(frozen=True)
class PortfolioSettings:
    """Limits of a shared chip.

    Attributes:
        area_mm2: The largest chip allowed.
        metric: "latency_ms" or "energy_uj".
        weights: How often each network runs; empty for equally often.
        fixed: Genes that every chip keeps. Accuracy is not looked at, so those that shape it should be among them.
        samples: Chips to sample before the best are improved.
        seed: Of the samples.
    """

    area_mm2: float
    metric: str = "latency_ms"
    weights: Sequence[float] = ()
    fixed: Mapping[str, Any] = field(default_factory=lambda: {"adc_bits": 6})
    samples: int = DEFAULT_CHIP_SAMPLES
    seed: int = 0

    def __post_init__(self) -> None:
        check_known(self.metric, PORTFOLIO_METRICS, "metric", f"{self.metric!r} is unknown")
        check_positive("--samples", self.samples)
        searched = {choice.name: choice for choice in chip_choices()}
        genes = {**searched, **DEFAULT_GENES}
        for name in self.fixed:
            check_known(name, genes, f"--fix {name}", "is no gene of a chip", "the genes are")


def portfolio(workloads: Mapping[str, Workload], settings: PortfolioSettings) -> ChipPortfolio:
    """Find one chip for several networks.

    Args:
        workloads: The networks by name, see `portfolio_workload`.
        settings: Limits of the chip.

    Returns:
        The chips that are best in the worst case, on the weighted mean, in regret, and for each
        network alone.

    Raises:
        BadInput: When no chip is within the area, or weights are not one positive number a network.
    """
    weights = list(settings.weights) or [1.0] * len(workloads)
    _check_weights(weights, len(workloads))
    asked = Portfolio(
        list(workloads.values()),
        np.array(weights),
        chip_choices(),
        settings.fixed,
        settings.area_mm2,
        settings.metric,
    )
    names = list(workloads)
    found = serve(asked, samples=settings.samples, seed=settings.seed)
    return ChipPortfolio(tuple(_shared(names, each, settings.metric) for each in found))


def _check_weights(weights: Sequence[float], n: int) -> None:
    """Raises BadInput unless there are ``n`` positive numbers."""
    if len(weights) != n or not all(0 < weight < math.inf for weight in weights):
        what = f"{','.join(map(str, weights))!r} is not {n} positive numbers"
        raise BadInput("--weights", what, "give one for each network, as 3,1")


def portfolio_workload(
    name: str, *, genes: Mapping[str, Any] | None = None, study: str | Path = "cimbo.db"
) -> Workload:
    """The network that ``name`` means in a portfolio.

    Args:
        name: A network family; an ONNX file, or another name that `cimbo.workloads.network` takes; or the key of a
            design of ``study``.
        genes: Genes of a sub-network of a family; by default its largest.
        study: The file that a key is looked up in.

    Returns:
        The network's layers.

    Raises:
        BadInput: For what is neither.
    """
    from cimbo.session.opening import open_existing

    if name in known() or not is_family_name(name):
        family = network(name)
        return family.workload(dict(genes) if genes else family.largest())
    with open_existing(study) as session:
        params = find(session, name).params
        return session.evaluator.placed(params)[0]


def named_workload(label: str, workload: Workload) -> Workload:
    """Give a workload the name that it is listed by.

    Args:
        label: The name.
        workload: The workload.

    Returns:
        The same workload with that name.
    """
    return replace(workload, name=label)


def _shared(names: Sequence[str], served: Served, metric: str) -> SharedChip:
    each = zip(names, served.costs.tolist(), served.regrets.tolist(), strict=True)
    networks = tuple(ServedNetwork(*figures) for figures in each)
    return SharedChip(served.criterion, served.chip, served.area_mm2, networks, metric)
