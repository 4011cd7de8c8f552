"""How often the forecast of what 50 more evaluations bring is right: its 90 % range, and its mean, on searches that went on.

    python benchmarks/forecast.py

Searches of 300 evaluations on two synthetic problems, 40 seeds each: random designs, and NSGA-II; looked at after 60, 100, 150
and 250 of them. Writes forecast.json beside this file.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import problems

from cimbo.optimizer.convergence import forecast
from cimbo.problem.pareto import hypervolume

HERE = Path(__file__).parent
NAMES = ("transformer-44", "chain-36-area")
SEEDS, LOOKS, MORE = 40, (60, 100, 150, 250), 50


def searches(problem: problems.Problem, method: str) -> Iterator[list[float]]:
    """Hypervolume after each of 300 evaluations, a search a seed."""
    for seed in range(SEEDS):
        if method == "random":
            rows = problem.space.random_rows(300, np.random.default_rng(seed))
            found = problem.metrics(rows)
            met = [
                {name: float(values[i]) for name, values in found.items()} for i in range(len(rows))
            ]
        else:
            met = problems.nsga2(problem, 360, 20, seed)[:300]
        yield curve(problem.points(met), problem.reference)


def curve(points: np.ndarray, reference: np.ndarray) -> list[float]:
    volumes, front = [], points[:0]
    for point in points:
        if (point > reference).all() and not (front >= point).all(1).any():
            front = np.concatenate([front[~(front <= point).all(1)], point[None]])
            volumes.append(hypervolume(front, reference))
        else:
            volumes.append(volumes[-1] if volumes else 0.0)
    return volumes


def score(curves: Sequence[list[float]], look: int) -> dict[str, float] | None:
    """Share of searches whose gain lay in the range, and means of gain and forecast as shares of the hypervolume."""
    pairs = [
        (forecast(c[:look], 20, MORE), c[look + MORE - 1] - c[look - 1])
        for c in curves
        if len(c) >= look + MORE
    ]
    known = [(f, gain) for f, gain in pairs if f is not None]
    if not known:
        return None
    inside = [f.low * (1 - 1e-9) <= gain <= f.high * (1 + 1e-9) for f, gain in known]
    return {
        "searches": len(known),
        "in_range": round(float(np.mean(inside)), 3),
        "gain": round(float(np.mean([gain / f.volume for f, gain in known])), 4),
        "forecast": round(float(np.mean([f.share for f, _ in known])), 4),
    }


def main() -> None:
    found = {}
    for name in NAMES:
        for method in ("random", "nsga2"):
            curves = list(searches(problems.PROBLEMS[name], method))
            for look in LOOKS:
                if answer := score(curves, look):
                    found[f"{name} {method} after {look}"] = answer
                    print(f"{name:16} {method:8} after {look:4}: {answer}", flush=True)
    every = [a["in_range"] * a["searches"] for a in found.values()]
    found["all"] = {"in_range": round(sum(every) / sum(a["searches"] for a in found.values()), 3)}
    print(found["all"])
    lines = ",\n".join(
        f" {json.dumps(name)}: {json.dumps(answer)}" for name, answer in found.items()
    )
    (HERE / "forecast.json").write_text(f"{{\n{lines}\n}}\n")


if __name__ == "__main__":
    main()
