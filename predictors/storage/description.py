"""A model as the data of a bundle, and built again from them.

A bundle's manifest holds the description, its members hold arrays (safetensors) and boosters (XGBoost JSON). The parts of an
older model that is the mean function have ``base/`` before their names, and those of its own mean function have it twice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from predictors import gp
from predictors.boosting import boosted, hybrid
from predictors.core import Core, State
from predictors.errors import PredictorError
from predictors.gp import with_posynomials
from predictors.model import Base, Model
from predictors.schema import Schema
from predictors.storage import checks

MAX_LOG_PREDICTION = 700.0  # beyond, its exponential is no number
MAX_PREDICTION = 1e150
MAX_BASES = 4  # older models, each the mean function of the next
SAVE_AGAIN = "save the model again"
_BASE_PREFIX = "base/"
_RESTORE_FUNCTIONS: dict[str, Callable[[Schema, State], Core]] = {
    "gp": gp.restore,
    "hybrid": hybrid.restore,
    "posynomial": with_posynomials.restore,
    "xgboost": boosted.restore,
}


def describe(
    model: Model,
    members: dict[str, bytes],
    prefix: str = "",
) -> dict[str, Any]:
    """Describe a model for the manifest, and put its arrays and boosters into members of the file.

    Args:
        model: A fitted model.
        members: Member name to bytes; those of this model are added.
        prefix: What the names of its members begin with.

    Returns:
        The description, in types that JSON has.

    Raises:
        PredictorError: When the model is of a kind that cannot be stored.
    """
    state = model.core.state()
    _add_members(state, members, prefix)
    described: dict[str, Any] = {
        "kind": model.kind,
        "schema": model.schema.to_dict(),
        "schema_sha256": model.schema.fingerprint(),
        "numbers": dict(state.numbers),
        "boosters": list(state.boosters),
        "location": model.location,
        "scale": model.scale,
        "widen": model.std_scale,
        "why": model.selection_reason,
        "facts": dict(model.metadata),
    }
    if model.base is not None:
        described["base"] = _describe_base(model.base, members, prefix + _BASE_PREFIX)
    return described


def _add_members(state: State, members: dict[str, bytes], prefix: str) -> None:
    """Put the arrays and boosters of a core into members of the file."""
    from safetensors.numpy import save as pack_arrays

    if state.arrays:
        arrays = {name: np.ascontiguousarray(array) for name, array in state.arrays.items()}
        members[f"{prefix}arrays.safetensors"] = pack_arrays(arrays)
    for name, booster in state.boosters.items():
        members[f"{prefix}{name}.json"] = booster


def _describe_base(
    base: Base,
    members: dict[str, bytes],
    prefix: str,
) -> dict[str, Any]:
    """Describe a mean function and the older model in it."""
    described = {
        "slope": base.slope,
        "intercept": base.intercept,
        "model": describe(base.model, members, prefix),
    }
    if math.isfinite(base.fitted_variance):  # infinity is no JSON
        described["known"] = base.fitted_variance
    return described


def build(
    described: Mapping[str, Any],
    members: Mapping[str, bytes],
    prefix: str = "",
) -> Model:
    """Build a model from its description and its members; inverse of ``describe``.

    Args:
        described: The description.
        members: Member name to bytes.
        prefix: What the names of its members begin with.

    Returns:
        The model, tried out.

    Raises:
        PredictorError: When ``describe`` cannot have written them. Other exceptions are possible
            where types are wrong.
    """
    if prefix.count(_BASE_PREFIX) > MAX_BASES:
        wrong = f"more than {MAX_BASES} older models"
        raise PredictorError("base", wrong, "fit a model without so many")
    schema = _built_schema(described)
    state = _built_state(described, members, prefix)
    base = None
    if described.get("base") is not None:
        base = _built_base(described["base"], members, prefix + _BASE_PREFIX)
    model = Model(
        kind=described["kind"],
        schema=schema,
        core=_RESTORE_FUNCTIONS[described["kind"]](schema, state),
        location=_finite(described["location"]),
        scale=_positive(described["scale"]),
        std_scale=_positive(described["widen"]),
        base=base,
        selection_reason=str(described["why"]),
        metadata=checks.metadata(described["facts"]),
    )
    _try_out(model)
    return model


def _built_schema(described: Mapping[str, Any]) -> Schema:
    """Build the schema; refuse one that is too large, or that does not match its fingerprint."""
    schema = Schema.from_dict(described["schema"])
    checks.schema_size(schema)
    if schema.fingerprint() != described["schema_sha256"]:
        raise PredictorError("schema", "does not match its fingerprint", SAVE_AGAIN)
    return schema


def _built_state(
    described: Mapping[str, Any],
    members: Mapping[str, bytes],
    prefix: str,
) -> State:
    """Gather the numbers, arrays and boosters of a core from the description and the members."""
    from safetensors.numpy import load as unpack_arrays

    arrays = {}
    packed = members.get(f"{prefix}arrays.safetensors")
    if packed is not None:
        arrays = unpack_arrays(packed)
    boosters = {str(name): members[f"{prefix}{name}.json"] for name in described["boosters"]}
    numbers = {str(name): _finite(value) for name, value in described["numbers"].items()}
    return State(numbers, arrays, boosters)


def _built_base(
    described: Mapping[str, Any],
    members: Mapping[str, bytes],
    prefix: str,
) -> Base:
    """Build a mean function, with the older model in it."""
    return Base(
        model=build(described["model"], members, prefix),
        slope=_finite(described["slope"]),
        intercept=_finite(described["intercept"]),
        fitted_variance=_fitted_variance(described),
    )


def _try_out(model: Model) -> None:
    """Predict two rows, so that a model whose parts do not fit together is refused now and not in a search."""
    columns = len(model.schema.owners)
    corners = np.stack([np.zeros(columns), np.ones(columns)])
    mean, variance = model.latent_posterior(corners)
    most = MAX_PREDICTION
    if model.schema.log:
        most = MAX_LOG_PREDICTION
    is_finite = np.isfinite(mean).all() and np.isfinite(variance).all()
    in_range = (variance >= 0).all() and (np.abs(mean) <= most).all()
    if not is_finite or not in_range:
        raise PredictorError("model", "predicts no usable numbers", SAVE_AGAIN)


def _fitted_variance(described: Mapping[str, Any]) -> float:
    """``Base.fitted_variance``; where the file has none it is infinite, which JSON cannot hold."""
    value = described.get("known")
    if value is None:
        return math.inf
    number = _finite(value)
    if number < 0:
        raise PredictorError("model", "holds a negative variance", SAVE_AGAIN)
    return number


def _positive(value: Any) -> float:
    number = _finite(value)
    if number <= 0:
        raise PredictorError("model", "holds a scale that is not positive", SAVE_AGAIN)
    return number


def _finite(value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):
        raise PredictorError("model", "holds a number that is not finite", SAVE_AGAIN)
    return float(value)
