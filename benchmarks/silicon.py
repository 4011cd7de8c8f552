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
    comparison,
    macro_figures,
    operating_points,
    published_chips,
)


def verdict(row: dict) -> str:
    if row["not_comparable"]:
        return f"not comparable: {row['not_comparable']}"
    return "PASS" if abs(row["error"]) <= ERROR_TARGETS[row["quantity"]] else "FAIL"


def number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def shares() -> list[dict]:
    """Area shares by part, modelled beside published."""
    rows = []
    for name, entry in published_chips().items():
        if "area_shares" in entry:
            ours = macro_figures(entry)["area_shares"]
            for part, said in entry["area_shares"].items():
                rows.append({"chip": name, "part": part, "modelled": ours[part], "reported": said})
    return rows


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
    points, parts = operating_points(), shares()
    for row in points:
        print(
            f"{row['chip']}: {row['quantity']} x{row['modelled']:.2f}, reported x{row['reported']:.2f}"
        )
    for row in parts:
        print(f"{row['chip']}: area of {row['part']} {row['modelled']:.0%}, {row['reported']:.0%}")
    report = {"chips": rows, "supplies": points, "area shares": parts}
    text = json.dumps(report, indent=1) + "\n"
    Path(__file__).with_suffix(".json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
