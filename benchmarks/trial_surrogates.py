"""Surrogates that were tried and are not adopted: variants for ``search_trials.py``, paired with the search as it is.

*Trees* learn what posynomials leave of a cost. A *roofline* from the roles of a chip's properties is the mean function of a
cost. *SAAS* expects most genes to have no effect. The *noise law* lets the noise of a measurement depend on its value.
``search_trials.py three`` searches with them; ``trial_errors.py`` tells how well they predict.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from roles import features_of_generated
from search_variants import Variant

from cimbo.benchmarking.generated import GeneratedProblem
from cimbo.optimizer import modelled_units
from cimbo.optimizer.views import View
from cimbo.problem.space import Params
from predictors import Feature, Schema, gp
from predictors.boosting import boosted, hybrid
from predictors.core import Core, Fitted, Task
from predictors.gp import with_posynomials
from predictors.gp.hyperparameters import Hyper
from predictors.gp.likelihood import _NegativeLogPosterior
from predictors.kinds import BUILT_IN_KINDS, SurrogateKind
from predictors.posynomial import descent
from predictors.posynomial.layout import TERMS_PER_LAYER, DesignMatrix

Array = NDArray[np.float64]


# ---- trees ----------------------------------------------------------------------------------------------------------


class TreesOnPosynomials(hybrid.Hybrid):
    """The sum of weighted trees and of a process that sees posynomials."""

    def extended(self, task: Task) -> Core:
        """Condition the process on more rows; the trees stay as they are."""
        return hybrid.extend(self, task)


def _fit_trees_on_posynomials(task: Task) -> Fitted:
    """Fit posynomials, trees to their held-out residual, and posynomials anew to what the trees leave.

    The trees have the weight that explains their own held-out predictions best. They are left out where
    the posynomials alone have no larger held-out error.
    """
    plain = with_posynomials.fit(task)
    if plain is task.gp_fit:
        return plain
    residual = task.y - plain.held_out
    trees = hybrid._trees_held_out(task, residual)
    weight = hybrid._best_weight(residual, trees)
    of_rest = with_posynomials.fit(replace(task, y=task.y - weight * trees))
    held_out = of_rest.held_out + weight * trees
    if hybrid._squared_error(task, plain.held_out) <= hybrid._squared_error(task, held_out):
        return plain
    assert isinstance(of_rest.core, gp.GaussianProcess)
    booster = boosted.train(task.encoded, residual, task.seed)
    core = TreesOnPosynomials(booster, weight, of_rest.core)
    return Fitted(core, held_out, of_rest.forward)


TREES = BUILT_IN_KINDS | {"posynomial": SurrogateKind("posynomial", _fit_trees_on_posynomials)}


# ---- a prior mean ---------------------------------------------------------------------------------------------------


# What roles may say of latency, the best first: which there are depends on the chip's genes
LATENCY_FEATURES = ("log_resident_roofline_ns", "log_roofline_ns", "log_passes")
# Typical energies, in pJ: a step of a converter (Murmann's survey has some 2 fJ), and a byte from an LPDDR4 memory
STEP_PJ = 2e-3
DRAM_BYTE_PJ = 32.0


@dataclass(frozen=True)
class KnownMean:
    """Stands in for an older model as mean function: the logarithm of a metric is one feature.

    Attributes:
        schema: The feature and the metric.
    """

    schema: Schema

    @classmethod
    def of(cls, metric: str) -> KnownMean:
        """Make the mean function of a cost, from the feature that ``_rooflines`` gives for it."""
        feature = Feature(f"log_mean_{metric}", "numeric")
        return cls(Schema((feature,), metric, "", log=True))

    def latent_posterior(self, encoded: Array) -> tuple[Array, Array]:
        """Read the mean (n,) off encoded rows (n, 1); it has no variance."""
        return encoded[:, 0], np.zeros(len(encoded))

    def joint(self, encoded: Array) -> tuple[Array, Array]:
        """Read the mean off encoded rows (..., q, 1); it has no covariance (..., q, q)."""
        mean = encoded[..., 0]
        return mean, np.zeros((*mean.shape, mean.shape[-1]))


def _rooflines(problem: GeneratedProblem, designs: list[Params]) -> dict[str, Array]:
    """Estimate latency and energy of designs by what roles say, as logarithms (n,) in unknown units."""
    rows = problem.problem.space.rows(designs)
    known = features_of_generated(problem, rows)
    latency = next(name for name in LATENCY_FEATURES if name in known)
    bandwidth_gb_s = problem.blueprint.values(rows).get("dram_bw", np.ones(len(rows)))
    loaded_bytes = np.exp(known["log_load_ns"]) * bandwidth_gb_s
    steps = np.exp(known.get("log_converted_levels", known["log_conversions"]))
    energy_pj = STEP_PJ * steps + DRAM_BYTE_PJ * loaded_bytes
    return {
        "log_mean_latency_ms": known[latency],
        "log_mean_energy_uj": np.log(energy_pj),
    }


def views_and_priors(problem: GeneratedProblem) -> tuple[dict[str, View], dict[str, Any]]:
    """Make what a search with a roofline as mean function of its costs is given.

    Args:
        problem: A generated problem.

    Returns:
        The views of latency and energy, with the roofline as a feature; and their mean functions.
    """

    def features(designs: list[Params]) -> Mapping[str, Array]:
        return _rooflines(problem, designs)

    costs = [o.name for o in problem.objectives if o.name in ("latency_ms", "energy_uj")]
    views = {name: View(features=features) for name in costs}
    return views, {name: KnownMean.of(name) for name in costs}


# ---- SAAS -----------------------------------------------------------------------------------------------------------


SAAS_SHRINKAGE = 0.1  # tau: scale of the half-Cauchy prior (Eriksson and Jankowiak 2021, section 4)


class _SaasPosterior(_NegativeLogPosterior):
    """Stands in for ``_NegativeLogPosterior``: inverse squared fine lengthscales have a half-Cauchy prior."""

    def __call__(self, theta: Array) -> tuple[float, Array]:
        """Replace the log-normal prior on the fine lengthscales by log(1 + (1 / (l^2 tau))^2)."""
        value, gradient = super().__call__(theta)
        if not math.isfinite(value):
            return value, gradient
        fine = self.sizes.lengthscales[0]
        from_mean = theta[:fine] - self._prior.mean[:fine]
        of_normal = from_mean / self._prior.deviation[:fine] ** 2
        squared = (np.exp(-2.0 * theta[:fine]) / SAAS_SHRINKAGE) ** 2
        value += float(np.log1p(squared).sum()) - 0.5 * float(from_mean @ of_normal)
        changed = gradient.copy()
        changed[:fine] -= of_normal + 4.0 * squared / (1.0 + squared)
        return value, changed


# ---- exponents of posynomials ---------------------------------------------------------------------------------------


LAYER_EXPONENT = 0.7  # what a cost is expected to grow with a gene of a layer, as an exponent
NEXT_LAYER_EXPONENT = 0.25  # and with a gene of the layer before it


def _expected(prior: Array, design: DesignMatrix) -> Array:
    """(parameters,) prior means: exponents of layers' genes are positive, all others are 0."""
    n_single = design.single.shape[1]
    exponents = np.zeros((n_single + design.per_layer.shape[2], TERMS_PER_LAYER))
    exponents[n_single::2] = LAYER_EXPONENT
    exponents[n_single + 1 :: 2] = NEXT_LAYER_EXPONENT
    n_offsets = len(prior) - exponents.size
    return np.concatenate([np.zeros(n_offsets), exponents.ravel()])


