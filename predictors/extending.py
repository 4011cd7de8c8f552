"""``extend``: the same model given more rows, in a fraction of the time that fitting takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from predictors import gp
from predictors.boosting import boosted, hybrid
from predictors.core import Core, ExtensibleCore, Task
from predictors.errors import PredictorError
from predictors.model import Model
from predictors.schema import Array, fingerprint

_EXTEND_FUNCTIONS: dict[str, Callable[[Any, Task], Any]] = {
    "gp": gp.extend,
    "hybrid": hybrid.extend,
    "posynomial": gp.extend,
    "xgboost": lambda _, task: (
        boosted.fit(task).core
    ),  # trees cannot take more rows: they are grown anew
}


def extend(
    model: Model,
    X: Any,
    y: Any,
    *,
    seed: int = 0,
) -> Model:
    """Give a model more measurements, in a fraction of the time that fitting takes.

    The kind, hyper-parameters, standardisation and calibration stay as they were found; boosted trees
    are grown anew, but those of a hybrid stay. Fit anew when there are some tens of per cent more
    rows. Only for models fitted without ``noise``.

    Args:
        model: A fitted model.
        X: All n rows, as ``predictors.fit`` takes them: first those that the model was fitted to.
        y: (n,) their measurements, in units of the target; positive where the model's target is
            logarithmic.
        seed: Seed of the trees that are grown anew.

    Returns:
        A model of all rows; the old one stays as it is. Its metadata have the number and the
        fingerprint of all rows, and still the error of the old one.

    Raises:
        PredictorError: For rows that the schema refuses, for lengths that differ, and for fewer
            rows than the model has.

    Examples:
        >>> import predictors
        >>> rows = [{"depth": d, "rows": r} for d in (2, 4, 6, 8) for r in (64, 128, 256)]
        >>> latency_ms = [d * 64 / r for d in (2, 4, 6, 8) for r in (64, 128, 256)]
        >>> model = predictors.fit(rows[:9], latency_ms[:9], kind="gp", log=True)
        >>> longer = predictors.extend(model, rows, latency_ms)
        >>> longer.predict(rows).mean.shape
        (12,)
    """
    encoded = model.schema.encode(X)
    target = np.asarray(y, dtype=np.float64)
    if len(encoded) != len(target) or len(target) < model.metadata.get("rows", 0):
        wrong = f"has {len(target)} values for {len(encoded)} rows"
        raise PredictorError("y", wrong, "pass all rows, the old ones first")
    noise_variance = np.zeros(len(target))
    standardised = _standardised(model, encoded, target)
    task = Task(model.schema, encoded, standardised, noise_variance, seed)
    of_all_rows = {"rows": len(target), "data": fingerprint(encoded, target)}
    metadata = {**model.metadata, **of_all_rows}
    return replace(model, core=_extended(model, task), metadata=metadata)


def _standardised(model: Model, encoded: Array, target: Array) -> Array:
    """(n,) targets in the standardised units of the model's core, less its mean function."""
    modelled = target
    if model.schema.log:
        modelled = np.log(target)
    if model.base is not None:
        modelled = modelled - model.base(model.schema, encoded)
    return (modelled - model.location) / model.scale


def _extended(model: Model, task: Task) -> Core:
    """The model's core, given all rows of ``task``."""
    if isinstance(model.core, ExtensibleCore):
        return model.core.extended(task)
    extended: Core = _EXTEND_FUNCTIONS[model.kind](model.core, task)
    return extended
