"""At which ends of their ranges the genes of a front's chips stand, and why they go no further.

    python benchmarks/space_ends.py [STUDY.db]        (some seconds)

Without a study, the recorded search of the default preset (fmnist-vit, 200 evaluations) is replayed, as ``cimbo demo`` does.
Prints each ordered gene with the share of the front at its smallest and its largest value, and writes space_ends.json beside
this file. A gene in more than 80 % of the front at one end, without a reason, asks for a wider range.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cimbo.analysis.space_ends import MOST_AT_AN_END
from cimbo.hardware import range_reason
from cimbo.problem.space import Choice
from cimbo.session.demo import demo
from cimbo.session.front import front_records
from cimbo.session.opening import open_existing

HERE = Path(__file__).parent


def shares(choice: Choice, designs: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """How many of the designs have a gene at either end; None for one without an order, or that none of them has."""
    values = [design[choice.name] for design in designs if choice.name in design]
    if not choice.ordered or len(choice.values) < 2 or not values:
        return None
    row: dict[str, Any] = {"gene": choice.name, "designs": len(values)}
    for end, value in (("smallest", choice.values[0]), ("largest", choice.values[-1])):
        share = values.count(value) / len(values)
        row[end] = {"value": value, "share": share}
        if share > MOST_AT_AN_END:
            row[end]["reason"] = range_reason(choice.name, end, value)
    return row


def main() -> None:
    with TemporaryDirectory() as folder:
        file = Path(sys.argv[1]) if len(sys.argv) > 1 else demo(Path(folder) / "demo.db").file
        with open_existing(file) as session:
            study = session.study
            designs = [record.params for record in front_records(study)]
            genes = study.problem.space.hardware
            about = {"evaluations": len(study.evaluations()), "designs": len(designs)}
    rows = [row for row in (shares(choice, designs) for choice in genes) if row is not None]
    print(f"{about['designs']} designs of {about['evaluations']} evaluations")
    for row in rows:
        ends = [(row[end]["value"], row[end]["share"]) for end in ("smallest", "largest")]
        told = ", ".join(f"{value} in {share:.0%}" for value, share in ends)
        reasons = [row[end]["reason"] for end in ("smallest", "largest") if "reason" in row[end]]
        print(f"{row['gene']:18s}{told:40s}{'; '.join(str(reason) for reason in reasons)}")
    text = json.dumps(about | {"genes": rows}, indent=1) + "\n"
    (HERE / "space_ends.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