def _descend_from_expected(theta: Array, prior: Array, design: DesignMatrix, target: Any) -> Array:
    """Stands in for ``descend``: starts are drawn around the prior's means."""
    return ORIGINAL_DESCEND(theta + _expected(prior, design), prior, design, target)


def _gradient_from_expected(problem: Any, state: Any, jacobian: Array) -> Array:
    """Stands in for ``descent._gradient``: the prior pulls to its means."""
    gradient = ORIGINAL_GRADIENT(problem, state, jacobian)
    return np.asarray(gradient - _expected(problem.prior, problem.design) / problem.prior**2)


def _is_better_from_expected(problem: Any, state: Any, proposed: Array, sums: Any) -> Array:
    """Stands in for ``descent._is_better``: what the prior gains is counted from its means."""
    mean = _expected(problem.prior, problem.design)
    before = problem.target.squared_misfits(state.sums)
    after = problem.target.squared_misfits(sums)
    gain_of_data = state.weight(problem.target) * (before - after)
    gain_of_prior = ((state.theta - mean) ** 2 - (proposed - mean) ** 2) / problem.prior**2
    return np.asarray(gain_of_data.sum(1) + gain_of_prior.sum(1) > 0)


ORIGINAL_DESCEND = descent.descend
ORIGINAL_GRADIENT = descent._gradient
GROWING = (
    ("predictors.posynomial.ensemble.descend", _descend_from_expected),
    ("predictors.posynomial.descent._gradient", _gradient_from_expected),
    ("predictors.posynomial.descent._is_better", _is_better_from_expected),
)


