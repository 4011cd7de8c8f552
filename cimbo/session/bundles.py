"""Bundles of fitted predictors: listed, inspected, and compared on what a study measured."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cimbo.errors import BadInput, cut_list
from cimbo.optimizer.surrogates import View
from cimbo.plots.importances import heat_map
from cimbo.problem.space import Params
from cimbo.session.context import StudyContext
from cimbo.session.text import write_text
from cimbo.session.warm_start import views
from cimbo.storage import Record

if TYPE_CHECKING:
    from predictors import Model

SCORE_NAMES = ("n", "rmse", "mape", "r2", "kendall_tau", "coverage_90", "sharpness")
MOST_GENES_NAMED = 4  # most genes that are named of those that a study lacks

logger = logging.getLogger("cimbo")


@dataclass(frozen=True)
class BundleSummary:
    """What a bundle is, in a line.

    Attributes:
        target: The metric it predicts, in ``unit``.
        kind: Kind of predictor.
        features: How many features it takes.
        rows: Evaluations it was fitted on.
        held_out_error: RMSE that the fit itself found on rows that it left out, of the logarithm where ``scale`` is "log".
            ``fit-predictors`` prints another figure: it cross-validates whole fits.
        older_model: "yes" where it corrects an older predictor.
        licence: Terms under which it may be used.
    """

    target: str
    unit: str
    kind: str
    features: int
    rows: int | None
    held_out_error: float | None
    scale: str
    older_model: str
    licence: str

    @staticmethod
    def of(manifest: Mapping[str, Any]) -> BundleSummary:
        """Summarize a bundle.

        Args:
            manifest: What the bundle says of itself, as ``predictors.inspect`` reads it.

        Returns:
            The summary.
        """
        model = manifest["model"]
        schema = model["schema"]
        return BundleSummary(
            schema["target"],
            schema["unit"],
            model["kind"],
            features=len(schema["features"]),
            rows=model["facts"].get("rows"),
            held_out_error=model["facts"].get("error"),
            scale="log" if schema["log"] else "linear",
            older_model="yes" if "base" in model else "no",
            licence=manifest["licence"],
        )

    def to_json(self) -> dict[str, Any]:
        """The line, by column."""
        return asdict(self)


@dataclass(frozen=True)
class BundleFile:
    """One file of a folder: its manifest, or why it is refused."""

    name: str
    manifest: Mapping[str, Any]

    @property
    def refused(self) -> str | None:
        """What is wrong with a damaged file; None for a sound one."""
        return self.manifest.get("error")

    def row(self) -> dict[str, Any]:
        """A line of ``cimbo predictors list``."""
        if self.refused is not None:
            return {"file": self.name, "refused": self.refused}
        return {"file": self.name, **BundleSummary.of(self.manifest).to_json()}


@dataclass(frozen=True)
class BundleList:
    """The bundles of a folder."""

    files: tuple[BundleFile, ...]

    def to_json(self) -> dict[str, Any]:
        """Manifests by file."""
        return {file.name: dict(file.manifest) for file in self.files}


@dataclass(frozen=True)
class BundleInspection:
    """What a bundle holds, and which features matter to it.

    Attributes:
        file: The bundle.
        manifest: What it says of itself.
        facts: The same as facts in a line each.
        importances: Share of each feature by measure: ard, gain, and shap where a study was given.
    """

    file: Path
    manifest: Mapping[str, Any]
    facts: Mapping[str, Any]
    importances: Mapping[str, Mapping[str, float]]

    def ranked(self) -> list[str]:
        """Features, the most important by any measure first."""
        first = next(iter(self.importances.values()))
        return sorted(first, key=lambda name: -max(self.shares(name).values()))

    def shares(self, feature: str) -> dict[str, float]:
        """Return the share of one feature by every measure.

        Args:
            feature: Name of the feature.

        Returns:
            Its share of the importance, 0 to 1, by measure.
        """
        return {measure: column[feature] for measure, column in self.importances.items()}

    def to_json(self) -> dict[str, Any]:
        """The document of ``cimbo predictors inspect --format json``."""
        return {**self.manifest, "importances": self.importances}


@dataclass(frozen=True)
class ComparedBundle:
    """A bundle beside others; ``differs`` says how from the first, ``scores`` are those on a study, if one was given."""

    file: str
    summary: BundleSummary
    scores: Mapping[str, float]
    differs: str

    def to_json(self) -> dict[str, Any]:
        """A line of ``cimbo predictors compare``."""
        return {
            "file": self.file,
            **self.summary.to_json(),
            **self.scores,
            "differs": self.differs,
        }


@dataclass(frozen=True)
class BundleComparison:
    """Bundles side by side."""

    bundles: tuple[ComparedBundle, ...]

    def to_json(self) -> dict[str, Any]:
        """The document of ``cimbo predictors compare --format json``."""
        return {"bundles": [bundle.to_json() for bundle in self.bundles]}


def list_bundles(folder: str | Path) -> BundleList:
    """List the bundles of a folder.

    Args:
        folder: The folder that holds ``*.cimpred`` files.

    Returns:
        The bundles by file; of a damaged file, what is wrong with it.

    Raises:
        BadInput: ``folder`` is no folder.
    """
    from predictors import bundles

    if not Path(folder).is_dir():
        raise BadInput(folder, "is no folder", "name one that holds *.cimpred files")
    found = bundles(Path(folder))
    return BundleList(tuple(BundleFile(name, manifest) for name, manifest in found.items()))


@np.errstate(over="ignore", invalid="ignore", divide="ignore")  # a file may hold any numbers
def inspect_bundle(
    file: str | Path, context: StudyContext | None = None, *, picture: str | Path | None = None
) -> BundleInspection:
    """Tell what a bundle holds and which features matter to it.

    Args:
        file: The bundle.
        context: A study; SHAP values over its evaluations are told too.
        picture: Draw the importances into this SVG file.

    Returns:
        What the bundle says of itself, and the share of each feature.

    Raises:
        BadInput: When the study is of another space.
        PredictorError: For a file that is no bundle.
    """
    from predictors import importances, inspect, load

    file = Path(file)
    manifest = inspect(file)
    model = load(file)
    designs = None
    if context is not None:
        designs, _ = _Measured.of(context).rows(file, model)
    shares = importances(model, designs)
    if picture is not None:
        _draw(shares, picture)
    return BundleInspection(file, manifest, _facts(file, manifest, model), shares)


def compare_bundles(
    files: Sequence[str | Path],
    context: StudyContext | None = None,
    *,
    picture: str | Path | None = None,
) -> BundleComparison:
    """Lay bundles side by side.

    Args:
        files: The bundles.
        context: A study; the errors on those of its evaluations that each bundle was not fitted to are told too.
        picture: Draw their importances into this SVG file.

    Returns:
        What each bundle says of itself, and its errors where there is a study.

    Raises:
        BadInput: When the study is of another space.
        PredictorError: For a file that is no bundle.
    """
    from predictors import importances, inspect, load

    models = {str(file): load(Path(file)) for file in files}
    measured = None
    if context is not None:
        measured = _Measured.of(context)
    first = next(iter(models.values())).schema
    rows = []
    for name, model in models.items():
        scores = {}
        if measured is not None:
            scores = measured.scores(name, model)
        summary = BundleSummary.of(inspect(Path(name)))
        rows.append(ComparedBundle(name, summary, scores, first.difference(model.schema)))
    if picture is not None:
        shares = {}
        for name, model in models.items():
            shares[Path(name).stem] = next(iter(importances(model).values()))
        _draw(shares, picture)
    return BundleComparison(tuple(rows))


def _draw(shares: Mapping[str, Mapping[str, float]], picture: str | Path) -> None:
    """Draw which features matter into an SVG file."""
    write_text(Path(picture), heat_map(shares))
    logger.info(f"drawn: {picture}")


def _facts(file: Path, manifest: Mapping[str, Any], model: Model) -> dict[str, Any]:
    facts = {
        "file": str(file),
        **BundleSummary.of(manifest).to_json(),
        "format": manifest["format"],
        "why": model.selection_reason,
        "schema_sha256": model.schema.fingerprint(),
        "data_sha256": model.metadata.get("data"),
    }
    for package, number in manifest["versions"].items():
        facts[f"{package} at saving"] = number
    return facts


@dataclass(frozen=True)
class _Measured:
    """What a study measured, with the derived features that its description supplies."""

    file: str
    genes: tuple[str, ...]
    records: list[Record]
    views: Mapping[str, View]

    @classmethod
    def of(cls, context: StudyContext) -> _Measured:
        """Take from a study what it measured.

        Args:
            context: The study.

        Returns:
            Its successful evaluations; without derived features where it has no description.
        """
        known = {}
        if context.has_description:
            known = views(context.evaluator)
        done = [r for r in context.study.evaluations() if r.status == "done"]
        return cls(context.path, context.study.problem.space.names, done, known)

    def rows(self, where: Path | str, model: Model) -> tuple[list[Params], NDArray[np.float64]]:
        """Collect the designs in which a model's target was measured.

        Args:
            where: The bundle, named in errors.
            model: The model.

        Returns:
            The n designs, each with its genes and derived features by name, and what was measured
            of the model's target (n,), in the target's unit.

        Raises:
            BadInput: The target was not measured, or the model takes features that the study lacks.
        """
        target = model.schema.target
        measured = [record for record in self.records if target in record.metrics]
        if not measured:
            what = f"predicts {target!r}, which {self.file} has not measured"
            raise BadInput(where, what, "name another study")
        designs = [record.params for record in measured]
        derived = self._derived(target, designs)
        self._check_features(where, model, derived)
        rows = []
        for i, design in enumerate(designs):
            row: dict[str, Any] = dict.fromkeys(self.genes)  # None where a gene is inactive
            row |= design
            for name, column in derived.items():
                row[name] = column[i]
            rows.append(row)
        return rows, np.array([record.metrics[target] for record in measured])

    def _derived(self, target: str, designs: list[Params]) -> Mapping[str, Any]:
        """Columns (n,) of the features that help to learn a metric, by name; none where there are none."""
        features = self.views.get(target, View()).features
        if features is None:
            return {}
        return features(designs)

    def _check_features(self, where: Path | str, model: Model, derived: Mapping[str, Any]) -> None:
        """Raises BadInput where the study lacks what the model takes."""
        missing = []
        for name in model.schema.names:
            if name not in {*self.genes, *derived}:
                missing.append(name)
        if not missing:
            return
        names = cut_list(missing, MOST_GENES_NAMED)
        what = f"belongs to another space: {self.file} has no {names}"
        raise BadInput(where, what, "name another study")

    def scores(self, where: str, model: Model) -> dict[str, float]:
        """Score a model on the evaluations after those that it was fitted to.

        Args:
            where: The bundle, named in errors and messages.
            model: The model.

        Returns:
            The scores of SCORE_NAMES. All of the evaluations count where the model was fitted to
            others; where it was fitted to all of them, ``n`` is 0 and the rest NaN.

        Raises:
            BadInput: The target was not measured, or the model takes features that the study lacks.
        """
        from predictors import score

        rows, y = self.rows(where, model)
        n_fitted = int(model.metadata.get("rows", 0))
        if n_fitted > len(y) or not model.fitted_on(rows[:n_fitted], y[:n_fitted]):
            n_fitted = 0
        if n_fitted == len(y):
            told = f"was fitted to all {n_fitted} evaluations of {self.file}"
            logger.info(f"{where} {told}: nothing is left to test it")
            return {**dict.fromkeys(SCORE_NAMES, math.nan), "n": 0}
        found = vars(score(y[n_fitted:], model.predict(rows[n_fitted:])))
        return {name: found[name] for name in SCORE_NAMES}
