"""What can be looked up, drawn and written of a study without evaluating anything for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cimbo.analysis import Errors
from cimbo.benchmarking import QUICK_METHODS
from cimbo.session import (
    comparison,
    decision,
    design_details,
    explanation,
    exporting,
    front,
    reporting,
    study_status,
)
from cimbo.session.context import StudyContext
from cimbo.session.method_curves import Comparison


class LookingSession(StudyContext):
    """A study as one looks at it. Each method is one command, with its defaults, and returns a frozen result."""

    def pareto(self) -> front.Front:
        """Return the verified, feasible, non-dominated designs, best first objective first."""
        return front.front(self)

    def show(self, key: str, *, bit_accurate: bool = False) -> design_details.DesignDetails:
        """Return all that the study knows of one design.

        Args:
            key: The design's key, which may be shortened.
            bit_accurate: Also measure its accuracy on bit-accurate arrays, on all validation images; takes minutes.

        Raises:
            BadInput: When no design has this key, or several.
        """
        return design_details.details(self, key, bit_accurate=bit_accurate)

    def status(self) -> study_status.StudyStatus:
        """Return how far the study is, and what it is about."""
        return study_status.status(self)

    def explain(self, key: str, *, accuracy: bool = False) -> explanation.Explanation:
        """Return what bounds a design layer by layer, what the next mm2, GB/s or ADC bit buys, and whom it beat.

        Args:
            key: The design's key, which may be shortened.
            accuracy: Also measure what its accuracy loses to which cause and in which layer; takes a minute or two.

        Raises:
            BadInput: When no design has this key, or several; or no causes are known.
        """
        return explanation.explain(self, key, accuracy=accuracy)

    def robustness(
        self,
        *,
        bandwidth: float = Errors.bandwidth,
        adc_energy: float = Errors.adc_energy,
        accuracy: float = Errors.accuracy,
        silicon: float = Errors.silicon,
        metrics: float = Errors.metrics,
        draws: int = decision.DEFAULT_DRAWS,
        seed: int = 0,
    ) -> decision.Robustness:
        """Return each front design's chance to stay non-dominated when figures are off; nothing is measured.

        Args:
            bandwidth: Relative standard deviation of every bandwidth.
            adc_energy: Of the energy a conversion takes.
            accuracy: Of an accuracy; on 5,000 images a binomial count at 88 % has 0.005.
            silicon: By how many of the standard deviations that published chips show the arrays' area, cycle, energy and
                leakage are off: 1 as published chips are, 0 not at all.
            metrics: Of each other metric, design by design, where cimbo's chip model does not know the chips.
            draws: How often to be wrong.
            seed: Of the draws.

        Raises:
            BadInput: When the study holds no verified design.
        """
        errors = Errors(bandwidth, adc_energy, accuracy, silicon, metrics)
        return decision.robustness(self, errors, draws=draws, seed=seed)

    def compare(
        self,
        budget: int = comparison.DEFAULT_COMPARED_BUDGET,
        *,
        seeds: int = comparison.DEFAULT_SEEDS,
        methods: Sequence[str] = QUICK_METHODS,
        batch: int = comparison.COMPARED_BATCH,
        evaluate: str = "auto",
        jobs: int = 1,
        first_seed: int = 0,
    ) -> Comparison:
        """Run search methods at equal budget over several seeds on the study's problem; nothing is stored.

        Args:
            budget: Evaluations of each method and seed.
            seeds: Runs of each method.
            methods: Names of methods, see `cimbo.benchmarking.METHOD_MODULES`.
            batch: Designs asked for at a time.
            evaluate: "real"; "replay" for predictors of the study's evaluations; "auto" for these where it has 30.
            jobs: Real evaluations at a time.
            first_seed: The first of the seeds; the others follow it.

        Returns:
            The curve of each method.

        Raises:
            BadInput: For an unknown method, or an objective without a reference.
        """
        settings = comparison.ComparisonSettings(
            budget, seeds, tuple(methods), batch, evaluate, jobs, first_seed
        )
        records = self.study.evaluations()
        return comparison.compare(self.config, self.study.problem, records, settings)

    def report(
        self,
        path: str | Path = "report.html",
        *,
        baselines: Sequence[str | Path] = (),
        following: int = reporting.DEFAULT_NEXT,
        lite: bool = False,
    ) -> Path:
        """Write the study as one HTML file that needs no network.

        Args:
            path: The file to write.
            baselines: Other studies of the same problem, such as a random search.
            following: Also show so many designs that the search would verify next, as predicted.
            lite: Leave out the layers of each design.

        Returns:
            The file.

        Raises:
            BadInput: When the file cannot be written, or a baseline is a study of something else.
        """
        return reporting.report(self, path, baselines=baselines, following=following, lite=lite)

    def plot(
        self,
        path: str | Path = "front.pdf",
        *,
        what: str = "front",
        baselines: Sequence[str | Path] = (),
        following: int = 0,
        x: str | None = None,
        y: str | None = None,
    ) -> Path:
        """Write a figure for a paper.

        Args:
            path: The file to write; its ending says the format: pdf, png or svg.
            what: "front", "hypervolume" or "calibration".
            baselines: Other studies of the same problem.
            following: Also show so many designs that the search would verify next.
            x: The metric across, in a front; by default the second objective.
            y: The metric upwards, in a front; by default the first objective.

        Returns:
            The file.

        Raises:
            BadInput: For another format or figure, for a metric that is not measured, and where matplotlib is not installed.
        """
        return reporting.plot(
            self, path, what=what, baselines=baselines, following=following, x=x, y=y
        )

    def export(self, path: str | Path, *, to: str = "csv") -> Path:
        """Write every evaluation.

        Args:
            path: The file to write.
            to: "csv", "json", "parquet", "optuna" or "study" (a backup of one in use).

        Returns:
            The file.

        Raises:
            BadInput: For another format, and where the file cannot be written.
        """
        return exporting.export_study(self, path, to=to)

    def export_design(
        self, key: str, path: str | Path, *, to: str, nearest: bool = False
    ) -> list[Path]:
        """Write a design's network as ONNX or its chip for another simulator.

        Args:
            key: The design's key, which may be shortened.
            path: The file, or the folder of YAML files, to write.
            to: "onnx", "zigzag" or "accelforge".
            nearest: Where a tool cannot express the chip, write the nearest one that it can.

        Returns:
            The files.

        Raises:
            BadInput: For another format, and for a chip that the tool cannot express.
        """
        return exporting.export_design(self, key, path, to=to, nearest=nearest)
