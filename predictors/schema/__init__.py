"""What a predictor's columns are: names, kinds, levels, the target's unit; and the encoding that follows from them.

People's values stay outside. ``Schema.encode`` is the only border: it maps rows to a numeric matrix that depends on the
schema alone (never on training data), so models of one schema share their input and can be put into one optimiser.
"""

from predictors.schema.features import FEATURE_KINDS, Array, Feature
from predictors.schema.inference import infer
from predictors.schema.inputs import is_dicts, is_frame
from predictors.schema.schema import Schema, fingerprint

__all__ = [
    "FEATURE_KINDS",
    "Array",
    "Feature",
    "Schema",
    "fingerprint",
    "infer",
    "is_dicts",
    "is_frame",
]
