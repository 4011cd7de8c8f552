"""Searches that measure an accuracy on a part of the images first, against searches on all images: for real.

    OMP_NUM_THREADS=1 python benchmarks/fidelities_real.py FOLDER [--images 2000] [--seeds 5]    # writes fidelities_real.json

Designs are those of the shipped studies fmnist-vit and fmnist-mobilenet, with the chips and settings that a user gets: a
shipped super-network is measured on validation images, on the arrays of each chip. FOLDER keeps the studies, so that the same
command goes on after an interruption, and which images each network and chip classifies rightly, so that the other search
does not compute them again. Images are counted as if nothing had been kept there.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cimbo import Study
from cimbo.config.study_config import preset
from cimbo.evaluation.accuracy.shipped import ShippedAccuracy
from cimbo.problem.pareto import hypervolume
from cimbo.session.context import StudyContext
from cimbo.session.optimize import optimizer_options, search
from cimbo.session.study_status import status
from cimbo.session.workers import Workers

RESULTS_FILE = Path(__file__).with_suffix(".json")
NETWORKS = ("fmnist-vit", "fmnist-mobilenet")
STAGES = (0.2,)  # shares of all images; docs/design/fidelities.md has what others gave


class KeptHits:
    """Which images each network and chip classifies rightly, as far as it was computed, kept in a file."""

    def __init__(self, file: Path, images: int) -> None:
        self._file, self._n_images = file, images
        self._known: dict[str, np.ndarray] = {}  # -1 where not computed, (images,)
        if file.exists():
            for line in file.read_text().splitlines():
                key, numbers, packed = line.rsplit("\t", 2)
                images_of_line = np.frombuffer(bytes.fromhex(numbers), np.uint16)
                bits = np.unpackbits(np.frombuffer(bytes.fromhex(packed), np.uint8))
                self.of(key)[images_of_line] = bits[: len(images_of_line)]

    def of(self, key: str) -> np.ndarray:
        """1 or 0 for each image, -1 for those not computed, (images,)."""
        unknown = np.full(self._n_images, -1, np.int8)
        return self._known.setdefault(key, unknown)

    def add(self, key: str, numbers: np.ndarray, hits: np.ndarray) -> None:
        """Keep the hits of some images."""
        self.of(key)[numbers] = hits
        kept = numbers.astype(np.uint16).tobytes().hex()
        with self._file.open("a") as file:
            file.write(f"{key}\t{kept}\t{np.packbits(hits).tobytes().hex()}\n")


class KeptAccuracy(ShippedAccuracy):
    """A shipped accuracy that counts its images, and computes none of them twice."""

    def keep(self, hits: KeptHits) -> None:
        """Start counting; what was classified is taken from ``hits``."""
        object.__setattr__(self, "kept", hits)
        object.__setattr__(self, "n_seen", 0)

    def _hits(
        self, design: Mapping[str, Any], part: str, images: torch.Tensor, *, exact: bool
    ) -> torch.Tensor:
        """As in the base class, from what is kept as far as it reaches."""
        genes = {name: value for name, value in design.items() if name in self.names}
        key = f"{self.supernet} {json.dumps(genes, sort_keys=True)}"
        object.__setattr__(self, "n_seen", self.n_seen + len(images))
        numbers = images.numpy()
        missing = numbers[self.kept.of(key)[numbers] < 0]
        if len(missing):
            found = super()._hits(design, part, torch.from_numpy(missing), exact=exact)
            self.kept.add(key, missing, found.numpy())
        return torch.from_numpy(self.kept.of(key)[numbers].astype(bool))


def run(
    network: str, seed: int, budget: int, images: int, stages: tuple[int, ...], folder: Path
) -> dict[str, Any]:
    """Search a shipped study.

    Args:
        network: Its name.
        seed: Of the search.
        budget: How many evaluations.
        images: How many images a full measurement has.
        stages: Numbers of images after which a measurement may end; none for all images.
        folder: Where the study and what was classified are kept.

    Returns:
        Hypervolume of the designs that were measured in full, and of the first so many designs;
        images that were looked at, designs of the front, designs of it whose accuracy is another
        one when all images are measured at once, and seconds.
    """
    config = preset(network)
    evaluator = replace(config.evaluator(), stages=stages)
    accuracy = KeptAccuracy(network, images=images)
    accuracy.keep(KeptHits(folder / f"{network}.hits", images))
    object.__setattr__(accuracy, "names", evaluator.accuracy_genes())
    evaluator.__dict__["_accuracy"] = accuracy
    problem = config.problem
    name = f"{network}-{images}-{seed}-{'staged' if stages else 'all'}.db"
    was_begun = (folder / name).exists()
    start = time.process_time()
    with Study.open(
        folder / name, problem.space, problem.objectives, problem.constraints, seed=seed
    ) as study:
        context = StudyContext(study, config, shared_evaluator=evaluator)
        search(context, budget, optimizer_options(context), Workers(jobs=1))
        seconds = time.process_time() - start
        images_used = study.accuracies_measured() * images
        if stages:
            used = status(context).images or {}
            images_used = used["used"]
        if not was_begun and images_used != accuracy.n_seen:
            raise AssertionError(f"{images_used} images in the study, {accuracy.n_seen} seen")
        contradicted = 0
        for record in study.pareto():
            whole = accuracy.measure(record.params)
            contradicted += abs(record.metrics["accuracy"] - whole) > 1e-9
        return {
            "hypervolume": study.hypervolume(),
            "hypervolume_after": _volumes_after(study, range(10, budget + 1, 10)),
            "images": images_used,
            "front": len(study.pareto()),
            "contradicted": contradicted,
            "measured_in_full": sum(problem.feasible(r.metrics) for r in study.evaluations()),
            "cpu_s": round(seconds, 1),
        }


def _volumes_after(study: Study, counts: Iterable[int]) -> dict[str, float]:
    """Hypervolume of the first so many designs of a study, by their number."""
    records = study.evaluations()
    volumes = {}
    for count in counts:
        feasible = [r.metrics for r in records[:count] if study.problem.feasible(r.metrics)]
        scores = study.problem.scores(feasible)
        volumes[str(count)] = round(hypervolume(scores, study.problem.reference()), 4)
    return volumes


def _of_as_many_images(run: Mapping[str, Any]) -> float:
    """Share of its final hypervolume that the search on all images had at the images of the staged one."""
    whole = run["all"]
    per_design = whole["images"] / whole["measured_in_full"]
    count = 10 * round(run["staged"]["images"] / per_design / 10)
    return float(whole["hypervolume_after"][str(count)] / whole["hypervolume"])


def summary(runs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Pair the searches of a network and seed.

    Args:
        runs: ``network seed`` -> the search on ``all`` images and the ``staged`` one.

    Returns:
        By network: seeds that have both searches; images of the staged search as a share of the
        other's, in the median and at most; its hypervolume over the other's, in the median and at
        least; the same of the other search, ended after as many images; and designs of all fronts
        that all images contradict.
    """
    found = {}
    for network in dict.fromkeys(key.split()[0] for key in runs):
        own = [run for key, run in runs.items() if key.split()[0] == network and len(run) == 2]
        if not own:
            continue
        images = [run["staged"]["images"] / run["all"]["images"] for run in own]
        ratios = [run["staged"]["hypervolume"] / run["all"]["hypervolume"] for run in own]
        shorter = [_of_as_many_images(run) for run in own]
        found[network] = {
            "seeds": len(own),
            "images": round(float(np.median(images)), 3),
            "images_most": round(max(images), 3),
            "ratio": round(float(np.median(ratios)), 4),
            "ratio_least": round(min(ratios), 4),
            "ratio_of_a_shorter_search": round(float(np.median(shorter)), 4),
            "contradicted": sum(run["staged"]["contradicted"] for run in own),
        }
    return found


def main() -> None:
    """Make the searches that are not in the file yet, each written down when it is done."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--budget", type=int, default=200)
    parser.add_argument(
        "--stages", type=float, nargs="+", default=STAGES, help="shares of all images"
    )
    asked = parser.parse_args()
    asked.folder.mkdir(exist_ok=True)
    stages = tuple(round(share * asked.images) for share in asked.stages)
    document: dict[str, Any] = {"budget": asked.budget, "images": asked.images, "stages": stages}
    document["runs"] = {}
    if RESULTS_FILE.exists():
        document = json.loads(RESULTS_FILE.read_text())
    runs = document["runs"]
    for seed in range(asked.seeds):
        for network in asked.networks:
            own = runs.setdefault(f"{network} {seed}", {})
            for arm, arm_stages in (("all", ()), ("staged", stages)):
                if arm not in own:
                    own[arm] = run(
                        network, seed, asked.budget, asked.images, arm_stages, asked.folder
                    )
                    print(network, seed, arm, own[arm], flush=True)
                document["summary"] = summary(runs)
                RESULTS_FILE.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
