"""The winners of a study with measured accuracies in the exact form of the arrays' errors, which the search replaces by noise.

    python benchmarks/headline/winners.py fmnist-vit [--images 2000]     # writes winners-fmnist-vit.json

``lacks``: points below the baseline on all test images, as the study found it. ``exact_difference``: by how many points the
exact form changes the accuracy on the first ``--images`` test images, of the winner and of the baseline. It takes minutes a
design.
"""

from __future__ import annotations

import argparse
import json
from functools import cache
from pathlib import Path

import numpy as np

from cimbo.config.study_config import preset

HERE = Path(__file__).parent


def main(name: str, images: int) -> None:
    study = json.loads((HERE / f"{name}.json").read_text())
    evaluator, baseline = preset(name).evaluator(), study["baseline"]

    @cache
    def difference(design: str) -> float:
        return round(evaluator.bit_accurate_difference(json.loads(design), images), 2)

    found = []
    for row in study["speedups"]:
        if row["held"] != "accuracy, area":
            continue
        for seed, speedup, point in zip(study["seeds"], row["each"], row["points"], strict=True):
            lacks = baseline["metrics"]["accuracy_test"] - point["metrics"]["accuracy_test"]
            about = {
                "side": row["side"],
                "seed": seed,
                "speedup": round(speedup, 2),
                "lacks": round(lacks, 2),
            }
            found.append(
                about
                | {"exact_difference": difference(json.dumps(point["params"], sort_keys=True))}
            )
            print(found[-1], flush=True)
    at_baseline = difference(json.dumps(baseline["params"], sort_keys=True))
    more = float(np.mean([at_baseline - f["exact_difference"] for f in found]))
    print(
        f"baseline {at_baseline:+.2f}; the exact form costs winners {more:.2f} points more on average"
    )
    document = {
        "command": f"python benchmarks/headline/winners.py {name} --images {images}",
        "images": images,
    }
    document |= {
        "within": study["within"],
        "baseline_exact_difference": at_baseline,
        "winners": found,
    }
    (HERE / f"winners-{name}.json").write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("preset")
    parser.add_argument("--images", type=int, default=2000)
    asked = parser.parse_args()
    main(asked.preset, asked.images)
