"""Joint search problems drawn at random: forty to choose on (``train``) and forty to report on (``test``).

    problem = generated("train-07")
    problem.problem, problem.measure(designs), problem.share(measured)

A search that is tuned on the few problems its author has is fitted to these. Here layers, chips, cost laws and accuracies are
composed at random, with two to four objectives, 20 to 71 genes, with and without inactive ones, and up to one percent of
noise. References are so good that few random designs are better, in some problems none. The references and the best known
hypervolume of each problem are in ``references.json``, written by ``benchmarks/generated_fronts.py``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cimbo.benchmarking.generated import accuracies, costs
from cimbo.benchmarking.generated.spaces import Blueprint, draw_blueprint
from cimbo.errors import BadInput
from cimbo.problem.objectives import Objective, Problem
from cimbo.problem.pareto import hypervolume
from cimbo.problem.space import Params, Rows

Array = NDArray[np.float64]
REFERENCES_FILE = Path(__file__).with_name("references.json")
PROBLEM_SETS = ("train", "test")
N_PER_SET = 40
SEED_OF_SET = {"train": 1000, "test": 2000}
TYPICAL_DESIGNS = 2000  # random designs by which scales and references are set
COST_METRICS = ("latency_ms", "energy_uj", "area_mm2")
NOISE_LEVELS = (0.0, 0.0, 0.002, 0.01)  # relative, of costs
ACCURACY_NOISE = 10.0  # points of accuracy that correspond to a relative noise of 1
#: Fractions of random designs that may be better than the reference in every objective
REFERENCE_SHARES = (0.03, 0.005, 0.0)


@dataclass(frozen=True)
class GeneratedProblem:
    """A random problem that is quick to evaluate.

    Attributes:
        name: Set and number.
        blueprint: Space and meaning of its genes.
        law: The law of costs.
        accuracy_law: The law of accuracy.
        objectives: Two to four, with references.
        noise: Relative standard deviation of a measured cost.
        log: Whether the hypervolume is taken of the logarithms of costs.
        seed: Seed of the noise.
    """

    name: str
    blueprint: Blueprint
    law: costs.CostLaw
    accuracy_law: accuracies.AccuracyLaw
    objectives: tuple[Objective, ...]
    noise: float
    log: bool
    seed: int

    @cached_property
    def problem(self) -> Problem:
        """Space and objectives, as a search gets them."""
        return Problem(self.blueprint.space, self.objectives)

    def true_metrics(self, rows: Rows) -> dict[str, Array]:
        """Compute the metrics of designs without noise.

        Args:
            rows: (n, d) canonical rows.

        Returns:
            Each objective's name to its values (n,).
        """
        values = self.blueprint.values(rows)
        design_costs = costs.costs(self.law, self.blueprint, values)
        accuracy = accuracies.accuracy(self.accuracy_law, self.blueprint, values, rows)
        metrics = {
            "accuracy": accuracy,
            "latency_ms": design_costs.latency_ms,
            "energy_uj": design_costs.energy_uj,
            "area_mm2": design_costs.area_mm2,
        }
        return {o.name: metrics[o.name] for o in self.objectives}

    def measure(self, designs: list[Params]) -> list[dict[str, float]]:
        """Evaluate designs with noise; a design that is evaluated again has the same metrics.

        Args:
            designs: Designs of the problem's space.

        Returns:
            The objectives of each.
        """
        rows = self.blueprint.space.rows(designs)
        true_metrics = self.true_metrics(rows)
        measured = []
        for i, row in enumerate(rows):
            # Seeded by the design. An inactive gene is -1, and no part of a seed may be negative.
            rng = np.random.default_rng([self.seed, *(row + 1).tolist()])
            own_metrics = {name: float(values[i]) for name, values in true_metrics.items()}
            measured.append(self._noisy(own_metrics, rng))
        return measured

    def _noisy(self, metrics: dict[str, float], rng: np.random.Generator) -> dict[str, float]:
        """Add noise to the metrics of one design: normal to an accuracy, log-normal to a cost."""
        noisy = {}
        for name, value in metrics.items():
            error = self.noise * float(rng.standard_normal())
            if name == "accuracy":
                noisy[name] = value + ACCURACY_NOISE * error
            else:
                noisy[name] = value * np.exp(error)
        return noisy

    def scores(self, metrics: Sequence[Mapping[str, float]]) -> Array:
        """Compute scores on the scale that the hypervolume is taken on.

        Args:
            metrics: The objectives of n designs.

        Returns:
            (n, m) scores, to be maximised.
        """
        return self.scaled(self.problem.scores(metrics))

    def scaled(self, scores: Array) -> Array:
        """Bring scores to the scale that the hypervolume is taken on.

        Args:
            scores: (n, m) in natural units, to be maximised; those of costs are negative.

        Returns:
            (n, m) scores, with the logarithms of costs where the problem says so.
        """
        if not self.log:
            return scores
        columns = []
        for objective, column in zip(self.objectives, scores.T, strict=True):
            if objective.goal == "max":
                columns.append(column)
            else:
                columns.append(-np.log(-column))
        return np.stack(columns, 1)

    @property
    def reference(self) -> Array:
        """The reference point on the scale on which the hypervolume is taken, (m,)."""
        natural = self.problem.reference()
        assert natural is not None
        return np.asarray(self.scaled(natural[None])[0])

    def volume(self, designs: Sequence[Params]) -> float:
        """Compute the hypervolume of designs by their true metrics, without noise.

        Args:
            designs: Designs of the problem's space.

        Returns:
            The hypervolume above the references; 0 without designs.
        """
        if not designs:
            return 0.0
        true_metrics = self.true_metrics(self.blueprint.space.rows(designs))
        scores = self.scaled(self.problem.scores_of(true_metrics))
        return hypervolume(scores, self.reference)

    @property
    def best_volume(self) -> float:
        """The largest hypervolume known."""
        return float(_recorded()[self.name]["best"])

    def share(self, designs: Sequence[Params]) -> float:
        """Compute the true hypervolume of designs as a share of the largest known.

        Args:
            designs: Designs of the problem's space.

        Returns:
            The share; above 1 where the designs are better than what is known.

        Raises:
            KeyError: When no largest hypervolume is recorded for the problem.
        """
        return self.volume(designs) / self.best_volume


def names(which: str = "") -> list[str]:
    """List the names of generated problems.

    Args:
        which: "train" or "test"; all sets when empty.

    Returns:
        The names, in order.
    """
    sets = list(PROBLEM_SETS)
    if which:
        sets = [which]
    names = []
    for each in sets:
        names += [f"{each}-{number:02}" for number in range(N_PER_SET)]
    return names


@cache
def generated(name: str) -> GeneratedProblem:
    """Find a problem by name.

    Args:
        name: ``train-00`` to ``train-39``, ``test-00`` to ``test-39``.

    Returns:
        The problem, with the references that are recorded.

    Raises:
        BadInput: There is none of this name.
    """
    if name not in names():
        raise BadInput(f"generated problem {name!r}", "is unknown", "name train-00 to test-39")
    drawn = draw(name)
    known = _recorded().get(name)
    if known is None:
        return drawn
    references = known["references"]
    objectives = tuple(replace(o, reference=references[o.name]) for o in drawn.objectives)
    return replace(drawn, objectives=objectives)


def draw(name: str) -> GeneratedProblem:
    """Compose a problem at random; its references are first guesses, which few random designs reach.

    Args:
        name: Set and number, such as ``train-07``.

    Returns:
        The problem; equal names give equal problems.

    Raises:
        ValueError: When the name is no set and number.
        KeyError: When there is no such set.
    """
    problem_set, number = name.split("-")
    i = int(number)
    seed = SEED_OF_SET[problem_set] + i
    rng = np.random.default_rng(seed)
    blueprint = draw_blueprint(rng, gated=bool(rng.random() < 0.5))
    law = costs.draw_law(rng)
    accuracy_law = accuracies.draw_accuracy(rng, blueprint)
    rows = blueprint.space.random_rows(TYPICAL_DESIGNS, np.random.default_rng(seed))
    values = blueprint.values(rows)
    accuracy_law = accuracies.fitted(accuracy_law, blueprint, values, rows)
    law = _to_scale(law, blueprint, values)
    n_costs = (1, 2, 2, 3)[i % 4]
    chosen = ["latency_ms", *rng.permutation(COST_METRICS[1:])][:n_costs]
    objectives = (Objective("accuracy", "max"), *(Objective(str(c), "min") for c in chosen))
    noise, log = float(rng.choice(NOISE_LEVELS)), bool(rng.random() < 0.5)
    problem = GeneratedProblem(name, blueprint, law, accuracy_law, objectives, noise, log, seed)
    share = REFERENCE_SHARES[int(rng.integers(len(REFERENCE_SHARES)))]
    return replace(problem, objectives=_with_references(problem, rows, share))


def _to_scale(
    law: costs.CostLaw, blueprint: Blueprint, values: Mapping[str, Array]
) -> costs.CostLaw:
    """Scale a cost law so that typical designs have the median costs TYPICAL_MS and TYPICAL_UJ.

    With clipped latencies, CLIPPED_SHARE of the designs lie below the clip instead.

    Args:
        law: The law, with scales of 1.
        blueprint: The space.
        values: Meaning -> values (n,) of the genes of typical designs.

    Returns:
        The scaled law.
    """
    raw = costs.costs(replace(law, clipped=False, leakage=0.0), blueprint, values)
    median_latency = float(np.median(raw.latency_ms))
    latency_scale = costs.TYPICAL_MS / median_latency
    if law.clipped:
        latency_scale = costs.CLIPPED_MS / float(np.quantile(raw.latency_ms, costs.CLIPPED_SHARE))
    energy_scale = (1.0 - law.leakage) * costs.TYPICAL_UJ / float(np.median(raw.energy_uj))
    return replace(
        law,
        latency_scale=latency_scale,
        energy_scale=energy_scale,
        leakage=law.leakage * costs.TYPICAL_MS / (latency_scale * median_latency),
    )


def _with_references(problem: GeneratedProblem, rows: Rows, share: float) -> tuple[Objective, ...]:
    """Set the objectives' references as good as possible, with a fraction of random designs still better.

    The reference of every objective is the same quantile of its scores. It is lowered from 0.95
    until more than ``share`` of the designs are better in every objective; that before the last one
    is taken.

    Args:
        problem: The problem.
        rows: Random designs, (n, d).
        share: The fraction.

    Returns:
        The objectives with references, of four digits.
    """
    scores = problem.problem.scores_of(problem.true_metrics(rows))
    level = 0.0
    for level in np.linspace(0.95, 0.05, 91):
        corner = np.quantile(scores, level, axis=0)
        if (scores > corner).all(1).mean() > share:
            break
    corner = np.quantile(scores, min(level + 0.01, 0.95), axis=0)
    objectives = []
    for objective, score in zip(problem.objectives, corner, strict=True):
        rounded = float(f"{objective.sign * score:.4g}")
        objectives.append(replace(objective, reference=rounded))
    return tuple(objectives)


@cache
def _recorded() -> dict[str, dict[str, Any]]:
    """References and best known hypervolume of each problem, by name; empty without the file."""
    if REFERENCES_FILE.exists():
        return dict(json.loads(REFERENCES_FILE.read_text()))
    return {}
