"""Only `predictors`, with a plain evolutionary loop of one's own: find a good network in 80 measurements.

    python examples/predictors_plain_loop.py

The objective here is a formula that stands for a measurement of minutes. Swap `measure` for yours, and the loop for any
optimiser: Optuna, pymoo, a shell script. All it takes from `predictors` is `fit` and `sample`.
"""

from __future__ import annotations

import random

import numpy as np

import predictors
from predictors import Feature, Schema

BLOCKS = range(16)
GENES = {
    "depth": (8, 12, 16),
    **{f"kernel_{i}": (3, 5, 7) for i in BLOCKS},
    "activation": ("relu", "swish"),
}


def canonical(design: dict) -> dict:
    """Blocks beyond the depth do not exist, so their genes are absent: equal networks, equal rows."""
    kept = {
        k: v
        for k, v in design.items()
        if not k.startswith("kernel_") or int(k[7:]) < design["depth"]
    }
    return kept | {
        "log_macs": float(np.log(sum(v**2 for k, v in kept.items() if k.startswith("kernel_"))))
    }


def measure(design: dict) -> float:
    """Accuracy in per cent less a price for size."""
    kernels = [v for k, v in design.items() if k.startswith("kernel_")]
    early = sum(np.sqrt(v) * (1 + i % 3) for i, v in enumerate(kernels))
    size = np.exp(design["log_macs"])
    return 60 + 0.3 * early + (design["activation"] == "swish") - 0.02 * size


SCHEMA = Schema(
    (
        Feature("depth", "ordinal", GENES["depth"]),
        *(Feature(f"kernel_{i}", "ordinal", (3, 5, 7)) for i in BLOCKS),
        Feature("activation", "nominal", GENES["activation"]),
        Feature("log_macs", "numeric"),
    ),
    "accuracy",
    "%",
)


def random_design(rng: random.Random) -> dict:
    return {name: rng.choice(values) for name, values in GENES.items()}


def mutant(design: dict, rng: random.Random) -> dict:
    full = random_design(rng) | {k: v for k, v in design.items() if k in GENES}
    for name in rng.sample(list(GENES), 2):
        full[name] = rng.choice(GENES[name])
    return full


def search(budget: int = 80, batch: int = 5, seed: int = 0) -> list[tuple[dict, float]]:
    """Thompson sampling: each pick of a batch is the best candidate of one joint posterior sample."""
    rng = random.Random(seed)  # noqa: S311
    seen = [canonical(random_design(rng)) for _ in range(20)]
    values = [measure(d) for d in seen]
    while len(seen) < budget:
        model = predictors.fit(seen, values, SCHEMA, kind="gp")
        best = sorted(zip(values, range(len(seen)), strict=True), reverse=True)[:10]
        pool = [mutant(seen[rng.choice(best)[1]], rng) for _ in range(200)] + [
            random_design(rng) for _ in range(100)
        ]
        pool = [c for c in map(canonical, pool) if c not in seen]
        samples = model.sample(pool, batch, seed=len(seen))
        for i in dict.fromkeys(samples.argmax(axis=1).tolist()):
            if pool[i] not in seen:
                seen.append(pool[i])
                values.append(measure(pool[i]))
    return list(zip(seen, values, strict=True))[:budget]


def main() -> dict[str, float]:
    found = search()
    rng = random.Random(1)  # noqa: S311
    at_random = max(measure(canonical(random_design(rng))) for _ in range(len(found)))
    best = max(found, key=lambda pair: pair[1])
    print(f"best of {len(found)}: {best[1]:.3f} with {best[0]}")
    print(f"best of {len(found)} at random: {at_random:.3f}")
    return {"best": best[1], "random": at_random}


if __name__ == "__main__":
    main()
