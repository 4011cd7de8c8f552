"""What roles of a chip's properties are worth to the surrogates of another simulator's costs.

    OMP_NUM_THREADS=1 python benchmarks/roles.py [--problems train-00 ...]      # writes roles.json

Surrogates are fitted to the costs of 30 and of 80 random designs and asked about 600 others: Kendall's tau over all of them,
and over the quarter that costs least. *Without* they know genes and the size of the network, *with* roles also what
`cimbo.hardware.role_features` computes; ``chosen`` says which of the two a search takes, by held-out error. Subjects are
generated problems of ``train``, whose laws are caricatures that count tiles as the features do, and the simulator "another" of
predictors_cim.py on networks and chips of cimbo's, as one that has only rows, columns, macros, converters, bits and buffer.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from predictors_cim import another
from scipy.stats import kendalltau

import predictors
from cimbo.benchmarking.generated import GeneratedProblem, costs, generated
from cimbo.benchmarking.generated.spaces import FIXED_CHIP
from cimbo.hardware import chip_choices
from cimbo.hardware.grid import Grid
from cimbo.hardware.role_features import grid_features, role_features
from cimbo.hardware.rows import LayerRows
from cimbo.optimizer.views import View
from cimbo.problem.space import Choice, Rows, SearchSpace
from cimbo.workloads import network
from predictors import Feature, Schema

Array = NDArray[np.float64]
RESULTS_FILE = Path(__file__).with_suffix(".json")
N_TEST = 600
N_TRAIN = (30, 80)
CHEAPEST_SHARE = 0.25
FAMILIES = ("fmnist-vit", "fmnist-mobilenet")
SIZES = ("log_macs", "log_parameters")
PROBLEMS = ("train-29", "train-01", "train-13")
ROLES_OF_GENERATED = {
    "rows": "rows",
    "cols": "columns",
    "macros": "macros",
    "adc_bits": "adc_bits",
    "columns_per_adc": "columns_per_adc",
    "clock_mhz": "clock_mhz",
    "dram_bw": "bandwidth_gb_s",
    "buffer_kb": "buffer_kb",
}
ROLES_OF_CIMBO = {
    "rows": "rows",
    "cols": "columns",
    "macros_per_pe": "macros",
    "pes": "macros",
    "adc_bits": "adc_bits",
    "columns_per_adc": "columns_per_adc",
    "weight_bits": "weight_bits",
    "act_bits": "act_bits",
    "dac_bits": "dac_bits",
    "cell_bits": "cell_bits",
    "dram_channels": "bandwidth_gb_s",
    "buffer_kb": "buffer_kb",
}


@dataclass(frozen=True)
class Subject:
    """Designs of a space with features and true costs; the first of them are learned from.

    Attributes:
        space: The space.
        table: Values of genes, (n, d).
        sizes: Logarithms of the networks' sizes, each (n,).
        roles: What roles say besides, each (n,).
        measured: Costs by name, each (n,), as they are measured.
        true: The same without noise.
    """

    space: SearchSpace
    table: Array
    sizes: dict[str, Array]
    roles: dict[str, Array]
    measured: dict[str, Array]
    true: dict[str, Array]


def generated_subject(name: str) -> Subject:
    """Draw designs of a generated problem."""
    problem = generated(name)
    space = problem.blueprint.space
    rows = space.canonical_rows(space.random_rows(max(N_TRAIN) + N_TEST, np.random.default_rng(3)))
    by_role = features_of_generated(problem, rows)
    sizes = {size: by_role.pop(size) for size in SIZES}
    metrics = problem.measure(space.designs(rows))
    true = problem.true_metrics(rows)
    names = [o.name for o in problem.objectives if o.name in ("latency_ms", "energy_uj")]
    measured = {name: np.array([m[name] for m in metrics]) for name in names}
    return Subject(space, space.encode(rows), sizes, by_role, measured, true)


def features_of_generated(problem: GeneratedProblem, rows: Rows) -> dict[str, Array]:
    """Compute the sizes of networks, and the features by role, of a generated problem's designs.

    Args:
        problem: The problem.
        rows: (n, d) canonical rows.

    Returns:
        Feature to values (n,): those that ``SIZES`` names, then those by role.
    """
    values = problem.blueprint.values(rows)
    layers = costs.layers_of(problem.blueprint, values)
    macs = (layers.pixels * layers.inputs * layers.outputs).sum(1)
    weights = (layers.inputs * layers.outputs).sum(1)
    sizes = dict(zip(SIZES, (np.log(macs), np.log(weights)), strict=True))
    return sizes | _roles(problem, values, layers)


def _roles(
    problem: GeneratedProblem, values: Mapping[str, Array], layers: costs.Layers
) -> dict[str, Array]:
    """Features by role of a generated problem's designs."""
    n, depth = layers.pixels.shape
    columns = {field.name: np.zeros((n, depth)) for field in fields(LayerRows)}
    is_there = layers.outputs > 0
    columns["positions"] = layers.pixels
    columns["reduction"] = np.maximum(layers.inputs, 1.0)
    columns["outputs_each"] = np.maximum(layers.outputs, 1.0)
    columns["groups"] = np.ones((n, depth))
    columns["inputs"] = layers.pixels * layers.inputs
    columns["outputs"] = layers.pixels * layers.outputs
    columns["weight_bits"] = np.where(is_there, layers.weight_bits, 1.0)
    columns["activation_bits"] = np.where(is_there, layers.input_bits, 1.0)
    columns["count"] = is_there.astype(float)
    stacked = np.stack([columns[field.name] for field in fields(LayerRows)])
    grid = Grid([stacked[:, i] for i in range(n)], n)
    chips = {"cell_bits": np.ones(n)}
    for gene, role in ROLES_OF_GENERATED.items():
        if gene in values:
            chips[role] = values[gene]
        elif gene in FIXED_CHIP:
            chips[role] = np.full(n, FIXED_CHIP[gene])
    return grid_features(grid, chips)


