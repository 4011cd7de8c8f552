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
ABSENT_LAYER_LOSS = 0.8  # what a layer loses that is not there; one at its least loses 1 a gene
ACCURACY_GENES = ("width", *OPTIONAL_LAYER_GENES)


@dataclass(frozen=True)
class AccuracyLaw:
    """How accuracy comes about.

    Attributes:
        form: "additive", "interacting", "saturating".
        importance: (genes of a layer, layers) what each may lose.
        bend: (genes of a layer,) how soon more of it stops helping.
        within: What two weak genes of one layer lose together.
        beside: (layers - 1,) what two weak neighbours lose together.
        pairs: Pairs of genes with a table of their own, as positions.
        tables: (pairs, 8, 8) what these add, by rank.
        converter: What a converter too coarse for its rows loses.
        spread: Points of accuracy that a standard deviation of the loss is worth.
        shift: The loss of typical designs.
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
    """(n,) what is lost, in no unit."""
    weak, is_there = _weakness(law, blueprint, values)
    lost = np.einsum("gnl,gl->n", weak, law.importance)
    lost = lost + ABSENT_LAYER_LOSS * ((~is_there) * law.importance.sum(0)).sum(1)
    if law.form == "interacting":
        lost = _with_interactions(law, lost, weak, ranks)
    if "resolution" in values:
        lost = lost + 8.0 * np.exp(-values["resolution"] / 12.0) * np.sqrt(blueprint.layers)
    if law.converter and "adc_bits" in values and "rows" in values:
        missing_bits = 0.5 * np.log2(values["rows"]) + 1.5 - values["adc_bits"]
        lost = lost + law.converter * np.log1p(np.exp(missing_bits)) ** 1.5
    return np.asarray(lost)


def _with_interactions(law: AccuracyLaw, lost: Array, weak: Array, ranks: Rows) -> Array:
    """What is lost (n,), and what weak genes lose together: within a layer, in layers side by side, and in pairs."""
    of_layer = weak.mean(0)
    lost = lost + law.within * (weak[0] * weak[1:].max(0) * law.importance[0]).sum(1)
    lost = lost + (of_layer[:, 1:] * of_layer[:, :-1]) @ law.beside
    for (first, second), table in zip(law.pairs, law.tables, strict=True):
        lost = lost + table[ranks[:, first] % 8, ranks[:, second] % 8]
    return lost


def _weakness(
    law: AccuracyLaw, blueprint: Blueprint, values: Mapping[str, Array]
) -> tuple[Array, NDArray[np.bool_]]:
    """(genes, n, layers) how weak each gene is, 1 at its least value; (n, layers) whether a layer is there."""
    n = len(next(iter(values.values())))
    weak = np.zeros((len(ACCURACY_GENES), n, blueprint.layers))
    there = np.ones((n, blueprint.layers), bool)
    limits = {blueprint.meaning[c.name]: c.values for c in blueprint.space.architecture}
    for g, name in enumerate(ACCURACY_GENES):
        for layer in range(blueprint.layers):
            gene = f"{name}{layer}"
            if gene not in values:
                continue
            low = float(limits[gene][0])
            high = float(limits[gene][-1])
            share = np.log(values[gene] / low) / np.log(high / low)
            there[:, layer] &= ~np.isnan(share)
            weak[g, :, layer] = np.nan_to_num(_bent(share, law.bend[g]))
    return weak, there


def _bent(share: Array, bend: float) -> Array:
    """A curve from 1 at a share of 0 to 0 at a share of 1, the more bent the larger ``bend`` is."""
    end = np.exp(-bend)
    return np.asarray((np.exp(-bend * share) - end) / (1.0 - end))
