"""Which validation images sub-networks of a shipped super-network classify rightly, so that stages can rank the images.

    OMP_NUM_THREADS=1 python benchmarks/reference_hits.py [NETWORK ...]    # writes data/supernets/NETWORK-hits.npy

The sub-networks are Sobol points of the network's genes, computed without a chip. `cimbo.evaluation.image_ranking` reads the
files: a bit for each image, N_REFERENCES lines.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cimbo import SearchSpace
from cimbo.evaluation.accuracy.shipped import ShippedAccuracy
from cimbo.supernets.recipes import SHIPPED_EXAMPLES
from cimbo.workloads import network

DATA_FOLDER = Path(__file__).parent.parent / "data" / "supernets"
N_REFERENCES = 32


def reference_hits(name: str, n: int = N_REFERENCES) -> NDArray[np.bool_]:
    """Tell which validation images the reference sub-networks classify rightly.

    Args:
        name: A shipped super-network.
        n: How many sub-networks, from the first.

    Returns:
        True or False, (n, images).
    """
    source = ShippedAccuracy(name)
    hits = []
    for subnetwork in SearchSpace(network(name).choices()).sobol(n, seed=0):
        hits.append(source.hits(subnetwork).numpy())
    return np.array(hits)


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
