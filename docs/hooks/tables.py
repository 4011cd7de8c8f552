"""Tables of the site that are made from data: each has a function here, by the name that a page asks for."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from importlib import import_module
from typing import Any

import search_tables
from table_text import ROOT, benchmark, markdown


def constants() -> str:
    """Every physical constant with unit, node, status and source."""
    entries = tomllib.loads((ROOT / "data" / "constants.toml").read_text(encoding="utf-8"))
    rows = []
    for section, names in entries.items():
        for name, entry in names.items():
            node = f"{entry['node_nm']} nm" if entry["node_nm"] else ""
            value = _numbers(entry["value"])
            unit = "" if entry["unit"] == "1" else entry["unit"]
            rows.append(
                [f"`{section}.{name}`", value, unit, node, entry["status"], entry["source"]]
            )
    return markdown(["constant", "value", "unit", "at", "status", "source"], rows)


def _numbers(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(f"{each:g}" for each in value)
    return f"{value:g}"


FAMILY_WORDS = {
    "sram": "SRAM, charge and current",
    "digital": "digital SRAM",
    "envm": "resistive and magnetic",
}


def silicon() -> str:
    """Modelled over reported figures of published macros, a paper left out at a time, beside a ridge regression."""
    data = benchmark("silicon_table.json")
    rows = []
    for family, word in FAMILY_WORDS.items():
        for quantity, found in data["paper left out"][family].items():
            ridge = data["ridge, paper left out"][family][quantity]
            rows.append(
                [
                    word,
                    quantity,
                    f"{found['n']}",
                    f"{found['median']:.2f}",
                    f"{found['within_2x']:.0%}",
                    _spread(found),
                    _rank_agreement(found),
                    f"{ridge['within_2x']:.0%}, {_spread(ridge)}, {_rank_agreement(ridge)}",
                ]
            )
    head = ["arrays", "figure", "points", "median", "within x2", "spread", "tau"]
    return markdown([*head, "ridge regression"], rows)


def _rank_agreement(found: dict[str, Any]) -> str:
    """Kendall's tau between modelled and reported figures; of fewer than three points there is none."""
    tau = found["kendall_tau"]
    return "-" if tau is None else f"{tau:.2f}"


def _spread(found: dict[str, Any]) -> str:
    """A geometric spread; of fewer than three points there is none."""
    return f"x{found['spread']:.1f}" if found["n"] > 2 else "-"


KNOWN_CHIP_LIMITS = {
    "area": 0.2,
    "delay": 0.2,
    "energy": 0.3,
}  # of which benchmarks/silicon.py says PASS


def known_chips() -> str:
    """Chips described one by one: how many are within the limits, and the ratio of each."""
    chips = benchmark("silicon.json")["chips"]
    rows = []
    for quantity, limit in KNOWN_CHIP_LIMITS.items():
        judged = [c for c in chips if c["quantity"] == quantity and c["not_comparable"] is None]
        passed = sum(c["verdict"] == "PASS" for c in judged)
        ratios = sorted(c["modelled"] / c["reported"] for c in judged)
        said = ", ".join(f"{ratio:.2f}" for ratio in ratios)
        rows.append([quantity, f"{limit:.0%}", f"{passed} of {len(judged)}", said])
    return markdown(["figure", "limit", "within it", "modelled over reported"], rows)


def reference_simulators() -> str:
    """Cycles of cimbo over those of ZigZag and AccelForge."""
    zigzag, macros = benchmark("agreement.json"), benchmark("macros.json")
    single = [case for case in zigzag if case["case"].startswith("zz/")]
    groups = {
        "whole networks": [case for case in zigzag if case not in single],
        "single layers": [case for case in single if not case["is_bound"]],
        "single layers that spill, where ours is a bound": [c for c in single if c["is_bound"]],
    }
    rows = []
    for name, cases in groups.items():
        ratios = sorted(case["ratio"] for case in cases)
        said = f"{ratios[0]:.3f} to {ratios[-1]:.3f}"
        rows.append(["ZigZag", f"{len(cases)} {name}", said, "`python benchmarks/agreement.py`"])
    near = sum(abs(layer["ratio"] - 1) <= 0.03 for layer in macros)
    said = f"{near} within 3 %; the others leave tiles part empty"
    rows.append(
        [
            "AccelForge",
            f"{len(macros)} layers on six published macros",
            said,
            "`python benchmarks/macros.py`",
        ]
    )
    return markdown(["simulator", "on", "our cycles over its", "command"], rows)


def array_training() -> str:
    """Accuracy of the largest shipped sub-networks behind several arrays."""
    data = benchmark("array_training.json")
    conditions = list(next(iter(data.values()))["after"]["largest"])
    rows = []
    for condition in conditions:
        cells = [f"{data[name]['after']['largest'][condition]:.1f}" for name in data]
        rows.append([condition, *cells])
    return markdown(["arrays", *(f"{name}, largest, %" for name in data)], rows)


def precision_fronts() -> str:
    """Fronts of bits by stage on fixed chips: energy gained over 8 bits, and accuracy on test images."""
    rows = []
    for name, network in benchmark("precision.json").items():
        for chip, found in network["chips"].items():
            whole = found["eight_bits"]
            for point in [whole, *(p for p in found["front"] if p["bits"] != whole["bits"])]:
                words = []
                for gene in ("weight_bits", "act_bits"):
                    bits = [str(v) for k, v in point["bits"].items() if k.startswith(gene)]
                    words.append(" ".join(bits))
                chosen = " (chosen)" if point == found["chosen"] else ""
                energy = f"{point['energy_uj']:.2f}"
                gain = f"{point['gain']:.2f}{chosen}"
                accuracies = (f"{point['validation']:.2f}", f"{point['test']:.2f}")
                rows.append([name, chip, energy, gain, *accuracies, " / ".join(words)])
    head = ["network", "chip", "uJ", "gain", "validation, %", "test, %", "bits of weights / inputs"]
    return markdown(head, rows)


