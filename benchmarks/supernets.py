"""Are the shipped super-networks worth searching? Accuracy of the extremes, spread and rank over random sub-networks.

    python benchmarks/supernets.py [--count 100] [--images N] [--time COUNT] [NAME ...]

For each super-network: validation and test accuracy of the largest and smallest sub-network, the spread over random ones,
how many beat the smallest, and Kendall's tau between accuracy and size (MACs). Writes supernets.json beside this file; what it
holds of other super-networks stays, and so does what array_training.py wrote. With --time nothing of this is measured, but
what one measurement on all validation images takes: CPU seconds of COUNT random sub-networks without a chip and on arrays.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from scipy.stats import kendalltau, spearmanr

from cimbo.evaluation.accuracy.shipped import ShippedAccuracy
from cimbo.problem.space import SearchSpace
from cimbo.workloads import network

# Written by array_training.py, and with --time
KEPT_FIGURES = ("training_under_errors", "cpu_seconds_on_arrays")
DIGITAL = {"array": "digital_sram", "rows": 128, "weight_bits": 8, "act_bits": 8}
CONVERTERS = {"array": "charge_sram", "rows": 128, "adc_bits": 8, "weight_bits": 8, "act_bits": 8}
# What is timed: genes of the chip, and the form of the products
TIMED = {
    "no chip": ({}, "float"),
    "digital arrays": (DIGITAL, "float"),
    'digital arrays, products = "whole"': (DIGITAL, "whole"),
    "8-bit converters, 128 rows": (CONVERTERS, "float"),
}


def gates(name: str, count: int, images: int | None) -> dict[str, object]:
    """Figures of one super-network; accuracies in percent, without a chip's non-idealities.

    Random sub-networks are measured on the first ``images`` validation images alone, and the smallest once more on these.
    """
    family, source = network(name), ShippedAccuracy(name)
    space = SearchSpace(family.choices())
    subnets = space.sobol(count, seed=7)
    taken, found = [], []
    for subnet in subnets:
        start = time.process_time()
        found.append(source.measure(subnet, images=images))
        taken.append(time.process_time() - start)
    accuracies = np.array(found)
    macs = np.array([family.workload(s).macs for s in subnets])
    smallest = source.measure(family.smallest(), images=images)
    ends = {
        w: {p: source.measure(getattr(family, w)(), p) for p in ("validation", "test")}
        for w in ("largest", "smallest")
    }
    return {
        "ends": ends,
        "random": {
            "count": count,
            "least": accuracies.min(),
            "median": float(np.median(accuracies)),
            "most": accuracies.max(),
        },
        "spread": float(np.ptp(accuracies)),
        "smallest_on_these_images": smallest,
        "images": images or source.image_count(),
        "beat_the_smallest": int((accuracies > smallest).sum()),
        "kendall_tau_with_macs": float(kendalltau(accuracies, macs).statistic),
        "spearman_with_macs": float(spearmanr(accuracies, macs).statistic),
        "cpu_seconds_a_measurement": {"median": float(np.median(taken)), "most": max(taken)},
        "threads": torch.get_num_threads(),
    }


def seconds_on_arrays(name: str, count: int) -> dict[str, object]:
    """CPU seconds of a measurement on all validation images, of random sub-networks on each kind of array.

    The first measurement of each kind loads weights and images and is left out.
    """
    space = SearchSpace(network(name).choices())
    found: dict[str, object] = {"count": count, "images": ShippedAccuracy(name).image_count()}
    for told, (chip, products) in TIMED.items():
        source = ShippedAccuracy(name, products=products)
        taken = []
        for subnet in space.sobol(count + 1, seed=8):
            start = time.process_time()
            source.measure({**subnet, **chip})
            taken.append(time.process_time() - start)
        found[told] = {"median": float(np.median(taken[1:])), "most": max(taken[1:])}
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--images", type=int, default=None, help="of the validation [all]")
    parser.add_argument("--time", type=int, default=0, metavar="COUNT")
    parser.add_argument("names", nargs="*", default=["fmnist-vit", "fmnist-mobilenet"])
    arguments = parser.parse_args()
    file = Path(__file__).parent / "supernets.json"
    for name in arguments.names:
        known = json.loads(file.read_text()) if file.exists() else {}
        if arguments.time:
            seconds = seconds_on_arrays(name, arguments.time)
            known[name] = {**known.get(name, {}), "cpu_seconds_on_arrays": seconds}
        else:
            kept = {key: known[name][key] for key in KEPT_FIGURES if key in known.get(name, {})}
            known[name] = {**gates(name, arguments.count, arguments.images), **kept}
        print(json.dumps({name: known[name]}, indent=1), flush=True)
        file.write_text(json.dumps(known, indent=1) + "\n")
