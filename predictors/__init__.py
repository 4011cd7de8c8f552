"""Surrogates worth reusing: fit once, keep for years, use from any optimiser.

>>> model = predictors.fit(rows, latency_ms, kind="auto", log=True)
>>> p = model.predict(new_rows)                 # p.mean, p.std in milliseconds
>>> predictors.save(model, "latency.cimpred")   # one checked file, no pickle

Importing this package loads neither torch, xgboost, scikit-learn nor pandas.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from predictors.assessment.importance import contributions as contributions
    from predictors.assessment.importance import importances as importances
    from predictors.assessment.learning_curves import grow_forward as grow_forward
    from predictors.assessment.learning_curves import learning_curve as learning_curve
    from predictors.assessment.learning_curves import more_samples as more_samples
    from predictors.assessment.scores import Report as Report
    from predictors.assessment.scores import Scores as Scores
    from predictors.assessment.scores import choose as choose
    from predictors.assessment.scores import score as score
    from predictors.assessment.validation import compare as compare
    from predictors.assessment.validation import validate as validate
    from predictors.domain import OutsideWarning as OutsideWarning
    from predictors.errors import PredictorError as PredictorError
    from predictors.extending import extend as extend
    from predictors.fitting import fit as fit
    from predictors.interfaces.adapter import botorch_model as botorch_model
    from predictors.interfaces.botorch_models import botorch as botorch
    from predictors.interfaces.sklearn_api import SklearnPredictor as SklearnPredictor
    from predictors.kinds import SurrogateKind as SurrogateKind
    from predictors.kinds import find as find
    from predictors.kinds import plugin as plugin
    from predictors.model import Model as Model
    from predictors.model import Prediction as Prediction
    from predictors.schema import Feature as Feature
    from predictors.schema import Schema as Schema
    from predictors.schema import infer as infer
    from predictors.storage.bundle import bundles as bundles
    from predictors.storage.bundle import inspect as inspect
    from predictors.storage.bundle import load as load
    from predictors.storage.bundle import save as save

_MODULE_NAMES = {
    "interfaces.adapter": ("botorch_model",),
    "interfaces.botorch_models": ("botorch",),
    "storage.bundle": ("bundles", "inspect", "load", "save"),
    "domain": ("OutsideWarning",),
    "errors": ("PredictorError",),
    "extending": ("extend",),
    "fitting": ("fit",),
    "assessment.importance": ("contributions", "importances"),
    "kinds": ("SurrogateKind", "find", "plugin"),
    "model": ("Model", "Prediction"),
    "schema": ("Feature", "Schema", "infer"),
    "interfaces.sklearn_api": ("SklearnPredictor",),
    "assessment.learning_curves": ("grow_forward", "learning_curve", "more_samples"),
    "assessment.scores": ("Report", "Scores", "choose", "score"),
    "assessment.validation": ("compare", "validate"),
}
# Modules that have moved into packages: their old names are kept for one release.
_MOVED_MODULES = {
    "adapter": "interfaces.adapter",
    "boosted": "boosting.boosted",
    "botorch_models": "interfaces.botorch_models",
    "checks": "storage.checks",
    "external": "interfaces.external",
    "hybrid": "boosting.hybrid",
    "importance": "assessment.importance",
    "sklearn_api": "interfaces.sklearn_api",
    "trees": "boosting.trees",
    "validation": "assessment.validation",
}
_OPTIONAL_PACKAGES = ("botorch", "gpytorch", "linear_operator", "torch")
_MODULE_OF = {name: module for module, names in _MODULE_NAMES.items() for name in names}
__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> Any:
    if name in _MOVED_MODULES:
        return import_module(f"predictors.{_MOVED_MODULES[name]}")
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'predictors' has no attribute {name!r}")
    try:
        module = import_module(f"predictors.{_MODULE_OF[name]}")
    except ModuleNotFoundError as error:
        from predictors.errors import PredictorError

        package = (error.name or "").partition(".")[0]
        if package not in _OPTIONAL_PACKAGES:
            raise
        raise PredictorError(
            f"predictors.{name}",
            f"needs {package}, which is not installed",
            "pip install 'cimbo-predictors[botorch]', or cimbo, which brings it",
        ) from None
    return getattr(module, name)


def __dir__() -> list[str]:
    return [*__all__, "__doc__", "__file__", "__name__", "__path__"]
