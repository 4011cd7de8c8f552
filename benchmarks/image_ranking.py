"""What the first images of a ranking say of all of them, against as many drawn at random.

    OMP_NUM_THREADS=1 python benchmarks/image_ranking.py [--designs 60] [--images 2000]    # writes image_ranking.json

Designs are Sobol points of the presets' spaces: sub-networks on chips of all kinds, none of which is a reference of the
ranking (`reference_hits.py`). An error is an accuracy estimated from the first images less that on all. Designs below
FAILING % are apart: their converters are too coarse.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cimbo.config.study_config import preset
from cimbo.evaluation.accuracy.shipped import ShippedAccuracy
from cimbo.evaluation.image_ranking import ImageRanking, shipped_ranking

RESULTS_FILE = Path(__file__).with_suffix(".json")
NETWORKS = ("fmnist-vit", "fmnist-mobilenet")
SHARES = (0.05, 0.1, 0.2, 0.4)  # of all images
FAILING = 80.0  # percent
N_DRAWS = 50  # random subsets


def errors_of(ranking: ImageRanking, hits: NDArray[np.bool_], seen: int) -> dict[str, Any]:
    """Compare estimates with accuracies on all images.

    Args:
        ranking: The ranking of these images.
        hits: Which images each design classifies rightly, (designs, images).
        seen: How many images are looked at.

    Returns:
        Root mean square error in points, mean error, that of as many random images less what these
        have in common, and errors in units of the stated deviations; of designs that work and fail.
    """
    accuracies = 100 * hits.mean(axis=1)
    found = []
    for own in hits:
        found.append(ranking.estimate(int(own[ranking.order[:seen]].sum()), seen))
    errors = np.array([100 * e.mean for e in found]) - accuracies
    normalised = errors / np.array([100 * e.std for e in found])
    works = accuracies > FAILING
    draw = np.random.default_rng(0)
    at_random = []
    for _ in range(N_DRAWS):
        images = draw.choice(hits.shape[1], seen, replace=False)
        at_random.append(np.std(100 * hits[works][:, images].mean(axis=1) - accuracies[works]))
    return {
        "rms": _rounded(_rms(errors[works])),
        "mean": _rounded(float(errors[works].mean())),
        "rms_of_normalised": _rounded(_rms(normalised[works])),
        "random_images": _rounded(float(np.mean(at_random))),
        "rms_failing": _rounded(_rms(errors[~works])),
        "rms_of_normalised_failing": _rounded(_rms(normalised[~works])),
    }


def _rms(values: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(values**2)))


def _rounded(value: float) -> float:
    return round(value, 3)


def main() -> None:
    """Measure the designs on all images, and write what the first ones say."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--designs", type=int, default=60)
    parser.add_argument("--images", type=int, default=2000)
    asked = parser.parse_args()
    document: dict[str, Any] = {"designs": asked.designs, "images": asked.images, "networks": {}}
    for name in NETWORKS:
        source = ShippedAccuracy(name, images=asked.images)
        space = preset(name).problem.space
        hits = np.array([source.hits(d).numpy() for d in space.sobol(asked.designs, seed=1)])
        ranking = shipped_ranking(name, asked.images)
        failing = int((100 * hits.mean(axis=1) <= FAILING).sum())
        by_share = {}
        for share in SHARES:
            by_share[str(share)] = errors_of(ranking, hits, round(share * asked.images))
        document["networks"][name] = {"failing": failing, "shares": by_share}
        print(name, json.dumps(document["networks"][name], indent=1))
    RESULTS_FILE.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
