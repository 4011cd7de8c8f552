"""``cimbo predictors``: bundles of fitted surrogates, looked at and compared."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from numpy.typing import NDArray

from cimbo.cli.options import existing
from cimbo.cli.output import emit, format_option, say
from cimbo.config.study_config import from_definition
from cimbo.errors import BadInput
from cimbo.optimizer.surrogates import View
from cimbo.problem.space import Params
from cimbo.session.warm_start import views
from cimbo.storage import Record

if TYPE_CHECKING:
    from predictors import Model

FILE = click.Path(path_type=Path)
SCORES = ("n", "rmse", "mape", "r2", "kendall_tau", "coverage_90", "sharpness")
study_to_ask = click.option(
    "--study", "study", default=None, help="A study whose evaluations the bundle is shown."
)
drawing = click.option(
    "-o", "--output", "picture", type=FILE, default=None, help="Draw which knobs matter, as SVG."
)


@click.group()
def predictors() -> None:
    """List, inspect and compare bundles of fitted surrogates."""


@predictors.command("list")
@click.argument("folder", type=FILE)
@format_option
def listed(folder: Path, style: str) -> None:
    """The bundles of FOLDER, one a line; of a damaged file, what is wrong with it."""
    from predictors import bundles

    if not folder.is_dir():
        raise BadInput(folder, "is no folder", "name one that holds *.cimpred files")
    found = bundles(folder)
    rows = [
        {"file": name} | (about if "error" in about else _line(about))
        for name, about in found.items()
    ]
    emit(
        style,
        [{"refused" if k == "error" else k: v for k, v in row.items()} for row in rows],
        found,
    )


def _line(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What a bundle is, in a line; ``error`` is the held-out RMSE, of the logarithm where the target is modelled so."""
    model, schema = manifest["model"], manifest["model"]["schema"]
    return {
        "target": schema["target"],
        "unit": schema["unit"],
        "kind": model["kind"],
        "features": len(schema["features"]),
        "rows": model["facts"].get("rows"),
        "held_out_error": model["facts"].get("error"),
        "scale": "log" if schema["log"] else "linear",
        "older_model": "yes" if "base" in model else "no",
        "licence": manifest["licence"],
    }


@predictors.command()
@click.argument("file", type=FILE)
@study_to_ask
@drawing
@format_option
def inspect(file: Path, study: str | None, picture: Path | None, style: str) -> None:
    """What FILE holds and which knobs matter to it; with --study also their SHAP values over its evaluations."""
    from predictors import draw, importances, load
    from predictors import inspect as manifest_of

    manifest, model = manifest_of(file), load(file)
    shares = importances(model, _Measured.of(study).rows(file, model)[0] if study else None)
    if picture:
        draw(shares, picture)
        say(f"drawn: {picture}")
    facts = {
        "file": str(file),
        **_line(manifest),
        "format": manifest["format"],
        "why": model.selection_reason,
    }
    facts |= {
        "schema_sha256": model.schema.fingerprint(),
        "data_sha256": model.metadata.get("data"),
    }
    facts |= {f"{package} at saving": number for package, number in manifest["versions"].items()}
    knobs = {f"knob {name}": _shares(shares, name) for name in _ranked(shares)}
    emit(
        style,
        [{"what": k, "value": v} for k, v in (facts | knobs).items()],
        manifest | {"importances": shares},
    )


def _ranked(shares: Mapping[str, Mapping[str, float]]) -> list[str]:
    first = next(iter(shares.values()))
    return sorted(first, key=lambda name: -max(column[name] for column in shares.values()))


def _shares(shares: Mapping[str, Mapping[str, float]], name: str) -> str:
    return "  ".join(f"{measure} {column[name]:.1%}" for measure, column in shares.items())


@predictors.command()
@click.argument("files", type=FILE, nargs=-1, required=True)
@study_to_ask
@drawing
@format_option
def compare(files: tuple[Path, ...], study: str | None, picture: Path | None, style: str) -> None:
    """FILES side by side; with --study their errors on those of its evaluations that each was not fitted to."""
    from predictors import draw, importances, inspect, load

    models = {str(file): load(file) for file in files}
    measured = _Measured.of(study) if study else None
    first = next(iter(models.values())).schema
    rows = []
    for name, model in models.items():
        scores = measured.scores(name, model) if measured else {}
        about = _line(inspect(name)) | scores | {"differs": first.difference(model.schema)}
        rows.append({"file": name} | about)
    if picture:
        draw(
            {
                Path(name).stem: next(iter(importances(model).values()))
                for name, model in models.items()
            },
            picture,
        )
        say(f"drawn: {picture}")
    emit(style, rows, {"bundles": rows})


@dataclass(frozen=True)
class _Measured:
    """What a study measured, with the derived features that a preset supplies."""

    file: str
    genes: tuple[str, ...]
    records: list[Record]
    views: Mapping[str, View]

    @classmethod
    def of(cls, file: str) -> _Measured:
        with existing(file) as study:
            definition = study.metadata
            known = (
                views(from_definition(file, definition).evaluator())
                if "config" in definition
                else {}
            )
            done = [r for r in study.evaluations() if r.status == "done"]
            return cls(file, study.problem.space.names, done, known)

    def rows(self, where: Path | str, model: Model) -> tuple[list[Params], NDArray[np.float64]]:
        """Designs with derived features, and what was measured of the model's target (n,).

        Raises BadInput, naming what is missing, when the model is of another space or its target was not measured.
        """
        target = model.schema.target
        measured = [r for r in self.records if target in r.metrics]
        if not measured:
            raise BadInput(
                where,
                f"predicts {target!r}, which {self.file} has not measured",
                "name another study",
            )
        designs = [r.params for r in measured]
        features = self.views.get(target, View()).features
        derived = features(designs) if features else {}
        missing = [name for name in model.schema.names if name not in {*self.genes, *derived}]
        if missing:
            names = ", ".join(missing[:4]) + (
                "" if len(missing) < 5 else f" and {len(missing) - 4} more"
            )
            raise BadInput(
                where, f"belongs to another space: {self.file} has no {names}", "name another study"
            )
        rows = [
            d | {name: column[i] for name, column in derived.items()} for i, d in enumerate(designs)
        ]
        return rows, np.array([r.metrics[target] for r in measured])

    def scores(self, where: str, model: Model) -> dict[str, float]:
        """Scores on the evaluations after those that the model was fitted to, none where it was fitted to all."""
        from predictors import score

        rows, y = self.rows(where, model)
        seen = int(model.metadata.get("rows", 0))
        first = seen if seen <= len(y) and model.fitted_on(rows[:seen], y[:seen]) else 0
        if first == len(y):
            say(
                f"{where} was fitted to all {first} evaluations of {self.file}: nothing is left to test it"
            )
            return dict.fromkeys(SCORES, math.nan) | {"n": 0}
        found = vars(score(y[first:], model.predict(rows[first:])))
        return {name: found[name] for name in SCORES}
