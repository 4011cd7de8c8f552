"""What is installed, what a search would take, and whether a plug-in keeps its promises."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import logging
import os
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import numpy as np

from cimbo.config.metric_checks import needed_metrics
from cimbo.config.provenance import cost_label
from cimbo.config.study_config import DEFAULT_PRESET, Config, preset
from cimbo.errors import BadInput, check_positive
from cimbo.evaluation.whole import StudyEvaluator
from cimbo.problem.objectives import Metrics, Problem
from cimbo.problem.space import Params, SearchSpace
from cimbo.session.front import Front
from cimbo.session.optimize import DEFAULT_BUDGET
from cimbo.session.text import genes_text
from cimbo.session.workers import Workers
from cimbo.study.readiness import N_TRIED_FIRST, check_measured
from cimbo.testing import Finding
from cimbo.testing.finding import guarded, judged, passed

logger = logging.getLogger("cimbo")

#: extra -> (the module it brings, what it is for)
EXTRA_PACKAGES = {
    "parquet": ("pyarrow", "Parquet files and Study.frame"),
    "plot": ("matplotlib", "cimbo plot"),
    "onnx": ("onnx", "ONNX files in and out"),
    "timm": ("timm", "networks timm:NAME"),
    "transformers": ("transformers", "networks hf:NAME"),
    "optuna": ("optuna", "Optuna studies in and out"),
    "peers": ("pymoo", "other search methods in cimbo compare"),
    "peers-ax": ("ax", "Ax in cimbo compare"),
    "peers-smac": ("smac", "SMAC in cimbo compare"),
    "peers-baybe": ("baybe", "BayBE in cimbo compare"),
    "peers-saasbo": ("numpyro", "SAASBO in cimbo compare"),
    "text": ("pip", "getting what cimbo train-supernet reviews-minilm is made from"),
    "imagenet": ("PIL", "ImageNet images for a checkpoint"),
    "zigzag": ("zigzag", "the simulator ZigZag"),
    "accelforge": ("accelforge", "the simulator AccelForge"),
    "plots": ("plotly", "figures in notebooks: cimbo.plots"),
    "mcp": ("mcp", "cimbo mcp, for agents"),
    "dask": ("distributed", "workers on a Dask cluster"),
    "ray": ("ray", "workers on a Ray cluster"),
    "slurm": ("submitit", "workers on a Slurm cluster"),
}
CORE_PACKAGES = (
    "cimbo",
    "torch",
    "botorch",
    "gpytorch",
    "numpy",
    "scipy",
    "scikit-learn",
    "safetensors",
)
OLDEST_PYTHON = (3, 11)
LONG_SEARCH_H = 24.0
SHOWN_IN_SECONDS = 120.0  # shorter searches are told in seconds
MOST_TIMED = 6  # designs that are evaluated to see how long one takes
TIMED_S = 2.0  # no further one is evaluated after so many seconds


@dataclass(frozen=True)
class Health:
    """What a check found, line by line."""

    findings: tuple[Finding, ...]

    @property
    def counts(self) -> Mapping[str, int]:
        """How many lines have each verdict: PASS, SKIP, WARN or FAIL."""
        return Counter(finding.verdict for finding in self.findings)

    @property
    def is_healthy(self) -> bool:
        """Whether no check failed."""
        return not self.counts["FAIL"]

    def to_json(self) -> list[dict[str, Any]]:
        """The lines of ``cimbo doctor``."""
        rows = []
        for finding in self.findings:
            rows.append(_line(finding))
        return rows


def _line(finding: Finding) -> dict[str, Any]:
    return {
        "check": finding.check,
        "verdict": finding.verdict,
        "found": finding.detail,
        "next": finding.todo,
    }


def doctor(
    config: Config | None = None, *, budget: int = DEFAULT_BUDGET, jobs: int | None = None
) -> Health:
    """Check what is installed, how large a study's space is, and how long a search takes.

    Args:
        config: The study; by default the default preset.
        budget: Evaluations to estimate the time of.
        jobs: Evaluations at a time; None for one a core, at most 8.

    Returns:
        The checks, each with what to do where it warns or fails.

    Raises:
        BadInput: For a budget or jobs below 1.
    """
    check_positive("--budget", budget)
    check_positive("--jobs", jobs)
    study = _described(config or preset(DEFAULT_PRESET), budget, Workers(jobs).n_jobs)
    return Health((*_installed(), *study))


def check_study(front: Front) -> Health:
    """Check what is installed, and whether the genes of a study's front stand at an end of their range.

    Args:
        front: The front of the study.

    Returns:
        A line for each such gene: a warning where a wider range may hold better designs.
    """
    return Health((*_installed(), *_ends(front)))


def check_plugin(name: str, options: Mapping[str, Any] | None = None) -> Health:
    """Check whether a plug-in, shipped or installed, conforms to its protocol.

    Args:
        name: A network, a simulator, a source of accuracy or a surrogate.
        options: What sets a simulator up.

    Returns:
        The checks, each with what to do where it fails.

    Raises:
        BadInput: When nothing has this name.
    """
    from cimbo.testing.kits import kits

    findings = []
    for kind, kit in kits(name, dict(options or {})).items():
        findings += [replace(found, check=f"{kind}: {found.check}") for found in kit()]
    return Health(tuple(findings))


def _ends(front: Front) -> Iterator[Finding]:
    if not front.at_an_end:
        yield passed("front", f"{len(front.designs)} designs, no gene at an end in most of them")
    for gene in front.at_an_end:
        found = f"{gene.value}, the {gene.end}, in {gene.share:.0%} of the front"
        if gene.reason is None:
            todo = f"list values beyond it: [hardware.genes] {gene.gene} = [...]"
            yield Finding(f"range of {gene.gene}", "WARN", found, todo)
        else:
            yield passed(f"range of {gene.gene}", f"{found}: {gene.reason}")


def _installed() -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield judged("Python", sys.version_info >= OLDEST_PYTHON, version, "use Python 3.11 or newer")
    for name in CORE_PACKAGES:
        yield _package(name)
    boosted = _version("xgboost") or _version("xgboost-cpu") or ""
    yield judged("xgboost", bool(boosted), boosted, "pip install cimbo again")
    for extra, (module, purpose) in EXTRA_PACKAGES.items():
        yield _extra(extra, module, purpose)
    yield passed("cores", str(os.cpu_count() or 1))


def _package(name: str) -> Finding:
    version = _version(name)
    return judged(name, version is not None, version or "is missing", "pip install cimbo again")


def _extra(extra: str, module: str, purpose: str) -> Finding:
    if importlib.util.find_spec(module) is None:
        todo = f"if you need it: pip install 'cimbo[{extra}]'"
        return Finding(f"extra {extra}", "SKIP", f"not installed: {purpose}", todo)
    return passed(f"extra {extra}", purpose)


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _described(config: Config, budget: int, jobs: int) -> Iterator[Finding]:
    space = config.problem.space
    yield passed("study", config.title)
    yield passed("accuracy", str(config.accuracy_provenance()["label"]))
    yield passed("costs", cost_label(config.tables))
    genes = f"{len(space.architecture)} + {len(space.hardware)} genes"
    yield passed("space", f"{genes}, {Decimal(space.size):.2g} designs")
    yield from guarded("evaluation", lambda: _timed(config, budget, jobs))


def _timed(about: Config, budget: int, jobs: int) -> Iterator[Finding]:
    """A real evaluation or a few, as many as a few seconds have room for."""
    from cimbo.optimizer.threads import one_thread

    evaluator = about.evaluator()
    evaluator.check()
    logger.info("evaluating a design for real, to see how long it takes")
    with one_thread():  # as a worker has it
        found = _evaluated(evaluator, about.problem.space)
    metrics = about.problem.completed(found.metrics, found.design)
    check_measured(about.problem, metrics, found.design)
    for failure in found.failures:
        todo = "a search records such designs as failed and goes on"
        yield Finding("evaluation", "WARN", failure, todo)
    measured = ", ".join(f"{name} {value:.4g}" for name, value in metrics.items())
    yield passed("one evaluation", measured)
    yield from _cheaper_settings(evaluator, found, about.problem)
    yield _search_time(found.seconds, budget, jobs)


def _cheaper_settings(
    evaluator: StudyEvaluator, found: _Evaluated, problem: Problem
) -> Iterator[Finding]:
    """What each of the cheaper settings gives of a design that was measured in full, and how long that takes."""
    low_fidelities = getattr(evaluator, "low_fidelities", None)
    if low_fidelities is None:
        return
    for stage in low_fidelities.stages:
        start = time.perf_counter()
        metrics = evaluator.measured_with(found.design, stage.settings)
        seconds = time.perf_counter() - start
        settings = ", ".join(f"{name} {value}" for name, value in stage.settings.items())
        values = []
        for name, value in metrics.items():
            full = found.metrics.get(name)
            values.append(
                f"{name} {value:.4g}" + (f" (full {full:.4g})" if full is not None else "")
            )
        missing = low_fidelities.missing(metrics, found.metrics, needed_metrics(problem))
        if missing:
            what = f"{', '.join(missing)} is missing or no finite number, so that no design is stopped there"
            todo = "return it with these settings too, or take the stage out of [[fidelity]]"
            yield Finding(f"with {settings}", "WARN", what, todo)
            continue
        yield passed(
            f"with {settings}",
            f"{', '.join(values)}; {seconds:.2g} s, where the full measurement took "
            f"{found.seconds[-1]:.2g} s; the study says cost = {stage.cost:g}",
        )


def _search_time(taken: list[float], budget: int, jobs: int) -> Finding:
    """How long a search takes whose evaluations take as long as these, in seconds; the first also loads data."""
    seconds = statistics.median(taken[1:] or taken)
    hours = seconds * budget / jobs / 3600
    total = (
        f"{seconds:.2g} s an evaluation ({_basis(taken)}); {budget} of them, {jobs} at a time: "
        f"about {_in_words(hours)} and cimbo's own overhead"
    )
    if hours > LONG_SEARCH_H:
        return Finding("time", "WARN", total, "lower --budget, or add workers")
    return passed("time", total)


def _in_words(hours: float) -> str:
    if hours >= 2:
        return f"{hours:.1f} h"
    if hours * 3600 < SHOWN_IN_SECONDS:
        return f"{hours * 3600:.0f} s"
    return f"{60 * hours:.0f} min"


def _basis(taken: list[float]) -> str:
    """Which evaluations the seconds of one are those of."""
    if len(taken) == 1:
        return "the first, which loads weights and images"
    return f"median of {len(taken) - 1}"


@dataclass(frozen=True)
class _Evaluated:
    """Some designs that were evaluated for a trial.

    Attributes:
        design: The last one that succeeded.
        metrics: What it measured.
        seconds: What each that succeeded took; the first also loads weights and images.
        failures: Of those that failed which design it was, and why.
    """

    design: Params
    metrics: Metrics
    seconds: list[float]
    failures: tuple[str, ...]


def _evaluated(evaluator: StudyEvaluator, space: SearchSpace) -> _Evaluated:
    """Evaluate some random designs; no further one is begun after `TIMED_S`.

    As a search does, it gives up when the first `N_TRIED_FIRST` fail.

    Returns:
        The designs.

    Raises:
        BadInput: No design can be evaluated.
        RuntimeError: The first designs all failed; they are named.
    """
    rows = space.random_rows(MOST_TIMED, np.random.default_rng(0))
    failures: list[str] = []
    seconds: list[float] = []
    succeeded: list[tuple[Params, Metrics]] = []
    for design in space.designs(rows):
        start = time.perf_counter()
        try:
            metrics = evaluator(design)
        except Exception as error:  # it comes from code of the user, so it may be of any kind
            if isinstance(error, BadInput) and not error.is_about_design:
                raise
            reason = str(error) or type(error).__name__
            failures.append(f"design {space.key(design)} ({genes_text(design)}) failed: {reason}")
            if len(failures) >= N_TRIED_FIRST and not succeeded:
                raise RuntimeError("; ".join(failures)) from None
            continue
        seconds.append(time.perf_counter() - start)
        succeeded.append((design, metrics))
        if sum(seconds) > TIMED_S:
            break
    if not succeeded:
        raise RuntimeError("; ".join(failures))
    return _Evaluated(*succeeded[-1], seconds, tuple(failures))
