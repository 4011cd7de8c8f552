"""Exact Gaussian process over encoded rows: Matern-5/2 parts plus Bayesian linear parts.

k(x, x') = 1 + sum_p s_p * matern52(|z_p(x) - z_p(x')| / lengthscales) + sum_g v_g <phi_g(x), phi_g(x')>

:mod:`predictors.gp.inputs` says what z and phi are. The fine Matern part has one lengthscale a feature (the columns of a
nominal share it), the coarse one has its own. The linear parts, each with a variance of its own, extrapolate where a
stationary kernel falls back to the mean, which is where a front grows, and their coefficients' uncertainty is part of the
posterior.
"""

from predictors.gp.covariance import kernel, matern_covariance, matern_terms, variance
from predictors.gp.fitting import Basis, fit
from predictors.gp.hyperparameters import Hyper
from predictors.gp.likelihood import HYPER_ROWS, learn, objective
from predictors.gp.process import GaussianProcess, condition, extend, restore, targets

__all__ = [
    "HYPER_ROWS",
    "Basis",
    "GaussianProcess",
    "Hyper",
    "condition",
    "extend",
    "fit",
    "kernel",
    "learn",
    "matern_covariance",
    "matern_terms",
    "objective",
    "restore",
    "targets",
    "variance",
]
