"""Accuracy from published measurements, for those who have no checkpoint: a fitted predictor, or a curve through anchors.

Each model is a file ``data/accuracy/NAME.toml`` that says what it knows, from where, with which error and where it holds.
Whatever is computed here is *modelled*, and every table, JSON and report says so.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from cimbo import _data
from cimbo.errors import BadInput
from cimbo.workloads import network
from cimbo.workloads.precision import GENE_NAMES, is_precision_gene

GENES: tuple[str, ...] = ()  # published accuracies know no chip
KNOWN_BITS = (8, 16, 32)
"""Of operands at which published accuracies hold: they are of floating point, which rounding to 8 bits hardly changes."""


@cache
def names() -> tuple[str, ...]:
    """Every model that is shipped."""
    return tuple(sorted(p.stem for p in _data.path("accuracy").glob("*.toml")))


@cache
def description(name: str) -> dict[str, Any]:
    """The file of model ``name``. Raises BadInput when this installation lacks it."""
    return tomllib.loads(_data.path(f"accuracy/{name}.toml").read_text(encoding="utf-8"))


def provenance(name: str) -> dict[str, Any]:
    """What a modelled accuracy is worth: kind, error in points, range of validity, source, licence."""
    about = description(name)
    return {
        key: about[key]
        for key in ("kind", "error_points", "error_is", "valid", "source", "licence")
    }


def unknown_bits(name: str, where: str, value: Any) -> BadInput:
    """The refusal of bits that the accuracies of ``name`` say nothing of."""
    what = f"is {value}, but the accuracies of {name} are of operands of 8 bits and more"
    return BadInput(where, what, "leave it out, or measure with your own weights (--weights)")


def _check_bits(design: Mapping[str, Any], of: str) -> None:
    """Raises BadInput for a design with operands of other bits than were measured."""
    for name, value in design.items():
        if (name in GENE_NAMES or is_precision_gene(name)) and value not in KNOWN_BITS:
            raise unknown_bits(of, name, value)


def load(name: str) -> Bundle | Curve:
    """The model ``name``, as a source of accuracy (:class:`cimbo.plugins.Accuracy`)."""
    about = description(name)
    if "bundle" in about:
        return Bundle(about["network"], about["bundle"], about.get("only", {}))
    return Curve(about["network"], tuple((a["gmacs"], a["accuracy"]) for a in about["anchors"]))


@dataclass(frozen=True)
class Bundle:
    """A predictor of ``predictors``, fitted on measured sub-networks. Its features: the genes, log_macs, log_parameters.

    ``only``: values of genes that the measurements had; at others nothing is known.
    """

    network: str
    file: str
    only: Mapping[str, Any]
    genes: tuple[str, ...] = GENES
    parts: tuple[str, ...] = ("validation",)

    def measure(self, design: Mapping[str, Any], part: str = "validation") -> float:
        """Predicted accuracy in percent. Raises BadInput for a sub-network outside the measurements."""
        _check_bits(design, self.network)
        for gene, known in self.only.items():
            if design.get(gene) not in known:
                raise BadInput(
                    f"modelled accuracy, {gene}",
                    f"is {design.get(gene)!r}",
                    f"only {known} were measured",
                )
        return float(_predictor(self.file).predict([features(self.network, design)]).mean[0])


@dataclass(frozen=True)
class Curve:
    """Accuracy by the logarithm of the MACs, linear between published ``anchors`` (GMACs, accuracy), level beyond them.

    Networks of equal MACs get equal accuracy: heads, MLP ratios and depth cannot be told apart.
    """

    network: str
    anchors: tuple[tuple[float, float], ...]
    genes: tuple[str, ...] = GENES
    parts: tuple[str, ...] = ("validation",)

    def measure(self, design: Mapping[str, Any], part: str = "validation") -> float:
        """Accuracy in percent of a network with as many MACs. Raises BadInput for operands of fewer bits than 8."""
        _check_bits(design, self.network)
        return self.at(network(self.network).workload(design).macs / 1e9)

    def at(self, gmacs: float) -> float:
        """Accuracy in percent at ``gmacs`` 10^9 multiply-accumulates."""
        x, y = zip(*sorted(self.anchors), strict=True)
        return float(np.interp(math.log(gmacs), np.log(x), y))


def features(family: str, design: Mapping[str, Any]) -> dict[str, float]:
    """What a bundle predicts from: the genes of the sub-network, and its size on a log scale."""
    workload = network(family).workload(design)
    names = [c.name for c in network(family).choices()]
    sizes = {"log_macs": math.log(workload.macs), "log_parameters": math.log(workload.parameters)}
    return {n: design[n] for n in names if n in design and n != "resolution"} | sizes


@cache
def _predictor(file: str) -> Any:
    import predictors  # loads its own libraries where it needs them

    return predictors.load(_data.path(f"accuracy/{file}"))
