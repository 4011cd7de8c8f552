"""Kinds of surrogates by name: the built-in ones, BoTorch's, and those of installed packages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from predictors import gp
from predictors.boosting import boosted, hybrid
from predictors.core import Fitted, Task
from predictors.errors import PredictorError
from predictors.gp import with_posynomials

#: Packages name their surrogates in this entry-point group.
ENTRY_POINT_GROUP = "cimbo.surrogates"
BOTORCH_PREFIX = "botorch:"


@dataclass(frozen=True)
class SurrogateKind:
    """One kind of surrogate that ``predictors.fit`` takes.

    Attributes:
        name: What reports and fitted models call it.
        fit: From a standardised regression task to a fitted core with its held-out predictions.

    Examples:
        >>> import predictors
        >>> predictors.find("gp").name
        'gp'
    """

    name: str
    fit: Callable[[Task], Fitted]


#: In the order in which ``auto`` tries them.
BUILT_IN_KINDS = {
    "gp": SurrogateKind("gp", gp.fit),
    "hybrid": SurrogateKind("hybrid", hybrid.fit),
    "posynomial": SurrogateKind("posynomial", with_posynomials.fit),
    "xgboost": SurrogateKind("xgboost", boosted.fit),
}


def find(kind: str | SurrogateKind) -> SurrogateKind:
    """Look up a kind of surrogate.

    Args:
        kind: A built-in name, ``botorch:NAME``, the name of an entry point of the group
            ``cimbo.surrogates``, or a kind as ``predictors.botorch`` and ``predictors.plugin`` make it.

    Returns:
        The kind.

    Raises:
        PredictorError: When nothing has this name, or a plug-in cannot be imported.

    Examples:
        >>> import predictors
        >>> predictors.find("botorch:SingleTaskGP").name
        'botorch:SingleTaskGP'
    """
    if isinstance(kind, SurrogateKind):
        return kind
    if kind in BUILT_IN_KINDS:
        return BUILT_IN_KINDS[kind]
    if kind.startswith(BOTORCH_PREFIX):
        return _of_botorch(kind)
    installed = {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}
    if kind in installed:
        return _of_plugin(installed[kind])
    known = ["auto", *BUILT_IN_KINDS, *sorted(installed), f"{BOTORCH_PREFIX}NAME"]
    raise PredictorError("kind", f"{kind!r} is unknown", f"use {', '.join(known)}")


def plugin(fit: Callable[[Any, Any], Any], name: str = "") -> SurrogateKind:
    """Make a kind of surrogate out of a function of your own that fits a model.

    Args:
        fit: From encoded rows (n, k) and standardised targets (n,) to an object whose ``predict(X)``
            has ``mean`` and ``std``, both (n,).
        name: What reports call it; the function's own name when empty.

    Returns:
        A kind for ``predictors.fit(..., kind=...)``.

    Examples:
        >>> import predictors
        >>> rows = [{"depth": d, "rows": r} for d in (2, 4, 6, 8) for r in (64, 128, 256)]
        >>> latency_ms = [d * 64 / r for d in (2, 4, 6, 8) for r in (64, 128, 256)]
        >>> import numpy as np
        >>> class Mean:
        ...     def __init__(self, y):
        ...         self.y = y
        ...     def predict(self, X):
        ...         return predictors.Prediction(np.full(len(X), self.y.mean()), np.ones(len(X)))
        >>> def fit(X, y):
        ...     return Mean(y)
        >>> model = predictors.fit(rows, latency_ms, kind=predictors.plugin(fit), log=False)
        >>> round(float(model.predict(rows[:1]).mean[0]), 2)
        2.92
    """
    from predictors.interfaces import external

    kind_name = name or getattr(fit, "__name__", type(fit).__name__)
    return SurrogateKind(kind_name, partial(external.fit, kind_name, fit))


def _of_botorch(kind: str) -> SurrogateKind:
    """Look up the kind ``botorch:NAME``; BoTorch, which may be absent, is imported only here."""
    try:
        from predictors.interfaces import botorch_models
    except ImportError as error:
        raise PredictorError(
            "kind", f"{kind!r} needs {error.name}", "pip install botorch, or use gp"
        ) from None
    return botorch_models.named(kind.removeprefix(BOTORCH_PREFIX))


def _of_plugin(point: EntryPoint) -> SurrogateKind:
    """Load a kind from an entry point, which names a kind or a function as ``plugin`` takes it."""
    try:
        loaded = point.load()
    except (ImportError, AttributeError) as error:
        raise PredictorError(
            f"kind {point.name!r}", f"cannot be imported ({error})", "mend its package"
        ) from None
    if isinstance(loaded, SurrogateKind):
        return loaded
    return plugin(loaded, point.name)
