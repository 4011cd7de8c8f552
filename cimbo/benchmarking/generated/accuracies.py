"""Accuracy laws of a generated problem: additive, interacting or saturating losses of layers and of the converter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cimbo.benchmarking.generated.spaces import OPTIONAL_LAYER_GENES, Blueprint
from cimbo.problem.space import Rows

Array = NDArray[np.float64]
TOP_ACCURACY = 80.0
MAX_ACCURACY, MIN_ACCURACY = 99.0, 0.1
# Loss for each gene of a layer that is absent; a layer whose genes have their least values loses 1
ABSENT_LAYER_LOSS = 0.8
ACCURACY_GENES = ("width", *OPTIONAL_LAYER_GENES)


@dataclass(frozen=True)
class AccuracyLaw:
    """The law of accuracy of a generated problem: a sum of losses.

    A gene is *weak* to the degree, 0 to 1, in which its value is small.

    Attributes:
        form: "additive", "interacting", "saturating".
        importance: Loss of each gene at its weakest, (genes of a layer, layers).
        bend: How soon larger values of a gene stop helping, (genes of a layer,).
        within: Weight of the loss of two weak genes of one layer together.
        beside: Weight of the loss of two weak neighbouring layers together, (layers - 1,).
        pairs: Indices of pairs of genes that interact arbitrarily, (pairs, 2).
        tables: Loss of each such pair, by the ranks of both genes, (pairs, 8, 8).
        converter: Weight of the loss of a converter too coarse for its rows.
        spread: Points of accuracy for one standard deviation of the loss.
        shift: Mean loss of typical designs.
        scale: Standard deviation of the loss over random designs.
    """

    form: str
    importance: Array
    bend: Array
    within: float
    beside: Array
    pairs: NDArray[np.intp]
    tables: Array
    converter: float
    spread: float
    shift: float = 0.0
    scale: float = 1.0


def draw_accuracy(rng: np.random.Generator, blueprint: Blueprint) -> AccuracyLaw:
    """Draw a law for a space; its shift and scale are set by whoever knows typical designs.

    Args:
        rng: Source of all choices.
        blueprint: The space and what its genes stand for.

    Returns:
        The law, with shift 0 and scale 1.
    """
    genes, layers = len(ACCURACY_GENES), blueprint.layers
    form = str(rng.choice(["additive", "interacting", "saturating"]))
    interacting = form == "interacting"
    n_pairs = 2 * layers if interacting else 0
    importance = rng.lognormal(0.0, rng.uniform(0.3, 0.9), (genes, layers))
    return AccuracyLaw(
        form,
        importance * rng.lognormal(0.0, 0.4, (genes, 1)),
        rng.uniform(1.0, 4.0, genes),
        float(rng.uniform(0.5, 1.5)) if interacting else 0.0,
        rng.lognormal(-0.5, 0.6, layers - 1) * float(interacting),
        rng.integers(0, len(blueprint.space.architecture), (n_pairs, 2)),
        0.25 * rng.standard_normal((n_pairs, 8, 8)),
        float(rng.choice([0.0, 0.5, 1.0])),
        float(rng.uniform(1.5, 5.0)),
    )


def accuracy(
    law: AccuracyLaw, blueprint: Blueprint, values: Mapping[str, Array], ranks: Rows
) -> Array:
    """Compute accuracies.

    Args:
        law: How accuracy comes about.
        blueprint: What the genes stand for.
        values: Meaning -> values (n,) of the genes, NaN where inactive.
        ranks: (n, d) rows of the designs.

    Returns:
        (n,) in percent.
    """
    z = (_loss(law, blueprint, values, ranks) - law.shift) / law.scale
    if law.form == "saturating":
        z = np.expm1(0.5 * np.minimum(z, 6.0)) / 0.5
    return np.clip(TOP_ACCURACY - 2.0 * law.spread - law.spread * z, MIN_ACCURACY, MAX_ACCURACY)


def fitted(
    law: AccuracyLaw, blueprint: Blueprint, values: Mapping[str, Array], ranks: Rows
) -> AccuracyLaw:
    """Set the shift and scale of a law by typical designs.

    Args:
        law: How accuracy comes about.
        blueprint: What the genes stand for.
        values: Meaning -> values (n,) of the genes, NaN where inactive.
        ranks: (n, d) rows of the typical designs.

    Returns:
        The law with the mean and the standard deviation of their losses.
    """
    loss = _loss(law, blueprint, values, ranks)
    return replace(law, shift=float(loss.mean()), scale=float(loss.std()))


def _loss(
    law: AccuracyLaw, blueprint: Blueprint, values: Mapping[str, Array], ranks: Rows
) -> Array:
    """The loss of each design, without a unit, (n,); arguments as of `accuracy`."""
    weak, is_there = _weakness(law, blueprint, values)
    loss = np.einsum("gnl,gl->n", weak, law.importance)
    loss = loss + ABSENT_LAYER_LOSS * ((~is_there) * law.importance.sum(0)).sum(1)
    if law.form == "interacting":
        loss = _with_interactions(law, loss, weak, ranks)
    if "resolution" in values:
        loss = loss + 8.0 * np.exp(-values["resolution"] / 12.0) * np.sqrt(blueprint.layers)
    if law.converter and "adc_bits" in values and "rows" in values:
        missing_bits = 0.5 * np.log2(values["rows"]) + 1.5 - values["adc_bits"]
        loss = loss + law.converter * np.log1p(np.exp(missing_bits)) ** 1.5
    return np.asarray(loss)


def _with_interactions(law: AccuracyLaw, lost: Array, weak: Array, ranks: Rows) -> Array:
    """Add to a loss (n,) what weak genes lose together: within a layer, in neighbouring layers, in pairs.

    Args:
        law: The law.
        lost: The loss so far, (n,).
        weak: Weakness of each gene, (genes of a layer, n, layers).
        ranks: Encoded designs, (n, d).

    Returns:
        The loss, (n,).
    """
    layer_weakness = weak.mean(0)
    lost = lost + law.within * (weak[0] * weak[1:].max(0) * law.importance[0]).sum(1)
    lost = lost + (layer_weakness[:, 1:] * layer_weakness[:, :-1]) @ law.beside
    for (first, second), table in zip(law.pairs, law.tables, strict=True):
        lost = lost + table[ranks[:, first] % 8, ranks[:, second] % 8]
    return lost


def _weakness(
    law: AccuracyLaw, blueprint: Blueprint, values: Mapping[str, Array]
) -> tuple[Array, NDArray[np.bool_]]:
    """Find out how weak each gene is, and which layers are present.

    Returns:
        Weakness, from 0 at a gene's largest value to 1 at its least, (genes of a layer, n, layers);
        and whether each layer is present, (n, layers).
    """
    n = len(next(iter(values.values())))
    weak = np.zeros((len(ACCURACY_GENES), n, blueprint.layers))
    is_there = np.ones((n, blueprint.layers), bool)
    limits = {blueprint.meaning[c.name]: c.values for c in blueprint.space.architecture}
    for g, name in enumerate(ACCURACY_GENES):
        for layer in range(blueprint.layers):
            gene = f"{name}{layer}"
            if gene not in values:
                continue
            low = float(limits[gene][0])
            high = float(limits[gene][-1])
            position = np.log(values[gene] / low) / np.log(high / low)
            is_there[:, layer] &= ~np.isnan(position)
            weak[g, :, layer] = np.nan_to_num(_bent(position, law.bend[g]))
    return weak, is_there


def _bent(position: Array, bend: float) -> Array:
    """A curve that falls from 1 at position 0 to 0 at position 1, at first the faster the larger ``bend`` is."""
    end = np.exp(-bend)
    return np.asarray((np.exp(-bend * position) - end) / (1.0 - end))