# ---- noise ----------------------------------------------------------------------------------------------------------


LEAST_SQUARE = 1e-4  # of a standardised residual
STEEPEST = (
    2.0  # most that the logarithm of the noise variance changes over a deviation of the target
)
PULL_TO_EVEN = 10.0  # rows that the expectation of an even noise counts as


@dataclass(frozen=True)
class NoiseLaw:
    """Noise variance as exp(``intercept`` + ``slope`` * mean), in standardised units."""

    intercept: float
    slope: float

    @classmethod
    def of(cls, task: Task, held_out: Array) -> NoiseLaw:
        """Fit it to the squared held-out errors, which hold the process's own uncertainty besides."""
        logarithms = np.log(np.maximum((task.y - held_out) ** 2, LEAST_SQUARE))
        centred = held_out - held_out.mean()
        slope = float(centred @ logarithms) / (float(centred @ centred) + PULL_TO_EVEN)
        slope = min(max(slope, -STEEPEST), STEEPEST)
        weights = np.exp(slope * held_out)
        squares = np.mean((task.y - held_out) ** 2)
        return cls(math.log(max(0.5 * squares / weights.mean(), LEAST_SQUARE)), slope)

    def __call__(self, mean: Array) -> Array:
        """(n,) noise variances at predicted means (n,)."""
        return np.exp(np.clip(self.intercept + self.slope * mean, -10.0, 2.0))


@dataclass(frozen=True)
class ProcessWithLaw(gp.GaussianProcess):
    """A process whose noise depends on the level of the target."""

    law: NoiseLaw = NoiseLaw(0.0, 0.0)

    def extended(self, task: Task) -> Core:
        """Condition on all rows, each with the noise of its predicted level."""
        noisy = replace(
            task, noise_variance=task.noise_variance + self.law(self.mean(task.encoded))
        )
        return _with_law(gp.extend(self, noisy), self.law)


def _with_law(process: gp.GaussianProcess, law: NoiseLaw) -> ProcessWithLaw:
    """The process with a noise law."""
    parts = {field.name: getattr(process, field.name) for field in fields(gp.GaussianProcess)}
    return ProcessWithLaw(**parts, law=law)


def _fit_with_law(task: Task, start: Hyper | None = None, basis: gp.Basis | None = None) -> Fitted:
    """Stands in for ``gp.fit``: a process is fitted once for the noise law, and once with it."""
    plain = ORIGINAL_FIT(task, start, basis)
    assert isinstance(plain.core, gp.GaussianProcess)
    law = NoiseLaw.of(task, plain.held_out)
    noisy = replace(task, noise_variance=task.noise_variance + law(plain.held_out))
    posynomials = plain.core.kernel_features.basis
    fitted = ORIGINAL_FIT(noisy, plain.core.hyper, lambda _: posynomials)
    assert isinstance(fitted.core, gp.GaussianProcess)
    return Fitted(_with_law(fitted.core, law), fitted.held_out, plain.forward)


ORIGINAL_FIT = gp.fit
# Without the hybrid, which reads its targets off a process whose noise does not depend on them
NOISY_KINDS = {name: kind for name, kind in BUILT_IN_KINDS.items() if name != "hybrid"}
NOISY_KINDS["gp"] = SurrogateKind("gp", _fit_with_law)


# ---- the list -------------------------------------------------------------------------------------------------------


def _kinds(kinds: Mapping[str, SurrogateKind]) -> tuple[tuple[str, Any], ...]:
    """Where the kinds of surrogates stand, and others that take their place."""
    return (
        ("predictors.fitting.BUILT_IN_KINDS", kinds),
        ("predictors.kinds.BUILT_IN_KINDS", kinds),
    )


DRAWN_IN = "accuracies worse than the median drawn in"
SURROGATE_VARIANTS = {
    "trees on the residuals of posynomials": Variant(patches=_kinds(TREES)),
    "roles of the chip's genes given": Variant(has_roles=True),
    "a roofline as the mean of costs": Variant(given=views_and_priors),
    "half-Cauchy prior on lengthscales (SAAS)": Variant(
        patches=(("predictors.gp.likelihood._NegativeLogPosterior", _SaasPosterior),)
    ),
    "posynomials that expect costs to grow with layers": Variant(patches=GROWING),
    DRAWN_IN: Variant(patches=((f"{modelled_units.__name__}.COLLAPSE_DEVIATIONS", 0.0),)),
    "noise that depends on the value": Variant(
        patches=(*_kinds(NOISY_KINDS), ("predictors.gp.fit", _fit_with_law))
    ),
}
