"""The winners of a study with measured accuracies, measured once more: do they still keep the baseline's accuracy?

    python benchmarks/headline/winners.py fmnist-vit     # writes winners-fmnist-vit.json

A study takes long and the arrays' noise is developed further; this takes a minute. ``lacks``: points below the baseline on
validation and on test images, of which the study allows ``within``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from cimbo.config import preset

HERE = Path(__file__).parent


def main(name: str) -> None:
    study = json.loads((HERE / f"{name}.json").read_text())
    evaluator = preset(name).evaluator()
    measured: dict[str, dict[str, float]] = {}

    def accuracies(params: dict[str, Any]) -> dict[str, float]:
        key = json.dumps(params, sort_keys=True)
        if key not in measured:
            measured[key] = {"validation": evaluator(params)["accuracy"], "test": evaluator.on_test(params)}
        return measured[key]

    baseline, found = accuracies(study["baseline"]["params"]), []
    for row in study["speedups"]:
        if row["held"] != "accuracy, area":
            continue
        for seed, speedup, point in zip(study["seeds"], row["each"], row["points"], strict=True):
            lacks = {part: round(baseline[part] - value, 2) for part, value in accuracies(point["params"]).items()}
            holds = max(lacks.values()) <= study["within"]
            found.append({"side": row["side"], "seed": seed, "speedup": round(speedup, 2), "lacks": lacks, "holds": holds})
            print(found[-1], flush=True)
    print(f"{sum(w['holds'] for w in found)} of {len(found)} hold")
    about = {"command": f"python benchmarks/headline/winners.py {name}", "within": study["within"]}
    (HERE / f"winners-{name}.json").write_text(json.dumps(about | {"baseline": baseline, "winners": found}, indent=1) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
