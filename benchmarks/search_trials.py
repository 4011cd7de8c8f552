"""What was tried for the search and is not adopted: each idea as a variant, paired with the search as it is.

    OMP_NUM_THREADS=1 python benchmarks/search_trials.py start|batches|kernels|three|late [--variants ...] [--seeds 0 1 ...]

Ideas for the *start* are searched for 30 evaluations on every problem of ``train`` with an even number and at most MOST_GENES
genes (all of these have two or three objectives). Other *kernels* of the Gaussian process are searched as the ablation is, and
paired with its unchanged searches. Ideas for *three* objectives, and for surrogates (``trial_surrogates.py``), are searched
for 60 evaluations on THREE_OBJECTIVES. Ideas for *late* in a search continue unchanged searches of 100 evaluations to 150.
Each search is written to search_trials.json as soon as it is made, and is not made again.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import ablation
import hand_made
import numpy as np
from numpy.typing import NDArray
from search_variants import UNCHANGED, Runs, Variant, compared, load, paired, run, save, tasks
from trial_surrogates import SURROGATE_VARIANTS

from cimbo.benchmarking.generated import generated, names
from cimbo.optimizer import acquisition, exploration, recommend
from cimbo.optimizer.metric_models import FittedSurrogate
from cimbo.optimizer.posterior import LEAST_SPREAD, ScoreModel
from cimbo.optimizer.search_state import Search, State
from cimbo.problem.objectives import Candidate, candidate_of_row
from cimbo.problem.pareto import non_dominated
from cimbo.problem.space import Params, Rows
from predictors.gp import hyperparameters
from predictors.gp.hyperparameters import Prior
from predictors.gp.inputs import KernelFeatures
from predictors.gp.parts import Sizes

Array = NDArray[np.float64]
RESULTS_FILE = Path(__file__).with_suffix(".json")
MOST_GENES = 35
SMALL_BATCHES = "batches of 2 up to 30 evaluations"


# ---- start ----------------------------------------------------------------------------------------------------------


def _always_trusted(model: Any, view: Any, **_: Any) -> FittedSurrogate:
    """Stands in for ``FittedSurrogate``: no half of a batch is random."""
    return FittedSurrogate(model, view)


def _ends_first(search: Search, state: State, n: int, seed: int) -> list[Candidate]:
    """Stands in for ``sobol_candidates``: the first batch has the ends of the space and its middle.

    These are the smallest and the largest network, each on the smallest and on the largest chip, and
    the middle of all genes.
    """
    if len(state.seen):
        return exploration.sobol_candidates(search, state, n, seed)
    space = search.problem.space
    is_chip = np.arange(len(space.names)) >= len(space.architecture)
    largest = np.asarray(space.cardinalities) - 1
    ends = [largest // 2]
    for network_share in (0, 1):
        for chip_share in (0, 1):
            ends.append(np.where(is_chip, chip_share, network_share) * largest)
    rows = space.canonical_rows(np.stack(ends))
    return [candidate_of_row(space, row, origin="sobol") for row in rows[:n]]


def _worst_shortfall(model: ScoreModel) -> Any:
    """Stands in for ``ScoreModel.shortfall``: the largest of what objectives lack, not their sum."""
    observed, _ = model.observed()
    unit = np.maximum(observed.std(0), LEAST_SPREAD)
    reference = model.reference()
    return lambda scores: (np.maximum(reference - scores, 0) / unit).max(1)


def _towards_reference(
    table: acquisition.PosteriorSamples,
    reference: Array,
    q: int,
) -> list[int]:
    """Stands in for ``acquisition.choose``: until a design is above the reference, the worst gap to it counts.

    A gap is how far an objective lies above the reference, in units of its spread over the pool. A
    batch is chosen greedily by the expected improvement of the best design's smallest gap.
    """
    evaluated = table.objectives[:, : table.baseline].mean(0)
    if (evaluated > reference).all(1).any():
        return ORIGINAL_CHOOSE(table, reference, q)
    unit = np.maximum(table.objectives.std((0, 1)), LEAST_SPREAD)
    gap = ((table.objectives - reference) / unit).min(-1)
    best = gap[:, : table.baseline].max(1, initial=gap.min())
    pool = gap[:, table.baseline :]
    chosen: list[int] = []
    for _ in range(min(q, pool.shape[1])):
        gain = np.maximum(pool - best[:, None], 0).mean(0)
        gain[chosen] = -1.0
        chosen.append(int(gain.argmax()))
        best = np.maximum(best, pool[:, chosen[-1]])
    return chosen


ORIGINAL_CHOOSE = acquisition.choose
NEVER_RANDOM = ("cimbo.optimizer.surrogates.FittedSurrogate", _always_trusted)
TOWARDS_REFERENCE = (
    ("cimbo.optimizer.posterior.ScoreModel.shortfall", _worst_shortfall),
    ("cimbo.optimizer.acquisition.choose", _towards_reference),
)
START_VARIANTS = {
    UNCHANGED: Variant(),
    "no random designs for surrogates that do not predict": Variant(patches=(NEVER_RANDOM,)),
    "5 designs first": Variant(n_initial=5),
    "ends of the space first": Variant(
        patches=((f"{recommend.__name__}.sobol_candidates", _ends_first),)
    ),
    "towards the reference first": Variant(patches=TOWARDS_REFERENCE),
    SMALL_BATCHES: Variant(early_batch=2),
}
BATCH_VARIANTS = {UNCHANGED: Variant(), SMALL_BATCHES: Variant(early_batch=2)}


# ---- kernels --------------------------------------------------------------------------------------------------------


PAIR_LOG_VARIANCE = -1.0
ORIGINAL_SIZES = vars(KernelFeatures)["sizes"].func
ORIGINAL_LINEAR = KernelFeatures._linear
ORIGINAL_LOG_VARIANCES = hyperparameters.linear_log_variances


def _sizes_with_pairs(features: KernelFeatures) -> Sizes:
    """Stands in for ``KernelFeatures.sizes``: one more linear part."""
    sizes = ORIGINAL_SIZES(features)
    return Sizes(sizes.lengthscales, sizes.linear_parts + 1, sizes.has_basis)


def _linear_with_pairs(features: KernelFeatures, rows: Array, z: Array, totals: Array) -> Any:
    """Stands in for ``KernelFeatures._linear``: products of any two ordinal genes are one more part."""
    blocks = ORIGINAL_LINEAR(features, rows, z, totals)
    ordinal = z[:, features._are("ordinal")]
    first, second = np.triu_indices(ordinal.shape[1], 1)
    pairs = 4.0 * ordinal[:, first] * ordinal[:, second]
    pairs /= math.sqrt(max(pairs.shape[1], 1))
    position = len(blocks) - int(features.basis is not None)
    return [*blocks[:position], pairs, *blocks[position:]]


def _log_variances_with_pairs(sizes: Sizes) -> Array:
    """Stands in for ``linear_log_variances``: that of the pairs comes after the others, before a basis."""
    without = ORIGINAL_LOG_VARIANCES(Sizes(sizes.lengthscales, sizes.linear_parts - 1, False))
    joined = np.append(without, PAIR_LOG_VARIANCE)
    if sizes.has_basis:
        return np.concatenate([joined, hyperparameters.BASIS_LOG_VARIANCE])
    return joined


# SAAS (Eriksson and Jankowiak 2021) expects most genes to have no effect, by a heavy-tailed prior on inverse
# squared lengthscales. Here a log-normal prior says the same: lengthscales are expected to be long, few short.
SPARSE_OFFSET = 2.5
SPARSE_DEVIATION = 2.5


def _sparse_prior(sizes: Sizes) -> Prior:
    """Stands in for ``prior``: lengthscales of the fine part are long, with a few that may be short."""
    usual = ORIGINAL_PRIOR(sizes)
    fine = sizes.lengthscales[0]
    mean, deviation = usual.mean.copy(), usual.deviation.copy()
    mean[:fine] = SPARSE_OFFSET + 0.5 * math.log(fine)
    deviation[:fine] = SPARSE_DEVIATION
    return Prior(mean, deviation)


ORIGINAL_PRIOR = hyperparameters.prior
KERNEL_VARIANTS = {
    "products of pairs of genes in the kernel": Variant(
        patches=(
            ("predictors.gp.inputs.KernelFeatures.sizes", property(_sizes_with_pairs)),
            ("predictors.gp.inputs.KernelFeatures._linear", _linear_with_pairs),
            ("predictors.gp.hyperparameters.linear_log_variances", _log_variances_with_pairs),
        )
    ),
    "sparse lengthscales": Variant(patches=(("predictors.gp.likelihood.prior", _sparse_prior),)),
}


# ---- late -----------------------------------------------------------------------------------------------------------


LATE_FROM, LATE_TO = 100, 150
MOST_STEPS_FROM_FRONT = 3


def _steps_from_front(model: ScoreModel, rows: Rows) -> Array:
    """(n,) in how many genes each row (n, d) differs from the most similar design of the evaluated front."""
    scores, _ = model.observed()
    front = model.rows[non_dominated(scores)]
    return (rows[:, None, :] != front[None]).sum(-1).min(1).astype(float)


def _score_near_front(model: ScoreModel, beta: float) -> Any:
    """Stands in for ``ScoreModel.score``: rows that differ from the front in more genes break a constraint."""
    score = ORIGINAL_SCORE(model, beta)

    def near_front(rows: Rows) -> tuple[Array, Array]:
        scores, violation = score(rows)
        excess = _steps_from_front(model, rows) - MOST_STEPS_FROM_FRONT
        return scores, violation + np.maximum(excess, 0)

    return near_front


def _pool_near_front(search: Search, model: ScoreModel, state: State, rng: Any) -> Rows:
    """Stands in for ``recommend._pool``: only candidates near the front."""
    rows = ORIGINAL_POOL(search, model, state, rng)
    near = _steps_from_front(model, rows) <= MOST_STEPS_FROM_FRONT
    return rows[near]


ORIGINAL_SCORE = ScoreModel.score
ORIGINAL_POOL = recommend._pool
LATE_VARIANTS = {
    UNCHANGED: Variant(),
    "candidates near the front alone": Variant(
        patches=(
            ("cimbo.optimizer.posterior.ScoreModel.score", _score_near_front),
            (f"{recommend.__name__}._pool", _pool_near_front),
        )
    ),
}


# ---- three objectives -----------------------------------------------------------------------------------------------


THREE_VARIANTS = {
    UNCHANGED: Variant(),
    SMALL_BATCHES: Variant(early_batch=2),
    "towards the reference first": Variant(patches=TOWARDS_REFERENCE),
    "both": Variant(early_batch=2, patches=TOWARDS_REFERENCE),
    "accuracy computed": Variant(known=("accuracy",)),
    "costs computed": Variant(known=("latency_ms", "energy_uj")),
    **SURROGATE_VARIANTS,
}


# ---- runs -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trial:
    """Variants that are searched alike.

    Attributes:
        variants: Name to variant.
        problems: Names of the problems.
        budget: Evaluations of a search.
        compared_at: Numbers of evaluations after which shares are compared.
        start: Evaluations of the unchanged search that come first.
    """

    variants: Mapping[str, Variant]
    problems: Sequence[str]
    budget: int
    compared_at: tuple[int, ...]
    start: int = 0


def _even_problems() -> list[str]:
    """Problems of ``train`` with an even number and not too many genes."""
    found = []
    for name in names("train")[::2]:
        if len(generated(name).problem.space.names) <= MOST_GENES:
            found.append(name)
    return found


# Those of ``train`` with three objectives and 43 to 58 genes, and one of 56 ordinal genes made by hand
THREE_OBJECTIVES = (
    "chain-56-energy",
    "train-13",
    "train-29",
    "train-01",
    "train-25",
    "train-09",
    "train-26",
)
CHEAP_PROBLEMS = ("train-32", "train-08", "train-20", "train-02", "train-14")


def trials() -> dict[str, Trial]:
    """List the trials by name."""
    return {
        "start": Trial(START_VARIANTS, _even_problems(), 30, (25, 30)),
        "batches": Trial(BATCH_VARIANTS, CHEAP_PROBLEMS, 100, (25, 50, 60, 100)),
        "kernels": Trial(KERNEL_VARIANTS, CHEAP_PROBLEMS, 60, (25, 60)),
        "three": Trial(THREE_VARIANTS, THREE_OBJECTIVES, 60, (25, 30, 60)),
        "late": Trial(LATE_VARIANTS, CHEAP_PROBLEMS, LATE_TO, (LATE_TO,), LATE_FROM),
    }


def summary(trial: Trial, runs: Runs, base: Runs) -> dict[str, Any]:
    """Pair the variants of a trial with the unchanged search."""
    rows = {}
    for variant in trial.variants:
        if variant == UNCHANGED:
            continue
        rows[variant] = {}
        for n in trial.compared_at:
            gaps = paired(runs, variant, dict.fromkeys(trial.problems, n), base)
            if gaps:
                rows[variant][str(n)] = compared(gaps)
    return rows


def _searched(trial: Trial, problem: str, variant: Variant, seed: int) -> dict[str, Any]:
    """Make one search, after the unchanged one of ``trial.start`` evaluations."""
    subject = hand_made.subject(problem)
    first = []
    if trial.start:
        first = _started(problem, trial.start, seed)
    made = run(subject, variant, trial.budget, seed, first)
    del made["rows"]
    return made


@cache
def _started(problem: str, evaluations: int, seed: int) -> list[Params]:
    """Designs of the unchanged search, in order."""
    subject = generated(problem)
    rows = run(subject, Variant(), evaluations, seed)["rows"]
    return subject.problem.space.designs(np.array(rows))


def main() -> None:
    """Make the searches that are asked for and not known, seed by seed, and the summary."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    known = trials()
    parser.add_argument("trial", choices=list(known))
    parser.add_argument("--problems", nargs="+")
    parser.add_argument("--variants", nargs="+")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument(
        "--budget", type=int, help="evaluations of a search, if not the trial's own"
    )
    asked = parser.parse_args()
    trial = known[asked.trial]
    if asked.budget:
        trial = replace(trial, budget=asked.budget)
    document = load(RESULTS_FILE)
    runs: Runs = document["runs"].setdefault(asked.trial, {})
    base = runs
    if UNCHANGED not in trial.variants:
        base = load(ablation.RESULTS_FILE)["runs"]
    variants = asked.variants or list(trial.variants)
    for task in tasks(asked.problems or trial.problems, variants, asked.seeds):
        of_variant = runs.setdefault(task.problem, {}).setdefault(task.variant, {})
        if str(task.seed) in of_variant:
            continue
        made = _searched(trial, task.problem, trial.variants[task.variant], task.seed)
        of_variant[str(task.seed)] = made
        print(f"{task.seed} {task.problem} {task.variant:45} {made}", flush=True)
        document.setdefault("summary", {})[asked.trial] = summary(trial, runs, base)
        save(RESULTS_FILE, document)


if __name__ == "__main__":
    main()
