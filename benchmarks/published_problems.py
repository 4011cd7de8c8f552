"""Search problems on accuracies that others published: six studies, each with two and with three objectives.

Accuracies are what shipped models say of published ones, costs are cimbo's chip model's: NAS-Bench-201 cells on phase-change
memory and on digital arrays (AnalogNAS-Bench), Once-for-All MobileNetV3 on ImageNet (DyNAS-T), GPT-2 small and medium
(HW-GPT-Bench), and Once-for-All ResNet-50, whose model is a curve through the published accuracies of seven sub-networks (its
preset calls it an illustration); `data/README.md` has their sources. Space and limit on area are the study's.

The reference point is each objective's median over ``N_REFERENCE_DESIGNS`` random designs of the space, so that no method
starts from nothing; the hypervolume is that of natural logarithms of costs and rates, and of qualities as they are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cimbo import config
from cimbo.benchmarking.method import Measured
from cimbo.benchmarking.problem_sets import BenchmarkProblem
from cimbo.benchmarking.runner import Volume
from cimbo.problem.objectives import Objective, Problem
from cimbo.problem.pareto import hypervolume
from cimbo.problem.space import Params

Array = NDArray[np.float64]
HERE = Path(__file__).parent
N_REFERENCE_DESIGNS = 300
QUALITIES = ("accuracy", "perplexity")


@dataclass(frozen=True)
class _Question:
    """What is asked of a study.

    Attributes:
        study: Name of a preset, or of a file beside this one.
        objectives: Name and goal of each objective.
    """

    study: str
    objectives: tuple[tuple[str, str], ...]


_ACCURACY, _LATENCY, _ENERGY = ("accuracy", "max"), ("latency_ms", "min"), ("energy_uj", "min")
_GPT_COSTS = (("tokens_per_s", "max"), ("energy_per_token_uj", "min"))
_DIGITAL_CELLS = "nasbench201_digital.toml"
QUESTIONS = {
    "nasbench201-latency": _Question("nasbench201-analog", (_ACCURACY, _LATENCY)),
    "nasbench201-costs": _Question("nasbench201-analog", (_ACCURACY, _LATENCY, _ENERGY)),
    "nasbench201-digital-latency": _Question(_DIGITAL_CELLS, (_ACCURACY, _LATENCY)),
    "nasbench201-digital-costs": _Question(_DIGITAL_CELLS, (_ACCURACY, _LATENCY, _ENERGY)),
    "ofa-mobilenetv3-latency": _Question("ofa-mobilenetv3-imagenet", (_ACCURACY, _LATENCY)),
    "ofa-mobilenetv3-costs": _Question("ofa-mobilenetv3-imagenet", (_ACCURACY, _LATENCY, _ENERGY)),
    "gpt2-s-speed": _Question("gpt2-s", (("perplexity", "min"), _GPT_COSTS[0])),
    "gpt2-s-costs": _Question("gpt2-s", (("perplexity", "min"), *_GPT_COSTS)),
    "gpt2-m-speed": _Question("gpt2-m", (("perplexity", "min"), _GPT_COSTS[0])),
    "gpt2-m-costs": _Question("gpt2-m", (("perplexity", "min"), *_GPT_COSTS)),
    "ofa-resnet50-latency": _Question("ofa-resnet50-imagenet", (_ACCURACY, _LATENCY)),
    "ofa-resnet50-costs": _Question("ofa-resnet50-imagenet", (_ACCURACY, _LATENCY, _ENERGY)),
}


@cache
def published_problem(name: str) -> BenchmarkProblem:
    """Make a problem; its reference point takes N_REFERENCE_DESIGNS evaluations, some seconds.

    Args:
        name: One of ``QUESTIONS``.

    Returns:
        The problem, whose ``volume`` is a hypervolume and no share.
    """
    question = QUESTIONS[name]
    references = _medians(question.study)
    objectives = []
    for metric, goal in question.objectives:
        objectives.append(Objective(metric, goal, references[metric]))
    asked = _study(question.study).problem
    problem = Problem(asked.space, tuple(objectives), asked.constraints)
    measure = _measure(question.study)
    return BenchmarkProblem(name, problem, measure, _volume(problem), "hypervolume, logarithmic")


def true_volume(name: str) -> float | None:
    """Compute the hypervolume of a problem's true front.

    Args:
        name: One of ``QUESTIONS``.

    Returns:
        That of NAS-Bench-201, whose front is known by enumeration (nasbench201_front.json); None
        of the others.
    """
    if QUESTIONS[name].study != "nasbench201-analog":
        return None
    known = json.loads((HERE / "nasbench201_front.json").read_text(encoding="utf-8"))
    front = [point["metrics"] for point in known["modelled_accuracies"]["front"]]
    return published_problem(name).volume(front)


def _study(name: str) -> config.Config:
    """The description of a study: a preset, or a file beside this one."""
    if name.endswith(".toml"):
        return config.load(HERE / name)
    return config.preset(name)


def _measure(study: str) -> Callable[[list[Params]], Sequence[Measured]]:
    """The function that evaluates designs of a study."""
    evaluate = _study(study).evaluator()

    def measure(designs: list[Params]) -> Sequence[Measured]:
        """Evaluate designs one after another."""
        return [dict(evaluate(design)) for design in designs]

    return measure


@cache
def _medians(study: str) -> dict[str, float]:
    """The median of each metric over random designs, to four digits."""
    space = _study(study).problem.space
    rows = space.random_rows(N_REFERENCE_DESIGNS, np.random.default_rng(0))
    found = _measure(study)(space.designs(rows))
    medians = {}
    for metric in found[0] or {}:
        values = [float(dict(metrics or {})[metric]) for metrics in found]
        medians[metric] = float(f"{np.median(values):.4g}")
    return medians


def _volume(problem: Problem) -> Volume:
    """The function that computes hypervolumes."""

    def scaled(metrics: Mapping[str, float]) -> list[float]:
        """The objectives of a design, to be maximised, costs and rates as logarithms."""
        values = []
        for objective in problem.objectives:
            value = float(metrics[objective.name])
            if objective.name not in QUALITIES:
                value = float(np.log(value))
            values.append(objective.sign * value)
        return values

    references = {o.name: float(o.reference or 0.0) for o in problem.objectives}
    reference = np.array(scaled(references))

    def volume(metrics: Sequence[Mapping[str, float]]) -> float:
        """Compute the hypervolume of feasible designs; 0 without any."""
        if not metrics:
            return 0.0
        return float(hypervolume(np.array([scaled(each) for each in metrics]), reference))

    return volume
