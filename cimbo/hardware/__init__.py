"""CiM chips: their search space, and what networks cost on them."""

from cimbo.hardware.explain import explain
from cimbo.hardware.features import features
from cimbo.hardware.model import area_mm2, simulate, simulate_batch
from cimbo.hardware.space import BASELINE, BASELINE_VIT_B, DEFAULTS, chip_choices

__all__ = [
    "BASELINE",
    "BASELINE_VIT_B",
    "DEFAULTS",
    "area_mm2",
    "chip_choices",
    "explain",
    "features",
    "simulate",
    "simulate_batch",
]
