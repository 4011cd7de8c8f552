"""Published chips against the model, at the operating points of their files: area, delay, efficiency; supplies; parts.

    python benchmarks/silicon.py

Prints every chip of data/silicon/*.toml with PASS or FAIL against 20 % of area and delay and 30 % of energy, or why it
cannot be compared; then ratios between two supplies of one chip, and shares by part. Writes silicon.json beside this file.
The table of many chips is ``cimbo silicon`` and benchmarks/calibrate_silicon.py.
"""

import json
from pathlib import Path

from cimbo.hardware.published_chips import (
    ERROR_TARGETS,
    activity_curve,
    comparison,
    operating_points,
    part_shares,
)

PART_TARGET = 0.1  # of a share


def verdict(row: dict) -> str:
    if row["not_comparable"]:
        return f"not comparable: {row['not_comparable']}"
    return "PASS" if abs(row["error"]) <= ERROR_TARGETS[row["quantity"]] else "FAIL"


def number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def main() -> None:
    rows = [row | {"verdict": verdict(row)} for row in comparison()]
    print(f"{'chip':18s}{'':8s}{'modelled':>10s}{'reported':>10s}{'error':>8s}")
    for row in rows:
        figures = f"{number(row['modelled'], '.4g'):>10s}{number(row['reported'], '.4g'):>10s}"
        errors = f"{number(row['error'], '+.1%'):>8s}"
        print(f"{row['chip']:18s}{row['quantity']:8s}{figures}{errors}  {row['verdict']}")
    for quantity, target in ERROR_TARGETS.items():
        comparable = [r for r in rows if r["quantity"] == quantity and not r["not_comparable"]]
        good = sum(row["verdict"] == "PASS" for row in comparable)
        print(f"{quantity}: {good} of {len(comparable)} comparable chips within {target:.0%}")
    points, parts, curve = operating_points(), part_shares(), activity_curve()
    for row in points:
        print(
            f"{row['chip']}: {row['quantity']} x{row['modelled']:.2f}, reported x{row['reported']:.2f}"
        )
    for row in parts:
        print(
            f"{row['chip']}: {row['quantity']} of {row['part']} {row['modelled']:.0%}, reported {row['reported']:.0%}"
        )
    for row in curve:
        print(
            f"{row['chip']}: energy at a mean output of {row['mean_output']} {row['modelled']:.0%} of the largest, "
            f"reported {row['reported']:.0%}"
        )
    compared = [*parts, *curve]
    near = sum(abs(row["modelled"] - row["reported"]) <= PART_TARGET for row in compared)
    print(f"parts: {near} of {len(compared)} within {100 * PART_TARGET:.0f} percentage points")
    report = {"chips": rows, "supplies": points, "parts": parts, "activity": curve}
    text = json.dumps(report, indent=1) + "\n"
    Path(__file__).with_suffix(".json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
