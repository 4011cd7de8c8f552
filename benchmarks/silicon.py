"""Published chips against the model: area, delay and efficiency of the macro alone, at the operating point of its file.

    python benchmarks/silicon.py

Prints every chip, the comparable figures with PASS or FAIL against 20 % of area and delay and 30 % of energy, the others
with why they cannot be compared; "plain" is the nearest array of the performance model, without the chip's own circuits.
Writes silicon.json beside this file.
"""

import json
from pathlib import Path

from cimbo.hardware.silicon import TARGETS, comparison


def verdict(row: dict) -> str:
    if row["not_comparable"]:
        return f"not comparable: {row['not_comparable']}"
    return "PASS" if abs(row["error"]) <= TARGETS[row["quantity"]] else "FAIL"


def number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def main() -> None:
    rows = [row | {"verdict": verdict(row)} for row in comparison()]
    print(f"{'chip':18s}{'':8s}{'modelled':>10s}{'reported':>10s}{'error':>8s}{'plain':>10s}")
    for row in rows:
        figures = f"{number(row['modelled'], '.4g'):>10s}{number(row['reported'], '.4g'):>10s}"
        errors = f"{number(row['error'], '+.1%'):>8s}{number(row['plain'], '.4g'):>10s}"
        print(f"{row['chip']:18s}{row['quantity']:8s}{figures}{errors}  {row['verdict']}")
    for quantity, target in TARGETS.items():
        comparable = [
            row for row in rows if row["quantity"] == quantity and not row["not_comparable"]
        ]
        good = sum(row["verdict"] == "PASS" for row in comparable)
        print(f"{quantity}: {good} of {len(comparable)} comparable chips within {target:.0%}")
    Path(__file__).with_suffix(".json").write_text(
        json.dumps(rows, indent=1) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main()
