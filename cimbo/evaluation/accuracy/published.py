"""Accuracy from published measurements, for those who have no checkpoint: a fitted predictor, or a curve through anchors.

Each model is a file ``data/accuracy/NAME.toml`` that says what it knows, from where, with which error and where it holds.
Whatever is computed here is *modelled*, and every table, JSON and report says so.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from cimbo import _data
from cimbo.errors import BadInput
from cimbo.workloads import Described, network
from cimbo.workloads.precision import GENE_NAMES, is_precision_gene

ACCURACY_METRIC = "accuracy"
CHIP_GENES: tuple[str, ...] = ()  # published accuracies know no chip
LARGEST_FILE = "published_largest.toml"
LARGEST_MATCH = 0.01  # fraction by which counts of the same network may differ between papers
KNOWN_BITS = (8, 16, 32)
"""Bits of operands for which published accuracies hold. They were measured in floating point, and rounding to 8 bits hardly
changes them."""


@cache
def names() -> tuple[str, ...]:
    """Names of all shipped models, sorted."""
    return tuple(sorted(p.stem for p in _data.path("accuracy").glob("*.toml")))


@cache
def description(name: str) -> dict[str, Any]:
    """Reads the file of a model.

    Args:
        name: One of `names`.

    Returns:
        The file's entries; do not change them, they are kept.

    Raises:
        BadInput: When this installation lacks the file.
    """
    return tomllib.loads(_data.path(f"accuracy/{name}.toml").read_text(encoding="utf-8"))


def metric_of(name: str) -> str:
    """Find which metric a source of accuracy gives.

    Args:
        name: Name of the source; one that is not among `names` gives an accuracy.

    Returns:
        ``accuracy`` in percent, or the metric of the model's file, such as ``perplexity``.
    """
    if name not in names():
        return ACCURACY_METRIC
    return str(description(name).get("metric", ACCURACY_METRIC))


def provenance(name: str) -> dict[str, Any]:
    """Say where a modelled accuracy comes from and how far off it may be.

    Args:
        name: One of `names`.

    Returns:
        Kind, error in points and what it is, range of validity, source and licence.

    Raises:
        BadInput: When this installation lacks the model's file.
    """
    about = description(name)
    provenance = {}
    for key in ("kind", "metric", "error_points", "error_is", "valid", "source", "licence"):
        if key != "metric" or key in about:
            provenance[key] = about[key]
    return provenance


def unknown_bits(name: str, where: str, value: Any) -> BadInput:
    """Makes the error for bits that published accuracies say nothing of.

    Args:
        name: The network whose accuracies they are.
        where: What has these bits, for the message.
        value: The bits.

    Returns:
        The error, not raised.
    """
    what = f"is {value}, but the accuracies of {name} are of operands of 8 bits and more"
    return BadInput(where, what, "leave it out, or measure with your own weights (--weights)")


def _check_measured(gene: str, value: Any, known: Sequence[Any]) -> None:
    """Refuse a gene's value that no measured sub-network had. Raises BadInput."""
    if value not in known:
        where = f"modelled accuracy, {gene}"
        raise BadInput(where, f"is {value!r}", f"only {known} were measured")


def _check_bits(design: Mapping[str, Any], of: str) -> None:
    """Raises BadInput for a design with operands of other bits than were measured."""
    for name, value in design.items():
        if (name in GENE_NAMES or is_precision_gene(name)) and value not in KNOWN_BITS:
            raise unknown_bits(of, name, value)


def load(name: str) -> Bundle | BundleByArray | Curve:
    """Makes a model a source of accuracy (:class:`cimbo.plugins.Accuracy`).

    Args:
        name: One of `names`.

    Returns:
        A fitted predictor, one for each family of arrays, or a curve through anchors, as the
        model's file says.

    Raises:
        BadInput: When this installation lacks the model's file.
    """
    about = description(name)
    if "by_array" in about:
        return BundleByArray(about["network"], about["by_array"])
    if "bundle" in about:
        return Bundle(about["network"], about["bundle"], about.get("only", {}))
    return Curve(about["network"], tuple((a["gmacs"], a["accuracy"]) for a in about["anchors"]))


@dataclass(frozen=True)
class Bundle:
    """A predictor, fitted on measured sub-networks (see the package ``predictors``).

    It predicts from the genes, log_macs and log_parameters.

    Attributes:
        network: Name of the network family.
        file: The predictor's file in data/accuracy.
        only: For some genes, the only values that the measured sub-networks had; others are refused.
        genes: Genes of the chip that change the accuracy.
        parts: Parts of the images that are known.
    """

    network: str
    file: str
    only: Mapping[str, Any]
    genes: tuple[str, ...] = CHIP_GENES
    parts: tuple[str, ...] = ("validation",)

    def measure(self, design: Mapping[str, Any], part: str = "validation") -> float:
        """Predicts the accuracy of a sub-network.

        Args:
            design: Genes of the sub-network; those of a chip count only by their bits.
            part: Ignored: there is one part.

        Returns:
            Percent.

        Raises:
            BadInput: For a sub-network outside the measurements, and for operands of other bits
                than they had.
        """
        _check_bits(design, self.network)
        for gene, known in self.only.items():
            _check_measured(gene, design.get(gene), known)
        return float(_predictor(self.file).predict([features(self.network, design)]).mean[0])


