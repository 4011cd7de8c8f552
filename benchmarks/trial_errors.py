"""Surrogates of ``trial_surrogates.py`` without a search: how well they predict what another search evaluates later.

    OMP_NUM_THREADS=1 python benchmarks/trial_errors.py [--variants ...]       # writes trial_errors.json

For each problem of the trial "three" and each of two seeds, surrogates are fitted to the first N_LEARNED designs of the
unchanged search, and predict the designs that the search with the other seed evaluated after its first N_SKIPPED. Kendall's
tau and the error over the spread of the true values are paired with those of the unchanged surrogates.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import hand_made
import numpy as np
from scipy.stats import kendalltau
from search_trials import THREE_OBJECTIVES
from search_variants import UNCHANGED, Variant, clustered_interval, load, run, save
from trial_surrogates import SURROGATE_VARIANTS

from cimbo.optimizer.recommend import State, fit_surrogates
from cimbo.optimizer.views import Inputs
from cimbo.problem.space import Rows

RESULTS_FILE = Path(__file__).with_suffix(".json")
VARIANTS = {UNCHANGED: Variant(), **SURROGATE_VARIANTS}
SEEDS = (0, 1)
BUDGET = 60
N_LEARNED, N_SKIPPED = 40, 30
#: metric -> Kendall's tau, and error and mean error over the spread of the true values
Errors = dict[str, dict[str, float]]


def errors(problem: str, variant: Variant, seed: int, learned: Rows, asked: Rows) -> Errors:
    """Fit the surrogates of a variant to designs, and ask them about others.

    Args:
        problem: Name of the problem.
        variant: How surrogates are fitted.
        seed: Of the fits.
        learned: (n, d) rows of the designs that are learned from, measured with noise.
        asked: (k, d) rows of the designs that are predicted.

    Returns:
        What came of it, by metric.
    """
    subject = hand_made.subject(problem)
    space = subject.problem.space
    designs = space.designs(learned)
    state = State.of(space, designs, subject.measure(designs))
    true_metrics = subject.true_metrics(asked)
    found: Errors = {}
    with variant.applied():
        fitted = fit_surrogates(variant.search(subject), state, seed=seed)
        for metric, surrogate in fitted.items():
            true = true_metrics[metric]
            if surrogate.log:
                true = np.log(true)
            predicted = surrogate.mean(Inputs(space, asked))
            spread = float(true.std())
            error = math.sqrt(float(np.mean((predicted - true) ** 2)))
            tau = float(kendalltau(predicted, true)[0])
            found[metric] = {
                "tau": round(tau, 4),
                "error": round(error / spread, 4),
                "bias": round(float((predicted - true).mean()) / spread, 4),
            }
    return found


def summary(found: Mapping[str, Mapping[str, Mapping[str, Errors]]]) -> dict[str, Any]:
    """Pair each variant with the unchanged surrogates.

    Args:
        found: variant -> problem -> seed -> errors.

    Returns:
        variant -> metric -> mean difference of tau and mean factor of the error, each with its 95 %
        interval clustered by problem (of the factor: of its logarithm), and the number of pairs.
    """
    table: dict[str, Any] = {}
    for variant, by_problem in found.items():
        if variant == UNCHANGED:
            continue
        table[variant] = {}
        for metric in ("accuracy", "latency_ms", "energy_uj"):
            taus: dict[str, list[float]] = {}
            factors: dict[str, list[float]] = {}
            for problem, by_seed in by_problem.items():
                for seed, changed in by_seed.items():
                    before, after = found[UNCHANGED][problem][seed][metric], changed[metric]
                    taus.setdefault(problem, []).append(after["tau"] - before["tau"])
                    ratio = math.log(after["error"] / before["error"])
                    factors.setdefault(problem, []).append(ratio)
            mean_factor = math.exp(float(np.mean([np.mean(each) for each in factors.values()])))
            table[variant][metric] = {
                "tau": round(float(np.mean([np.mean(each) for each in taus.values()])), 3),
                "tau_interval": round(clustered_interval(taus), 3),
                "error_factor": round(mean_factor, 3),
                "error_interval": round(clustered_interval(factors), 3),
                "pairs": sum(len(each) for each in taus.values()),
            }
    return table


def mean_bias(found: Mapping[str, Mapping[str, Errors]]) -> dict[str, float]:
    """Average by how much the unchanged surrogates predict too much, over problems and seeds.

    Args:
        found: problem -> seed -> errors.

    Returns:
        metric -> mean of the mean errors, each over the spread of the true values.
    """
    biases: dict[str, list[float]] = {}
    for by_seed in found.values():
        for of_metrics in by_seed.values():
            for metric, each in of_metrics.items():
                biases.setdefault(metric, []).append(each["bias"])
    return {metric: round(float(np.mean(each)), 2) for metric, each in biases.items()}


def _searched(document: dict[str, Any], problem: str) -> dict[int, Rows]:
    """Rows that the unchanged searches of a problem evaluated, by seed; searched if not known."""
    rows = document.setdefault("rows", {}).setdefault(problem, {})
    space = hand_made.subject(problem).problem.space
    for seed in SEEDS:
        if str(seed) not in rows:
            made = run(hand_made.subject(problem), Variant(), BUDGET, seed)
            # One text for each design: the file would be long with a number a line
            rows[str(seed)] = [" ".join(map(str, row)) for row in made["rows"]]
            save(RESULTS_FILE, document)
    known = {}
    for seed in SEEDS:
        known[seed] = np.array([text.split() for text in rows[str(seed)]], space.row_type)
    return known


def _compare(document: dict[str, Any], variants: Sequence[str]) -> None:
    """Fit what is asked for and not known, and write it with the summary."""
    found = document.setdefault("errors", {})
    for problem in THREE_OBJECTIVES:
        rows = _searched(document, problem)
        for name in variants:
            variant = VARIANTS[name]
            if problem in hand_made.NAMES and (variant.has_roles or variant.given):
                continue  # its genes have no roles
            of_problem = found.setdefault(name, {}).setdefault(problem, {})
            for seed, other_seed in (SEEDS, SEEDS[::-1]):
                if str(seed) in of_problem:
                    continue
                learned, asked = rows[seed][:N_LEARNED], rows[other_seed][N_SKIPPED:]
                of_problem[str(seed)] = errors(problem, variant, seed, learned, asked)
        document["summary"] = summary(found)
        document["bias"] = mean_bias(found[UNCHANGED])
        save(RESULTS_FILE, document)


def main() -> None:
    """Compare the variants that are asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    asked = parser.parse_args()
    _compare(load(RESULTS_FILE), asked.variants)


if __name__ == "__main__":
    main()
