"""The model beside ZigZag-IMC's recorded results: cycles of networks and layers, side by side.

    python benchmarks/agreement.py [GOLDEN_FOLDER]

ResNet-50 comes from tests/hardware/zigzag_resnet50.json (recorded by record_zigzag.py), more points and networks of the same
form from GOLDEN_FOLDER's reference_points.json and zigzag_networks.json. Prints ratios ours / reference and writes
agreement.json beside this file: by the law as every search uses it; reads and loads counted as ZigZag does (zigzag_counting);
and with windows cut anywhere (whole_kernels 0), which no mapper of loop nests does. Where a mapping spills, ours is a bound and
the ratio may lie far below one.
"""

import argparse
import json
import sys
from pathlib import Path

from cimbo.hardware import simulate
from cimbo.workloads.layers import Workload

TESTS = Path(__file__).resolve().parents[1] / "tests/hardware"
sys.path.insert(0, str(TESTS))
from zigzag_layers import gemm, network_layers, zigzag_chip  # noqa: E402


def compare(case: tuple[str, float], workload: Workload, chip: dict) -> dict:
    ways = {
        "ratio": {},
        "ratio_zigzag_counting": {"zigzag_counting": 1},
        "ratio_cut_anywhere": {"whole_kernels": 0},
    }
    ours = simulate(workload, chip | {"zigzag_counting": 0})
    row = {
        "case": case[0],
        "ours": ours["cycles"],
        "reference": case[1],
        "is_bound": ours["is_bound"],
    }
    for name, change in ways.items():
        row[name] = simulate(workload, chip | {"zigzag_counting": 0} | change)["cycles"] / case[1]
    return row


def layers(points: list[dict]) -> list[dict]:
    rows = []
    for point in points:
        if not point["tool"].startswith("zigzag") or "loop_dims" not in point:
            continue
        layer = gemm(
            point["layer"], dict(zip(point["loop_dims"], point["loop_sizes"], strict=True))
        )
        rows.append(
            compare(
                (point["id"], point["cycles"]),
                Workload("layer", (layer,)),
                zigzag_chip(point["hw_overrides"]),
            )
        )
    return rows


def networks(recorded: list[dict]) -> list[dict]:
    rows = []
    for entry in recorded:
        workload = Workload(entry["net"], tuple(network_layers(entry)))
        case = (f"{entry['net']}/{entry['hw']}", entry["cycles"])
        rows.append(compare(case, workload, zigzag_chip(entry["hw_overrides"])))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("golden", type=Path, nargs="?", help="a folder with more recorded points")
    folder = parser.parse_args().golden
    rows = networks(json.loads((TESTS / "zigzag_resnet50.json").read_text()))
    if folder is not None:
        rows += networks(json.loads((folder / "zigzag_networks.json").read_text()))
        rows += layers(json.loads((folder / "reference_points.json").read_text())["points"])
    print(f"{'case':46s}{'ours':>14s}{'reference':>14s}{'ratio':>8s}{'counted':>8s}{'cut':>8s}")
    for row in rows:
        ratios = "".join(
            f"{row[name]:8.3f}" for name in ("ratio", "ratio_zigzag_counting", "ratio_cut_anywhere")
        )
        note = "  lower bound" if row["is_bound"] else ""
        print(f"{row['case']:46s}{row['ours']:14,.0f}{row['reference']:14,.0f}{ratios}{note}")
    Path(__file__).with_suffix(".json").write_text(
        json.dumps(rows, indent=1) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main()
