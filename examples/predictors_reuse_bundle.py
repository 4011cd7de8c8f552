"""Fit accuracy once, reuse it for every chip: an old bundle under a new hardware space, and an old latency as prior.

    python examples/predictors_reuse_bundle.py

1. A first team measures accuracy of 80 networks and latency of 150 (network, chip) pairs on small chips, and saves both.
2. A second team searches larger chips with a gene that the first never had. Accuracy needs no new measurement. Latency
   starts from the old model as mean function, with 15 measurements of its own.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

import predictors
from predictors import Feature, Schema

NETWORK = (
    *(Feature(f"kernel_{i}", "ordinal", (3, 5, 7)) for i in range(6)),
    Feature("log_macs", "numeric"),
)
OLD_CHIP = (Feature("rows", "ordinal", (64, 128)), Feature("adc_bits", "ordinal", (4, 6, 8)))
NEW_CHIP = (
    Feature("rows", "ordinal", (64, 128, 256, 512)),
    OLD_CHIP[1],
    Feature("buffer", "nominal", ("sram", "edram")),
)


def designs(features: tuple[Feature, ...], n: int, seed: int) -> list[dict]:
    rng = np.random.default_rng(seed)
    rows = [
        {f.name: f.values[rng.integers(len(f.values))] for f in features if f.values}
        for _ in range(n)
    ]
    for row in rows:
        row["log_macs"] = float(
            np.log(sum(v**2 for k, v in row.items() if k.startswith("kernel_")))
        )
    return rows


def accuracy(row: dict) -> float:
    return 70 + sum(np.sqrt(row[f"kernel_{i}"]) / (i + 1) for i in range(6)) + 0.3 * row["log_macs"]


def latency_ms(row: dict) -> float:
    waiting = 1.3 if row.get("buffer") == "edram" else 1.0
    return float(0.01 * np.exp(row["log_macs"]) * row["adc_bits"] * waiting / row["rows"] ** 0.7)


def first_team(folder: Path) -> None:
    networks, pairs = designs(NETWORK, 80, 0), designs(NETWORK + OLD_CHIP, 150, 1)
    measured = predictors.fit(
        networks, [accuracy(r) for r in networks], Schema(NETWORK, "accuracy", "%")
    )
    timed = predictors.fit(
        pairs, [latency_ms(r) for r in pairs], Schema(NETWORK + OLD_CHIP, "latency", "ms", log=True)
    )
    predictors.save(measured, folder / "accuracy.cimpred", licence="CC-BY-4.0")
    predictors.save(timed, folder / "latency.cimpred", licence="CC-BY-4.0")


def second_team(folder: Path, n: int = 15) -> dict[str, float]:
    """Error of the reused accuracy (points), of latency with and without the old model (share)."""
    pairs, later = designs(NETWORK + NEW_CHIP, n, 2), designs(NETWORK + NEW_CHIP, 300, 3)
    reused = predictors.load(
        folder / "accuracy.cimpred"
    )  # reads the genes it knows, ignores the chip's
    schema = Schema(NETWORK + NEW_CHIP, "latency", "ms", log=True)
    old, y = predictors.load(folder / "latency.cimpred"), [latency_ms(r) for r in pairs]
    with_old = predictors.fit(pairs, y, schema, "gp", mean=old)
    alone = predictors.fit(pairs, y, schema, "gp")
    print(f"latency: {with_old.selection_reason}")
    truth = [latency_ms(r) for r in later]
    return {
        "accuracy_rmse": predictors.score([accuracy(r) for r in later], reused.predict(later)).rmse,
        "latency_mape_with_old": predictors.score(truth, with_old.predict(later)).mape,
        "latency_mape_alone": predictors.score(truth, alone.predict(later)).mape,
    }


def main() -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        first_team(Path(folder))
        for name, manifest in predictors.bundles(folder).items():
            print(f"{name}: {manifest['model']['why']}, {manifest['licence']}")
        errors = second_team(Path(folder))
    print(errors)
    return errors


if __name__ == "__main__":
    main()
