"""Hyper-parameters of a process, what is expected of them, and where the search for them starts.

Priors are log-normal, those of the fine lengthscales as in Hvarfner et al., "Vanilla Bayesian Optimization Performs Great in
High Dimensions" (ICML 2024); the others' are ours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from predictors.gp.parts import Index, Sizes
from predictors.schema import Array

# Prior means of the logarithms of the variances: of the fine Matern part, and of the coarse one
MATERN_LOG_VARIANCES = np.array([-1.0, 0.0])
# and of those of the linear parts: ranks, levels, numerics, totals, counts; and of a basis.
LINEAR_LOG_VARIANCES = np.array([0.0, 0.0, 0.0, 0.0, -1.5])
BASIS_LOG_VARIANCE = np.array([0.0])
NOISE_LOG_VARIANCE = -3.5

# Deviations of the normal priors on the logarithms
LENGTHSCALE_DEVIATION = math.sqrt(3.0)
MATERN_DEVIATION = 0.7
LINEAR_DEVIATION = 1.0
NOISE_DEVIATION = 1.0

# Least and largest logarithms that the search may try
LENGTHSCALE_BOUNDS = (-3.0, 6.0)
MATERN_BOUNDS = (-8.0, 4.0)
LINEAR_BOUNDS = (-9.0, 7.0)
NOISE_BOUNDS = (-11.0, 1.0)


@dataclass(frozen=True)
class Hyper:
    """Hyper-parameters of the kernel, each as its natural logarithm.

    Attributes:
        log_lengthscales: (lengthscales,) of the fine Matern part, then of the coarse one.
        log_matern_variances: (Matern parts,) the prior variance of each Matern part.
        log_linear_variances: (linear parts,) the prior variance of each linear part's coefficients.
        log_noise_variance: The variance of one measurement.
    """

    log_lengthscales: Array
    log_matern_variances: Array
    log_linear_variances: Array
    log_noise_variance: float

    def pack(self) -> Array:
        """Join all log hyper-parameters into one array.

        Returns:
            (p,) log lengthscales, Matern variances, linear variances and the noise variance, in this
            order.
        """
        return np.concatenate(
            [
                self.log_lengthscales,
                self.log_matern_variances,
                self.log_linear_variances,
                [self.log_noise_variance],
            ]
        )

    def linear_variances(self, group: Index) -> Array:
        """Give the prior variance of every linear column's coefficient.

        Args:
            group: (l,) the linear part that each column belongs to.

        Returns:
            (l,) variances.
        """
        return np.exp(self.log_linear_variances)[group]

    @classmethod
    def unpack(cls, theta: Array, sizes: Sizes) -> Hyper:
        """Split a packed array into hyper-parameters; inverse of ``pack``.

        Args:
            theta: (p,) log hyper-parameters.
            sizes: How many of each there are.

        Returns:
            The hyper-parameters.
        """
        lengthscales, matern, linear, noise = np.split(theta, sizes.ends)
        return cls(lengthscales, matern, linear, float(noise[0]))


@dataclass(frozen=True)
class Prior:
    """The normal prior on each packed log hyper-parameter: ``mean`` and ``deviation``, each (p,)."""

    mean: Array
    deviation: Array


def linear_log_variances(sizes: Sizes) -> Array:
    """Give the prior means of the logarithms of the linear parts' variances.

    Args:
        sizes: How many linear parts there are, and whether there is a basis.

    Returns:
        (linear parts,) logarithms in the order of the parts, that of a basis last.
    """
    without_basis = LINEAR_LOG_VARIANCES[: sizes.linear_parts]
    if sizes.has_basis:
        return np.concatenate([without_basis, BASIS_LOG_VARIANCE])
    return without_basis


def prior(sizes: Sizes) -> Prior:
    """Give the normal prior on the log hyper-parameters.

    Args:
        sizes: How many hyper-parameters there are.

    Returns:
        Means and deviations, in the order of ``Hyper.pack``.
    """
    # In the order in which Hyper.pack joins them
    means = [
        _log_lengthscales(sizes, math.sqrt(2.0)),
        MATERN_LOG_VARIANCES[: len(sizes.lengthscales)],
        linear_log_variances(sizes),
        np.array([NOISE_LOG_VARIANCE]),
    ]
    deviations = [LENGTHSCALE_DEVIATION, MATERN_DEVIATION, LINEAR_DEVIATION, NOISE_DEVIATION]
    counts = [len(of_group) for of_group in means]
    return Prior(np.concatenate(means), np.repeat(deviations, counts))


def start(sizes: Sizes) -> Hyper:
    """Give the hyper-parameters at which a search starts.

    Args:
        sizes: How many hyper-parameters there are.

    Returns:
        Fixed values near the means of the prior; they do not depend on the rows.
    """
    return Hyper(
        log_lengthscales=_log_lengthscales(sizes, 0.2),
        log_matern_variances=MATERN_LOG_VARIANCES[: len(sizes.lengthscales)],
        log_linear_variances=linear_log_variances(sizes) - 0.5,
        log_noise_variance=-4.0,
    )


def bounds(sizes: Sizes) -> list[tuple[float, float]]:
    """Give the range that a search may use.

    Args:
        sizes: How many hyper-parameters there are.

    Returns:
        Least and largest value of each packed log hyper-parameter.
    """
    # In the order in which Hyper.pack joins them
    n_linear = len(linear_log_variances(sizes))
    ranges = [LENGTHSCALE_BOUNDS] * sum(sizes.lengthscales)
    ranges += [MATERN_BOUNDS] * len(sizes.lengthscales)
    return [*ranges, *[LINEAR_BOUNDS] * n_linear, NOISE_BOUNDS]


def _log_lengthscales(sizes: Sizes, offset: float) -> Array:
    """(lengthscales,) logarithms: ``offset`` plus log sqrt(dimensions) of the Matern part."""
    # Distances between points grow with the root of the number of dimensions, lengthscales with them.
    parts = []
    for dimensions in sizes.lengthscales:
        parts.append(np.full(dimensions, offset + 0.5 * math.log(dimensions)))
    return np.concatenate(parts)