def simulated_subject(name: str) -> Subject:
    """Draw designs of a family of networks on cimbo's chips, with costs by another simulator."""
    family = network(name)
    genes = [Choice(c.name, c.values) for c in chip_choices() if c.name != "array"]
    space = SearchSpace(family.choices(), genes)
    rows = space.canonical_rows(space.random_rows(max(N_TRAIN) + N_TEST, np.random.default_rng(3)))
    designs = space.designs(rows)
    names = [gene.name for gene in genes]
    workloads = []
    chips = []
    for design in designs:
        workloads.append(family.workload({k: v for k, v in design.items() if k not in names}))
        chips.append({k: v for k, v in design.items() if k in names})
    by_role: dict[str, Array] = {}
    for gene, role in ROLES_OF_CIMBO.items():
        if gene in names and all(gene in chip for chip in chips):
            values = np.array([chip[gene] for chip in chips], float)
            by_role[role] = by_role.get(role, np.ones(len(chips))) * values
    found = role_features(workloads, by_role)
    sizes = {size: found.pop(size) for size in SIZES}
    true = another(workloads, chips)
    true = {name: true[name] for name in ("latency_ms", "energy_uj")}
    return Subject(space, space.encode(rows), sizes, found, true, true)


def compared(subject: Subject, metric: str, n: int) -> dict[str, Any]:
    """Fit with and without roles to ``n`` designs, and predict those that come last."""
    true = subject.true[metric][-N_TEST:]
    cheapest = np.argsort(true)[: int(CHEAPEST_SHARE * N_TEST)]
    found: dict[str, Any] = {}
    errors = {}
    ways = {"without": subject.sizes, "with": subject.sizes | subject.roles}
    for way, derived in ways.items():
        genes = View().schema(subject.space, metric, log=True).features
        numeric = [Feature(name, "numeric") for name in derived]
        schema = Schema((*genes, *numeric), metric, "", log=True)
        table = np.column_stack([subject.table, *derived.values()])
        model = predictors.fit(table[:n], subject.measured[metric][:n], schema, "auto")
        predicted = model.predict(table[-N_TEST:]).mean
        errors[way] = float(model.metadata["error"])
        found[way] = {
            "kind": model.kind,
            "tau": round(float(kendalltau(predicted, true)[0]), 3),
            "tau_of_cheapest": round(float(kendalltau(predicted[cheapest], true[cheapest])[0]), 3),
            "held_out_error": round(errors[way], 3),
        }
    found["chosen"] = min(errors, key=lambda way: errors[way])
    return found


def main() -> None:
    """Compare on all subjects, and write what comes of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--problems", nargs="+", default=PROBLEMS)
    asked = parser.parse_args()
    table: dict[str, Any] = {}
    for name in (*FAMILIES, *asked.problems):
        subject = simulated_subject(name) if name in FAMILIES else generated_subject(name)
        for metric in subject.measured:
            for n in N_TRAIN:
                table[f"{name}, {metric}, {n}"] = compared(subject, metric, n)
                print(name, metric, n, table[f"{name}, {metric}, {n}"], flush=True)
                RESULTS_FILE.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