def cim_nas_bench_predictors() -> str:
    """What predictors of accuracy are worth on the random part of CIM-NAS-Bench."""
    rows = []
    for name, found in benchmark("cim_nas_bench_predictors.json")["scores"].items():
        cells = [f"{found['kendall_tau']:.2f}", f"{found['rmse']:.1f}"]
        rows.append([*name.split(), *cells, f"{found['coverage_90']:.2f}", f"{found['cpu_s']:.0f}"])
    head = ["network", "kind", "rows", "Kendall tau", "RMSE, points", "coverage of 90 %", "CPU-s"]
    return markdown(head, rows)


def predictors_kinds() -> str:
    """Built-in and BoTorch's kinds on one task."""
    rows = []
    for kind, found in benchmark("surrogates.json")["kinds"].items():
        keys = ("fit_cpu_s", "rmse", "kendall_tau", "coverage_90")
        rows.append([f"`{kind}`", *(f"{found[key]:.3g}" for key in keys)])
    return markdown(["kind", "CPU-s of a fit", "RMSE", "Kendall's tau", "90 % coverage"], rows)


def recovery() -> str:
    """The drills of the study file."""
    rows = []
    for name, found in benchmark("store_recovery.json").items():
        if isinstance(found, dict) and "passed" in found:
            rows.append([name, found["asked"], "passed" if found["passed"] else "FAILED"])
    return markdown(["drill", "asked", "result"], rows)


CACHE_WORDS = {"dram": "DRAM", "buffer": "buffer", "edram": "embedded DRAM"}


def decode() -> str:
    """The fastest, the middle and the slowest chip of each front of language models."""
    rows = []
    for name, found in benchmark("decode.json").items():
        if not isinstance(found, dict):
            continue
        front = sorted(found["front"], key=lambda chip: -chip["tokens_per_s"])
        title = name
        for chip in (front[0], front[len(front) // 2], front[-1]):
            rows.append(
                [
                    title,
                    f"{chip['tokens_per_s']:,.4g}",
                    f"{chip['energy_per_token_uj']:,.4g}",
                    f"{chip['area_mm2']:.3g}",
                    f"{chip['dram_bytes_per_token'] * 1e-6:,.3g}",
                    f"{chip['time_to_first_token_ms']:,.3g}",
                    f"{chip['weight_bits']}, {chip['kv_bits']}",
                    CACHE_WORDS[chip["kv_cache"]],
                ]
            )
            title = ""
    head = ["network", "tokens/s", "uJ/token", "mm2", "DRAM MB/token", "first token, ms"]
    return markdown([*head, "bits of weights, cache", "cache in"], rows)


def perplexity() -> str:
    """What predictors of elastic GPT-2's perplexity err by, at numbers of rows."""
    rows = []
    for name, found in benchmark("hwgpt_perplexity.json").items():
        if not isinstance(found, dict):
            continue
        for each in found["by_size"]:
            rows.append(
                [
                    name,
                    str(each["rows"]),
                    each["kind"],
                    f"{each['kendall_tau']:.3f}",
                    f"{each['rmse']:.3f}",
                    f"{each['coverage_90']:.2f}",
                ]
            )
    return markdown(["network", "rows", "kind", "Kendall's tau", "RMSE", "90 % coverage"], rows)


API_PAGES = ROOT / "docs" / "api"


def _unlisted(package: str) -> str:
    """Entries of the reference for exported names that its page does not list by hand."""
    module = import_module(package)
    homes = module.HOME_MODULES if package == "cimbo" else module._MODULE_OF
    page = (API_PAGES / f"{package}.md").read_text(encoding="utf-8")
    listed = {line.rpartition(".")[2] for line in page.splitlines() if line.startswith("::: ")}
    missing = [name for name in module.__all__ if name in homes and name not in listed]
    if not missing:
        return ""
    entries = [f"::: {package}.{homes[name]}.{name}" for name in missing]
    return "\n\n".join(["## More", *entries])


def more_of_cimbo() -> str:
    """Exported names of cimbo that the reference does not list by hand."""
    return _unlisted("cimbo")


def more_of_predictors() -> str:
    """Exported names of predictors that the reference does not list by hand."""
    return _unlisted("predictors")


def presets_accuracy() -> str:
    """Of each shipped study what its accuracies are, on what they were measured or from what modelled, and their error."""
    config = import_module("cimbo.config")
    rows = []
    for name in config.presets():
        about = config.preset(name).accuracy_provenance()
        kind, source, error = about["kind"], about["label"].partition(" on ")[2], ""
        if "source" in about:
            source = about["source"]
            error = f"± {about['error_points']:g}: {about['error_is']}"
        if "metric" in about:
            kind = f"{about['metric']} {kind}"
        rows.append([f"`{name}`", kind, source, error])
    return markdown(["preset", "accuracy", "on or from what", "error, points"], rows)


TABLES: dict[str, Callable[[], str]] = {
    **search_tables.TABLES,
    "array-training": array_training,
    "cim-nas-bench-predictors": cim_nas_bench_predictors,
    "precision-fronts": precision_fronts,
    "presets-accuracy": presets_accuracy,
    "constants": constants,
    "decode": decode,
    "known-chips": known_chips,
    "more-of-cimbo": more_of_cimbo,
    "more-of-predictors": more_of_predictors,
    "perplexity": perplexity,
    "predictor-kinds": predictors_kinds,
    "recovery": recovery,
    "reference-simulators": reference_simulators,
    "silicon": silicon,
}
