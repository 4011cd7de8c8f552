"""How ablations and trials pair searches, and that what they change still stands where they look for it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import ablation
import search_trials
import search_variants
from search_variants import Variant

BY_TRIAL = [trial.variants for trial in search_trials.trials().values()]


def _searches(shares: dict[str, float]) -> dict[str, dict[str, dict[str, float]]]:
    return {seed: {"shares": {"60": share}} for seed, share in shares.items()}


def test_searches_are_paired_by_problem_and_seed() -> None:
    unchanged = {"a": {"as it is": _searches({"0": 0.5, "1": 0.7})}}
    changed = {
        "a": {"other": _searches({"1": 0.6, "2": 0.9})},
        "b": {"other": _searches({"0": 0.1})},
    }
    gaps = search_variants.paired(changed, "other", {"a": 60, "b": 60}, unchanged)
    assert gaps == {"a": [pytest.approx(-0.1)]}


def test_interval_counts_problems_and_not_seeds() -> None:
    # Means of the problems 0.1 and 0.3: deviation 0.1414, Student's t of one degree of freedom 12.706
    once = search_variants.clustered_interval({"a": [0.1], "b": [0.3]})
    assert once == pytest.approx(12.706 * 0.1, rel=1e-3)
    assert search_variants.clustered_interval({"a": [0.0, 0.2] * 9, "b": [0.3] * 9}) == once
    assert search_variants.clustered_interval({"a": [0.1, 0.2]}) == float("inf")


def test_summary_counts_better_and_equal_pairs() -> None:
    found = search_variants.compared({"a": [0.2, -0.1, 0.0], "b": [0.4]})
    assert (found["better"], found["equal"], found["pairs"]) == (2, 1, 4)
    assert found["difference"] == pytest.approx((0.1 / 3 + 0.4) / 2, abs=1e-3)


def test_searches_are_listed_seed_by_seed() -> None:
    listed = search_variants.tasks(["a", "b"], ["as it is", "other"], [0, 1])
    assert [task.seed for task in listed] == [0] * 4 + [1] * 4


def test_small_batches_end_after_early_evaluations() -> None:
    variant = Variant(early_batch=4)
    assert [variant.batch_after(n) for n in (0, 26, 28, 30)] == [4, 4, 2, 5]


@pytest.mark.parametrize("variants", [ablation.VARIANTS, *BY_TRIAL])
def test_what_a_variant_changes_still_exists(variants: dict[str, Variant]) -> None:
    for variant in variants.values():
        with variant.applied():
            pass
