"""Records what ``cimbo demo`` replays, and the picture of the README.

    python benchmarks/record_demo.py FOLDER

runs in FOLDER the README's search, `cimbo optimize --budget 200`, and as many designs drawn without a model,
`cimbo fit-predictors --samples 200 --study random.db`; what is there already is not measured again. It then writes the genes,
accuracies and predictions of accuracy to data/demo/, and the front of the replayed search, with what would be verified next, to
docs/front.svg (needs matplotlib). Costs are not recorded: the demo simulates its chips.
"""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

from cimbo import Study
from cimbo.study import records_table

ROOT = Path(__file__).resolve().parent.parent
KEPT = ("accuracy", records_table.TEST_COLUMN, "predicted_accuracy", "predicted_accuracy_std")
RUNS = {
    "search": ("cimbo.db", ["optimize", "--budget", "200"]),
    "random": ("random.db", ["fit-predictors", "--samples", "200"]),
}


def cimbo(*words: str, folder: Path) -> None:
    """Run one command in ``folder``. Raises CalledProcessError when it fails."""
    subprocess.run([sys.executable, "-m", "cimbo", *words], cwd=folder, check=True)


def record(file: Path, out: Path) -> None:
    """Write the evaluations of the study in ``file`` as the demo reads them."""
    with Study.open(file, readonly=True) as study:
        genes = set(study.problem.space.names)
        rows = records_table.rows(study.evaluations(), study.test_accuracies())
    columns = list(
        dict.fromkeys(
            name
            for row in rows
            for name in row
            if name in genes or name in (*records_table.RECORD_COLUMNS, *KEPT)
        )
    )
    with out.open("w", newline="", encoding="utf-8") as table:
        writer = csv.DictWriter(
            table, columns, restval="", extrasaction="ignore", lineterminator="\n"
        )
        writer.writeheader()
        writer.writerows({k: _short(k, v) for k, v in row.items()} for row in rows)


def _short(name: str, value: object) -> object:
    """Seconds and predictions to four digits, accuracies without the binary noise of 88.66000000000001."""
    digits = 4 if name.startswith(("seconds", "predicted")) else 10
    return float(f"{value:.{digits}g}") if isinstance(value, float) else value


def main() -> None:
    """Search where nothing was searched yet, write the tables, draw."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, (file, command) in RUNS.items():
        cimbo(*command, "--study", file, folder=folder)
        record(folder / file, ROOT / "data" / "demo" / f"{name}.csv")
    for file in (folder / "demo.db", folder / "demo-random.db"):
        file.unlink(missing_ok=True)
    cimbo("demo", folder=folder)
    cimbo(
        "plot",
        "--study",
        "demo.db",
        "--next",
        "6",
        "-o",
        str(ROOT / "docs" / "front.svg"),
        folder=folder,
    )


if __name__ == "__main__":
    main()
