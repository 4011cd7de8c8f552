"""Errors of a chip's arrays in the product of a layer: an overview of the two forms, and their old names.

* The bit-accurate form (:mod:`cimbo.supernets.bit_accurate`) computes every partial sum and every reading of a converter.
  It verifies finalists.
* The equivalent-noise form (:mod:`cimbo.supernets.equivalent_noise`) measures on a sample of a layer's inputs what the first
  form does to it, and draws its errors from those. The search measures in this form.
* Where layers are not deployed on dies, noise of the same size (:mod:`cimbo.supernets.output_noise`).

A design's arrays are described in :mod:`cimbo.supernets.array_instance`, a chip that was made is a
:class:`cimbo.supernets.die.Die`. The names that stood here before can be had from here for one release more.
"""

from cimbo.supernets.array_instance import (
    ACCURACY_GENES,
    DEFAULT_ROWS,
    N_DIES,
    ArrayInstance,
    arrays,
    with_ideal_converters,
)
from cimbo.supernets.die import (
    N_CALIBRATION_INPUTS,
    N_ERROR_INPUTS,
    N_IMAGE_ERROR_INPUTS,
    Die,
    Product,
    QuantisedMVM,
    Rounding,
    at_stage,
)
from cimbo.supernets.equivalent_noise import EquivalentNoise, equivalent_noise, unchanged
from cimbo.supernets.output_noise import OutputNoise, relative_error, signal_to_noise_db

__all__ = [
    "ACCURACY_GENES",
    "DEFAULT_ROWS",
    "N_CALIBRATION_INPUTS",
    "N_DIES",
    "N_ERROR_INPUTS",
    "N_IMAGE_ERROR_INPUTS",
    "ArrayInstance",
    "Die",
    "EquivalentNoise",
    "OutputNoise",
    "Product",
    "QuantisedMVM",
    "Rounding",
    "arrays",
    "at_stage",
    "equivalent_noise",
    "relative_error",
    "signal_to_noise_db",
    "unchanged",
    "with_ideal_converters",
]
