"""Costs of layered networks as sums of products of powers, which is what most of them are.

    log y = log sum_{l, r} exp(a_r + b_s(l)r + sum_j c_jr x_j + sum_g (d_gr x_gl + e_gr x_g,l-1))

The sum is over layers l and products r = 1 .. ``TERMS_PER_LAYER``; s(l) is the segment of layer l; a and b are offsets; c, d, e
exponents. x are logarithms of genes: x_j of the features that belong to no layer, x_gl of gene g of layer l (features of one
``group`` are the same gene of different layers), which also acts on the layer after it.

A layer takes the longest of a few products (tiles times pixels over macros, bytes over bandwidth);
the largest of several is nearly their sum, and a network's cost is the sum over its layers.
Exponents are the same for all layers, so that a hundred measurements tell what sixty genes do, also
far from where they were taken. In geometric programming such a sum is called a posynomial (Boyd et
al., "A tutorial on geometric programming", 2007; fitted to data: Hoburg et al., "Data fitting with
geometric-programming-compatible softmax functions", 2016).

The fit is the maximum a posteriori under normal priors, found by the method of Levenberg and Marquardt from many starts at
once. It has many optima: by how much members differ tells how little is known.
"""

from predictors.posynomial.ensemble import Posynomials, fit, parameter_count
from predictors.posynomial.layout import DesignMatrix, FeatureLayout
from predictors.posynomial.sums import (
    MIN_LAYERS,
    TERMS_PER_LAYER,
    log_sums,
    slopes,
    split_parameters,
)

__all__ = [
    "MIN_LAYERS",
    "TERMS_PER_LAYER",
    "DesignMatrix",
    "FeatureLayout",
    "Posynomials",
    "fit",
    "log_sums",
    "parameter_count",
    "slopes",
    "split_parameters",
]
