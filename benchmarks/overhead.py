"""Where a study's seconds go: verification, and cimbo's own overhead (surrogates, candidates, acquisition).

    cimbo optimize --budget 200 && python benchmarks/overhead.py cimbo.db

Reads what every evaluation recorded; prints the split and writes overhead.json beside this file.
"""

import json
import sys
from pathlib import Path

import numpy as np

from cimbo.study.study import Study


def split(file: str) -> dict[str, float]:
    """Medians and sums, in seconds."""
    with Study.open(file, readonly=True) as study:
        records = study.evaluations()
        evaluation = np.array([r.seconds for r in records])
        overhead = np.array([r.extra["overhead_s"] for r in records if "overhead_s" in r.extra])
        searched = np.array([r.extra["overhead_s"] for r in records if r.origin == "proposed"])
    return {
        "evaluations": len(records),
        "evaluation_s_median": float(np.median(evaluation)),
        "evaluation_s_max": float(evaluation.max()),
        "evaluation_s_sum": float(evaluation.sum()),
        "overhead_s_median": float(np.median(overhead)),
        "overhead_s_median_of_proposed": float(np.median(searched)) if len(searched) else 0.0,
        "overhead_s_sum": float(overhead.sum()),
        "overhead_share": float(overhead.sum() / (overhead.sum() + evaluation.sum())),
    }


if __name__ == "__main__":
    answer = split(sys.argv[1] if len(sys.argv) > 1 else "cimbo.db")
    for name, value in answer.items():
        print(f"{name:32} {value:.4g}")
    (Path(__file__).parent / "overhead.json").write_text(json.dumps(answer, indent=1) + "\n")
