"""Are the shipped super-networks worth searching? Accuracy of the extremes, spread and rank over random sub-networks.

    python benchmarks/supernets.py [--count 100] [--images N] [NAME ...]

For each super-network: validation and test accuracy of the largest and smallest sub-network, the spread over random ones,
how many beat the smallest, and Kendall's tau between accuracy and size (MACs). Writes supernets.json beside this file; what it
holds of other super-networks stays, and so does what array_training.py wrote.
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

KEPT_FIGURES = ("training_under_errors",)  # written by array_training.py


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


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--images", type=int, default=None, help="of the validation [all]")
    parser.add_argument("names", nargs="*", default=["fmnist-vit", "fmnist-mobilenet"])
    arguments = parser.parse_args()
    answer = {name: gates(name, arguments.count, arguments.images) for name in arguments.names}
    print(json.dumps(answer, indent=1))
    file = Path(__file__).parent / "supernets.json"
    known = json.loads(file.read_text()) if file.exists() else {}
    for name, found in answer.items():
        kept = {key: known[name][key] for key in KEPT_FIGURES if key in known.get(name, {})}
        known[name] = {**found, **kept}
    file.write_text(json.dumps(known, indent=1) + "\n")
