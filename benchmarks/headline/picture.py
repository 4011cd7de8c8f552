"""Draws headline.svg and table.md from the JSON files beside this script.

python benchmarks/headline/picture.py
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
STUDIES = ("fmnist-vit", "fmnist-mobilenet", "ofa-mobilenetv3-imagenet", "vit-b-imagenet")
SIDES = {"architecture": "#4c78a8", "hardware": "#b279a2", "joint": "#e4572e"}
HELD = "accuracy, area"
LEFT, TOP, WIDTH, ROW, GAP = 300, 76, 560, 22, 30
TICKS = (1, 1.5, 2, 3, 5, 8, 12)


def studies() -> list[dict[str, Any]]:
    found = [(name, HERE / f"{name}.json") for name in STUDIES]
    return [{"name": name, **json.loads(path.read_text())} for name, path in found if path.exists()]


def rows(study: dict[str, Any], held: str = HELD) -> list[dict[str, Any]]:
    return [r for r in study["speedups"] if r["held"] == held]


def place(speedup: float) -> float:
    """Horizontal position on a logarithmic scale."""
    return LEFT + WIDTH * math.log(min(max(speedup, 1.0), TICKS[-1])) / math.log(TICKS[-1])


def bars(study: dict[str, Any], top: float) -> list[str]:
    about = f"{study['name']}: accuracy {study['accuracy']['kind']}"
    drawn = [f'<text x="{LEFT - 12}" y="{top - 8}" class="name">{about}</text>']
    for i, r in enumerate(rows(study)):
        y = top + i * ROW
        low, high, colour = place(r["low"]), place(r["high"]), SIDES[r["side"]]
        drawn += [
            f'<text x="{LEFT - 12}" y="{y + 13}" class="side">{r["side"]}{" only" if r["side"] != "joint" else ""}</text>',
            f'<rect x="{LEFT}" y="{y + 2}" width="{place(r["speedup"]) - LEFT:.1f}" height="14" fill="{colour}"/>',
            f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{y + 9}" y2="{y + 9}" class="interval"/>',
            *(
                f'<circle cx="{place(v):.1f}" cy="{y + 9}" r="2.2" class="seed"/>'
                for v in r["each"]
            ),
            f'<text x="{max(high, place(r["speedup"])) + 8:.1f}" y="{y + 13}">{r["speedup"]:.2f}×</text>',
        ]
    return drawn


def scale(bottom: float) -> list[str]:
    drawn = []
    for tick in TICKS:
        x = place(tick)
        drawn.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 22}" y2="{bottom}" class="grid"/>'
        )
        drawn.append(f'<text x="{x:.1f}" y="{bottom + 16}" class="tick">{tick:g}×</text>')
    for claimed, what in ((1.7, "architecture"), (3.1, "joint")):
        x = place(claimed)
        drawn.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 22}" y2="{bottom}" stroke="{SIDES[what]}" class="claim"/>'
        )
        drawn.append(f'<text x="{x:.1f}" y="{TOP - 28}" class="tick">{claimed}×</text>')
    return drawn


def picture(found: list[dict[str, Any]]) -> str:
    tops = [TOP + i * (len(SIDES) * ROW + GAP) for i in range(len(found))]
    bottom = tops[-1] + len(SIDES) * ROW + 4
    style = (
        "text{font:12px sans-serif;fill:#222}.name,.side{text-anchor:end}.name{font-weight:bold}.tick{text-anchor:middle}"
        ".grid{stroke:#ddd}.claim{stroke-dasharray:4 3}.interval{stroke:#222;stroke-width:1.5}.seed{fill:#fff;stroke:#222}"
    )
    title = "Speed-up over the baseline at its accuracy (within 0.3 points) and area"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 80} {bottom + 44}" role="img">',
        f"<title>{title}</title><style>{style}</style>",
        f'<rect width="100%" height="100%" fill="#fff"/><text x="{LEFT}" y="20" font-weight="bold">{title}</text>',
        f'<text x="{LEFT}" y="38">bars: geometric mean of the seeds, 95 % interval; dashed: CiMNet\'s 1.7× and 3.1×</text>',
        *scale(bottom),
        *(line for study, top in zip(found, tops, strict=True) for line in bars(study, top)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def table(found: list[dict[str, Any]]) -> str:
    lines = [
        "| study | accuracy | held besides accuracy | architecture only | hardware only | joint |",
        "|---" * 6 + "|",
    ]
    for study in found:
        for held in dict.fromkeys(r["held"] for r in study["speedups"]):
            cells = [
                f"{r['speedup']:.2f} [{r['low']:.2f}, {r['high']:.2f}]" for r in rows(study, held)
            ]
            besides = held.removeprefix("accuracy").removeprefix(", ") or "the study's area limit"
            lines.append(
                f"| {study['name']} | {study['accuracy']['kind']} | {besides} | {' | '.join(cells)} |"
            )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    everything = studies()
    (HERE / "headline.svg").write_text(picture(everything), encoding="utf-8")
    (HERE / "table.md").write_text(table(everything), encoding="utf-8")
    print(table(everything))
