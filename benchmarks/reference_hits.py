"""Which validation images sub-networks of a shipped super-network classify rightly, so that stages can rank the images.

    OMP_NUM_THREADS=1 python benchmarks/reference_hits.py [NETWORK ...]    # writes data/supernets/NETWORK-hits.npy

The sub-networks are random and large ones, computed without a chip. `cimbo.evaluation.image_ranking` reads the files: a bit
for each image, a row for each sub-network.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cimbo import SearchSpace
from cimbo.evaluation.accuracy.shipped import ShippedAccuracy
from cimbo.problem.space import Params
from cimbo.supernets.recipes import SHIPPED_EXAMPLES
from cimbo.workloads import network

DATA_FOLDER = Path(__file__).parent.parent / "data" / "supernets"
N_RANDOM = 32
N_LARGE = 16  # with random ones alone, the best networks were estimated too low
N_CANDIDATES = 4096  # of which the large ones are chosen


def reference_networks(name: str) -> list[Params]:
    """Choose the reference sub-networks.

    Args:
        name: A shipped super-network.

    Returns:
        N_RANDOM Sobol points of its genes; of N_CANDIDATES the N_LARGE - 1 with the most
        multiplications, in this order; the largest one.
    """
    family = network(name)
    candidates = SearchSpace(family.choices()).sobol(N_CANDIDATES, seed=0)
    by_size = sorted(candidates, key=lambda d: family.workload(d).macs, reverse=True)
    return [*candidates[:N_RANDOM], *by_size[: N_LARGE - 1], family.largest()]


def reference_hits(name: str) -> NDArray[np.bool_]:
    """Tell which validation images the reference sub-networks classify rightly.

    Args:
        name: A shipped super-network.

    Returns:
        True or False, (references, images).
    """
    source = ShippedAccuracy(name)
    return np.array([source.hits(design).numpy() for design in reference_networks(name)])


def main() -> None:
    """Write the file of each network that is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("networks", nargs="*", default=list(SHIPPED_EXAMPLES))
    for name in parser.parse_args().networks:
        hits = reference_hits(name)
        np.save(DATA_FOLDER / f"{name}-hits.npy", np.packbits(hits, axis=1))
        accuracies = 100 * hits.mean(axis=1)
        print(f"{name}: {hits.shape}, {accuracies.min():.1f} to {accuracies.max():.1f} %")


if __name__ == "__main__":
    main()