@dataclass(frozen=True)
class BundleByArray:
    """Fitted predictors, one for each family of arrays for which accuracies were published.

    Attributes:
        network: Name of the network family.
        files: Family of arrays, as the gene ``array`` names it, to the predictor's file.
        genes: Genes of the chip that change the accuracy.
        parts: Parts of the images that are known.
    """

    network: str
    files: Mapping[str, str]
    genes: tuple[str, ...] = ("array",)
    parts: tuple[str, ...] = ("validation",)

    def measure(self, design: Mapping[str, Any], part: str = "validation") -> float:
        """Predicts the accuracy of a sub-network on arrays of a design's family.

        Args:
            design: Genes of the sub-network, and of the chip its array.
            part: Ignored: there is one part.

        Returns:
            Percent.

        Raises:
            BadInput: For arrays without published accuracies, and for operands of other bits than
                KNOWN_BITS.
        """
        file = of_array(design, self.files)
        return Bundle(self.network, file, {}).measure(design)


def of_array(design: Mapping[str, Any], known: Mapping[str, str]) -> str:
    """Choose the entry of a table for the family of a design's arrays.

    Args:
        design: Genes, the chip's ``array`` among them.
        known: Family of arrays to the entry for it, such as a file or a column.

    Returns:
        The entry of the design's family.

    Raises:
        BadInput: Where there is no entry for that family.
    """
    array = design.get("array")
    if not isinstance(array, str) or array not in known:
        what = f"is {array!r}, of which no accuracies were published"
        raise BadInput("chip.array", what, f"use one of {', '.join(known)}")
    return known[array]


@dataclass(frozen=True)
class Curve:
    """Accuracy as a function of the MACs alone, through published points.

    It is linear in the logarithm of the MACs between the points and constant beyond them. Networks
    of equal MACs get equal accuracy: heads, MLP ratios and depth cannot be told apart.

    Attributes:
        network: Name of the network family.
        anchors: Published points: 10^9 MACs, and accuracy in percent.
        genes: Genes of the chip that change the accuracy: none.
        parts: Parts of the images that are known.
    """

    network: str
    anchors: tuple[tuple[float, float], ...]
    genes: tuple[str, ...] = CHIP_GENES
    parts: tuple[str, ...] = ("validation",)

    def measure(self, design: Mapping[str, Any], part: str = "validation") -> float:
        """Read off the accuracy that belongs to a sub-network's multiply-accumulates.

        Args:
            design: Genes of the sub-network; those of a chip count only by their bits.
            part: Ignored: there is one part.

        Returns:
            Percent.

        Raises:
            BadInput: For operands of other bits than KNOWN_BITS, and for a wrong or missing gene.
        """
        _check_bits(design, self.network)
        return self.at(network(self.network).workload(design).macs / 1e9)

    def at(self, gmacs: float) -> float:
        """Read off the accuracy at a number of multiply-accumulates.

        Args:
            gmacs: 10^9 multiply-accumulates, above 0.

        Returns:
            Percent; beyond the anchors that of the nearest.
        """
        anchor_gmacs, accuracies = zip(*sorted(self.anchors), strict=True)
        return float(np.interp(math.log(gmacs), np.log(anchor_gmacs), accuracies))


@dataclass(frozen=True)
class PublishedLargest:
    """The published accuracy of a family's largest network.

    Attributes:
        name: Name of the network in the publication.
        accuracy: Percent.
    """

    name: str
    accuracy: float


def of_largest(family: str) -> PublishedLargest | None:
    """Find the published accuracy of the largest network of a family.

    Args:
        family: Name of the network family.

    Returns:
        That of LARGEST_FILE, or of the anchor of a model with as many multiply-accumulates as the
        largest network, up to LARGEST_MATCH; None where neither has one.
    """
    listed = tomllib.loads(_data.path(LARGEST_FILE).read_text(encoding="utf-8"))
    if family in listed:
        return PublishedLargest(listed[family]["name"], float(listed[family]["accuracy"]))
    return _of_anchor(family)


def _of_anchor(family: str) -> PublishedLargest | None:
    """The anchor, of the models of a family, that has as many multiply-accumulates as its largest network."""
    own = network(family)
    gmacs = own.workload(own.largest()).macs / 1e9
    for name in names():
        about = description(name)
        if about.get("network") != family:
            continue
        for anchor in about.get("anchors", ()):
            if abs(anchor["gmacs"] / gmacs - 1.0) < LARGEST_MATCH:
                return PublishedLargest(anchor["name"], float(anchor["accuracy"]))
    return None


def features(family: str, design: Mapping[str, Any]) -> dict[str, float]:
    """Compute the features from which a bundle predicts.

    Args:
        family: Name of the network family.
        design: Genes of the sub-network; others are ignored.

    Returns:
        The genes of the sub-network but its resolution; log_macs and log_parameters, natural
        logarithms; and what the family itself describes a sub-network by.

    Raises:
        BadInput: For a wrong or missing gene.
    """
    own = network(family)
    workload = own.workload(design)
    genes = {}
    for choice in own.choices():
        if choice.name in design and choice.name != "resolution":
            genes[choice.name] = design[choice.name]
    described = {}
    if isinstance(own, Described):
        described = own.descriptors(design)
    sizes = {"log_macs": math.log(workload.macs), "log_parameters": math.log(workload.parameters)}
    return genes | sizes | described


@cache
def _predictor(file: str) -> Any:
    """Load a predictor of data/accuracy, once a process."""
    import predictors  # loads its own libraries where it needs them

    return predictors.load(_data.path(f"accuracy/{file}"))
