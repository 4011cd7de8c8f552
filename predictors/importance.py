"""Which knobs matter, for which objective."""

from __future__ import annotations

import os
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predictors.boosted import Boosted
from predictors.errors import PredictorError
from predictors.gp import GaussianProcess
from predictors.hybrid import Hybrid
from predictors.model import Model
from predictors.schema import Array

_CELL_PX = 20
_LEFT_PX = 150
_TOP_PX = 90


def importances(model: Model, X: Any = None) -> dict[str, dict[str, float]]:
    """Share of each feature, summing to 1, by measure, for as many measures as the kind has.

    "ard" (process): variance of the linear part's contribution plus that of the Matern parts to first order, s * var(x)
    / lengthscale^2. "gain" (trees): total loss reduction of a feature's splits. "shap" (trees, with rows ``X``): mean
    absolute SHAP value (Lundberg & Lee, 2017, as XGBoost computes it).
    """
    found: dict[str, Array] = {}
    core = model.core
    if isinstance(core, (GaussianProcess, Hybrid)):
        found["ard"] = _relevance(core.process if isinstance(core, Hybrid) else core)
    if isinstance(core, (Boosted, Hybrid)):
        trees = core.members if isinstance(core, Boosted) else (core.booster,)
        owners = model.schema.owners
        found["gain"] = _by(owners, np.sum([_gain(t, len(owners)) for t in trees], axis=0))
        if X is not None:
            encoded = model.schema.encode(X)
            found["shap"] = _by(owners, np.sum([_shap(t, encoded) for t in trees], axis=0))
    return {
        measure: dict(zip(model.schema.names, _shares(v), strict=True))
        for measure, v in found.items()
    }


def picture(models: Mapping[str, Model], path: str | os.PathLike[str]) -> None:
    """An SVG heat map, features down and objectives across; darker matters more. A process's ARD, else trees' gain."""
    draw({name: next(iter(importances(model).values())) for name, model in models.items()}, path)


def draw(columns: Mapping[str, Mapping[str, float]], path: str | os.PathLike[str]) -> None:
    """An SVG heat map of shares by feature, one column a name: objectives, or the measures of one model.

    Raises PredictorError when ``path`` cannot be written.
    """
    features = list(dict.fromkeys(f for column in columns.values() for f in column))
    features.sort(key=lambda f: -max(column.get(f, 0.0) for column in columns.values()))
    size = (_LEFT_PX + 4 * _CELL_PX * len(columns) + 10, _TOP_PX + _CELL_PX * len(features) + 10)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{size[0]}" height="{size[1]}" font-size="12" '
    lines = [head + 'font-family="sans-serif"><rect width="100%" height="100%" fill="white"/>']
    for j, feature in enumerate(features):
        lines.append(_text(_LEFT_PX - 6, _TOP_PX + _CELL_PX * j + 14, feature, "end"))
    for i, (name, column) in enumerate(columns.items()):
        x, most = _LEFT_PX + 4 * _CELL_PX * i, max(column.values()) or 1.0
        lines.append(_text(x + 2 * _CELL_PX, _TOP_PX - 8, name, "middle"))
        lines += [
            _cell(x, _TOP_PX + _CELL_PX * j, column.get(f, 0.0), most)
            for j, f in enumerate(features)
        ]
    try:
        Path(path).write_text("\n".join([*lines, "</svg>\n"]), encoding="utf-8")
    except OSError as error:
        raise PredictorError(
            str(path), f"cannot be written ({error.strerror})", "choose another place"
        ) from None


def _cell(x: int, y: int, share: float, most: float) -> str:
    """A rectangle with its share in per cent; its tone goes with the root, so that small shares stay visible."""
    tone = round(255 - 175 * (share / most) ** 0.5)
    box = f'<rect x="{x}" y="{y}" width="{4 * _CELL_PX}" height="{_CELL_PX}" fill="rgb({tone},{tone},255)" stroke="white"/>'
    return box + _text(x + 2 * _CELL_PX, y + 14, f"{share:.1%}", "middle")


def _text(x: int, y: int, text: str, anchor: str) -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'


def _relevance(process: GaussianProcess) -> Array:
    """(d,) prior variance that each feature accounts for, over the training rows."""
    hyper, train = process.hyper, process.train
    straight = (
        process.slopes**2 * train.linear.var(axis=0)
    ) @ process.kernel_features.linear_shares
    lengths = np.exp(hyper.lengthscale)
    curved = np.zeros(len(lengths))
    for scale, part in zip(np.exp(hyper.scale), train.local, strict=True):
        np.add.at(curved, part.owners, scale * part.points.var(axis=0) / lengths[part.owners] ** 2)
    return np.asarray(straight + curved @ process.kernel_features.local_shares)


def _by(owners: NDArray[np.intp], values: Array) -> Array:
    """Sum of ``values`` (k,) over the columns of each feature, (d,)."""
    return np.asarray(np.bincount(owners, values), dtype=np.float64)


def _gain(booster: Any, width: int) -> Array:
    scores = booster.get_score(importance_type="total_gain")
    return np.array([float(scores.get(f"f{j}", 0.0)) for j in range(width)])


def _shap(booster: Any, encoded: Array) -> Array:
    import xgboost

    contributions = booster.predict(xgboost.DMatrix(encoded, nthread=1), pred_contribs=True)
    return np.asarray(np.abs(contributions[:, :-1]).mean(axis=0), dtype=np.float64)


def _shares(values: Array) -> list[float]:
    total = float(values.sum())
    return [float(v) / total if total > 0 else 0.0 for v in values]
