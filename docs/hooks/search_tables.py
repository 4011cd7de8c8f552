"""Tables on searches: methods side by side, what single choices are worth, measurements in part, forecasts."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import median
from typing import Any

from table_text import benchmark, markdown

METHOD_WORDS = {
    "random": "random",
    "nsga2": "NSGA-II",
    "tpe": "TPE",
    "linas": "LINAS-like",
    "botorch": "BoTorch, alternating search",
    "cimbo": "cimbo, costs learned",
    "cimbo-exact": "cimbo, costs computed",
}


def _at(run: dict[str, Any], evaluations: int) -> float:
    return float(run["share"][run["at"].index(evaluations)])


def methods() -> str:
    """Median share of the best hypervolume known after 100 evaluations, by problem and method."""
    data = benchmark("peers.json")
    rows = []
    for method, word in METHOD_WORDS.items():
        cells = []
        for problem in data.values():
            if method not in problem:
                cells.append("")
                continue
            runs = [_at(run, 100) for run in problem[method].values() if 100 in run["at"]]
            cells.append(f"{median(runs):.2f}" if runs else "")
        rows.append([word, *cells])
    return markdown(["method", *data], rows)


BENCH_METHOD_WORDS = {
    **METHOD_WORDS,
    "cimbo-costs": "cimbo, costs computed",
    "moead": "MOEA/D",
    "gp-sampler": "Optuna's GPSampler",
    "ax": "Ax",
    "saasbo": "SAASBO",
    "smac": "SMAC3",
    "baybe": "BayBE",
    "tpe-multivariate": "TPE over all genes",
}


def cim_nas_bench_peers() -> str:
    """Share of the true front that each method finds on CIM-NAS-Bench, and its mean rank."""
    found = benchmark("cim_nas_bench_peers.json")["summary"]
    rows = []
    for each in found["methods"]:
        chance = ""
        if each["p_not_worse_than_first"] is not None:
            chance = f"{each['p_not_worse_than_first']:.2g}"
        shares = f"{each['share_median']:.2f} (least {each['share_least']:.2f})"
        name = BENCH_METHOD_WORDS[each["method"]]
        rank = f"{each['mean_rank']:.2f}"
        rows.append([name, rank, shares, chance, f"{each['overhead_s']:.2g}"])
    head = ["method", "mean rank", f"share after {found['evaluations']}", "p", "s an evaluation"]
    return markdown(head, rows)


def generated_test() -> str:
    """Shares that methods reach on generated test problems after 200 evaluations, and their mean ranks."""
    return _on_generated_problems("summary_200", 100, 200)


def generated_test_more() -> str:
    """The same, of more methods on fewer problems."""
    return _on_generated_problems("summary_200_of_6_methods", 100, 200)


def _on_generated_problems(summary: str, half: int, full: int) -> str:
    """Shares and mean ranks after half and all of a budget."""
    after = benchmark("generated_test.json")[summary]["after"]
    rows = []
    for method, found in after[str(full)]["methods"].items():
        at_half = after[str(half)]["methods"][method]
        chance = ""
        if found["p_not_worse_than_first"] is not None:
            chance = f"{found['p_not_worse_than_first']:.2g}"
        shares = [f"{at_half['median']:.2f}", f"{found['median']:.2f}"]
        worst = f"{found['worst_decile']:.2f}"
        ahead = str(found["ahead_of_cimbo"])
        ranks = [f"{at_half['mean_rank']:.2f}", f"{found['mean_rank']:.2f}"]
        rows.append([BENCH_METHOD_WORDS[method], *ranks, *shares, worst, ahead, chance])
    head = ["method", f"mean rank after {half}", f"after {full}"]
    head += [f"median share after {half}", f"after {full}"]
    return markdown([*head, "worst decile", "ahead of cimbo", "p"], rows)


SET_WORDS = {
    "generated": "generated problems",
    "test_functions": "test functions",
    "cim_nas_bench": "CIM-NAS-Bench",
    "published_accuracies": "published accuracies",
    "all": "**all**",
    "all_without_twins": "all, one problem a network",
}


TEST_WORDS = {"wilcoxon": "Wilcoxon", "control": "ranks", "nemenyi": "Nemenyi"}


def search_ranks() -> str:
    """Mean ranks of methods on four sets of problems and on all, and on how many problems another is ahead of cimbo."""
    found = benchmark("search_ranks.json")
    names = [each["method"] for each in found["50"]["all"]["methods"]]
    rows = []
    for which, word in SET_WORDS.items():
        for after, sets in found.items():
            if which not in sets:
                continue
            each = sets[which]
            by_name = {line["method"]: line for line in each["methods"]}
            ranks = [f"{by_name[name]['mean_rank']:.2f}" for name in names]
            chances = [line["p_not_worse_than_first"] for line in each["methods"][1:]]
            largest = "" if None in chances else f"{max(chances):.2g}"
            ahead = [f"{BENCH_METHOD_WORDS[m]} {n}" for m, n in each["ahead_of_cimbo"].items() if n]
            rows.append(
                [
                    word,
                    str(each["problems"]),
                    after,
                    *ranks,
                    ", ".join(ahead) or "none",
                    largest,
                    _tests_passed(each["is_better_than_all"]),
                ]
            )
    head = ["set", "problems", "after", *(BENCH_METHOD_WORDS[name] for name in names)]
    return markdown([*head, "ahead of cimbo on", "largest p", "better than each at 5 %"], rows)


def _tests_passed(is_better: dict[str, bool]) -> str:
    """Which tests tell cimbo from every other method."""
    passed = [word for test, word in TEST_WORDS.items() if is_better[test]]
    if len(passed) == len(TEST_WORDS):
        return "yes"
    return ", ".join(passed) or "no"


def slow_peers() -> str:
    """Slow methods on a sample of all sets in a limited time, beside cimbo after as many evaluations."""
    rows = []
    for found in benchmark("slow_peers.json")["summary"]:
        shares = [f"{found[key]:.2f}" for key in ("share", "cimbo_share")]
        seconds = f"{found['overhead_s']:.2f}"
        names = [BENCH_METHOD_WORDS[found["method"]], found["problem"]]
        rows.append([*names, str(found["evaluations"]), seconds, *shares])
    head = ["method", "problem", "evaluations", "CPU-s each", "share", "cimbo's after as many"]
    return markdown(head, rows)


def cim_nas_bench_limited() -> str:
    """Slow methods on CIM-NAS-Bench in a limited time, beside cimbo after as many evaluations."""
    rows = []
    for method, found in benchmark("cim_nas_bench_peers.json")["limited"].items():
        evaluations = str(found["evaluations_least"])
        if found["evaluations_most"] > found["evaluations_least"]:
            evaluations += f" to {found['evaluations_most']}"
        ahead = f"{found['ahead_of_cimbo']} of {found['searches']}"
        shares = [f"{found[key]:.2f}" for key in ("share_median", "cimbo_share_median")]
        limit = f"{found['limit_s']:.0f}"
        seconds = f"{found['overhead_s']:.2f}"
        rows.append([BENCH_METHOD_WORDS[method], limit, evaluations, seconds, *shares, ahead])
    head = ["method", "limit, CPU-s", "evaluations", "CPU-s each", "median share"]
    return markdown([*head, "cimbo's after as many", "ahead of cimbo"], rows)


def _difference(found: dict[str, Any]) -> list[str]:
    """A mean difference with its interval, and on how many pairs of searches the change was better."""
    gap = f"{found['difference']:+.3f} ± {found['interval']:.3f}"
    return [gap, f"{found['better']} of {found['pairs']}"]


def ablations() -> str:
    """What one changed choice of the search is worth, paired with the search as it is."""
    data = benchmark("ablation.json")
    early, budget = data["early"], data["budget"]
    rows = []
    for name, each in data["summary"]["variants"].items():
        cells = [f"{each[key]:.2f}" for key in ("early", "full", "overhead_s")]
        gaps = [""] * 4
        if name != "as it is":
            gaps = [*_difference(each["after_early"]), *_difference(each)]
        rows.append([name, *cells, *gaps])
    head = ["changed", f"median after {early}", f"after {budget}", "CPU-s an evaluation"]
    head += [f"difference after {early}", "better on"]
    return markdown([*head, f"difference after {budget}", "better on"], rows)


TRIAL_WORDS = {"start": "start", "batches": "batches", "kernels": "kernel", "late": "late"}


def search_trials() -> str:
    """What was tried for the search: each idea paired with the search as it is."""
    return _trials(TRIAL_WORDS)


def three_objectives() -> str:
    """The same, on problems with three objectives and 43 to 58 genes."""
    return _trials({"three": "three objectives"})


def _trials(words: dict[str, str]) -> str:
    """A table of the trials that ``words`` names, each with what it is called."""
    found = benchmark("search_trials.json")["summary"]
    rows = []
    for trial, word in words.items():
        for name, by_evaluations in found.get(trial, {}).items():
            for n, each in by_evaluations.items():
                problems = str(len(each["by_problem"]))
                rows.append([word, name, n, problems, *_difference(each)])
    return markdown(["part", "changed", "after", "problems", "difference", "better on"], rows)


def trial_errors() -> str:
    """How well surrogates that were tried predict what another search evaluates, paired with those of today."""
    rows = []
    for name, by_metric in benchmark("trial_errors.json")["summary"].items():
        cells = [name]
        for found in by_metric.values():
            cells.append(f"{found['tau']:+.3f} ± {found['tau_interval']:.3f}")
            spread = math.exp(found["error_interval"])
            cells.append(f"{found['error_factor']:.2f} ×/÷ {spread:.2f}")
        rows.append(cells)
    head = ["changed"]
    for metric in ("accuracy", "latency", "energy"):
        head += [f"tau, {metric}", f"error, {metric}"]
    return markdown(head, rows)


def fidelities() -> str:
    """Searches on a part of the images, paired with searches on all."""
    rows = []
    for network, found in benchmark("fidelities.json")["summary"].items():
        images = f"{found['images']:.0%} (at most {found['images_most']:.0%})"
        ratio = f"{found['ratio']:.3f} (least {found['ratio_least']:.3f})"
        shares = [f"{found[key]:.3f}" for key in ("share_all", "share_staged")]
        cells = [str(found["seeds"]), images, *shares, ratio, str(found["contradicted"])]
        rows.append([network, *cells])
    head = ["network", "seeds", "images", "share, all images", "in stages", "ratio"]
    return markdown([*head, "designs of the front contradicted"], rows)


def fidelities_real() -> str:
    """Searches of shipped studies on a part of the real images, paired with searches on all."""
    rows = []
    for network, found in benchmark("fidelities_real.json")["summary"].items():
        images = f"{found['images']:.0%} (at most {found['images_most']:.0%})"
        ratio = f"{found['ratio']:.3f} (least {found['ratio_least']:.3f})"
        shorter = f"{found['ratio_of_a_shorter_search']:.3f}"
        cells = [str(found["seeds"]), images, ratio, shorter, str(found["contradicted"])]
        rows.append([network, *cells])
    head = ["network", "seeds", "images", "hypervolume", "a search on all images, ended there"]
    return markdown([*head, "designs of the front contradicted"], rows)


def image_ranking() -> str:
    """What the first images of a ranking say of all."""
    document = benchmark("image_ranking.json")
    rows = []
    for network, found in document["networks"].items():
        for share, each in found["shares"].items():
            images = str(round(float(share) * document["images"]))
            cells = [f"{each[k]:.2f}" for k in ("rms", "rms_of_normalised", "random_images")]
            failing = [f"{each[k]:.1f}" for k in ("rms_failing", "rms_of_normalised_failing")]
            rows.append([network, images, *cells, *failing])
    head = ["network", f"images of {document['images']:,}", "error", "over the stated one"]
    return markdown([*head, "random images", "error, failing", "over the stated one"], rows)


def forecasts() -> str:
    """How often the forecast of the gain was in its 90 % range."""
    rows = []
    for name, found in benchmark("forecast.json").items():
        if "searches" in found:
            rows.append([name, f"{found['searches']}", f"{found['in_range']:.0%}"])
    return markdown(["search", "seeds", "in range"], rows)


TABLES: dict[str, Callable[[], str]] = {
    "ablations": ablations,
    "cim-nas-bench-peers": cim_nas_bench_peers,
    "forecasts": forecasts,
    "fidelities": fidelities,
    "fidelities-real": fidelities_real,
    "image-ranking": image_ranking,
    "cim-nas-bench-limited": cim_nas_bench_limited,
    "search-ranks": search_ranks,
    "generated-test": generated_test,
    "generated-test-more": generated_test_more,
    "slow-peers": slow_peers,
    "methods": methods,
    "search-trials": search_trials,
    "three-objectives": three_objectives,
    "trial-errors": trial_errors,
}
