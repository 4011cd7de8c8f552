"""CiM chips: their search space, and what networks cost on them."""

import warnings
from typing import Any

from cimbo.hardware.breakdown import explain
from cimbo.hardware.chip import BASELINE_CHIP, BASELINE_VIT_B, DEFAULT_GENES, is_chip
from cimbo.hardware.chip_ranges import chip_choices, range_reason
from cimbo.hardware.cost_model import area_mm2, simulate_batch
from cimbo.hardware.error_bars import error_bars, merit_bars
from cimbo.hardware.features import features
from cimbo.hardware.figures_of_merit import figures_of_merit
from cimbo.hardware.one_run import simulate

# Version of cimbo's own cost model. Add one with every change that alters one of its numbers:
# studies refuse to mix costs of two versions, see cimbo/evaluation/fingerprint.py.
RESULTS_VERSION = 6

__all__ = [
    "BASELINE_CHIP",
    "BASELINE_VIT_B",
    "DEFAULT_GENES",
    "RESULTS_VERSION",
    "area_mm2",
    "chip_choices",
    "error_bars",
    "explain",
    "features",
    "figures_of_merit",
    "is_chip",
    "merit_bars",
    "range_reason",
    "simulate",
    "simulate_batch",
]

_OLD_NAMES = {"BASELINE": "BASELINE_CHIP", "DEFAULTS": "DEFAULT_GENES"}  # for one release


def __getattr__(name: str) -> Any:
    if name not in _OLD_NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    new = _OLD_NAMES[name]
    warnings.warn(f"cimbo.hardware.{name} is called {new} now", DeprecationWarning, stacklevel=2)
    return globals()[new]
