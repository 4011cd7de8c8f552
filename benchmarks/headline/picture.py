"""Draws headline.svg and table.md from the JSON files beside this script.

python benchmarks/headline/picture.py
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from cimbo.plots.markup import Markup, tag
from cimbo.plots.svg import box, label, picture, rule

HERE = Path(__file__).parent
STUDIES = (
    "fmnist-vit",
    "fmnist-mobilenet",
    "reviews-minilm",
    "fmnist-vit-ideal-converters",
    "fmnist-mobilenet-ideal-converters",
    "ofa-mobilenetv3-imagenet",
    "vit-b-imagenet",
)
SIDES = {
    "architecture": "#4c78a8",
    "hardware": "#b279a2",
    "precision": "#54a24b",
    "joint": "#e4572e",
    "joint with precision": "#a83212",
}
HELD = "accuracy, area"
LEFT, TOP, WIDTH, ROW, GAP = 300, 76, 560, 22, 30
TICKS = (1, 1.5, 2, 3, 5, 8, 12)


def studies() -> list[dict[str, Any]]:
    found = [(name, HERE / f"{name}.json") for name in STUDIES]
    return [{"name": name, **json.loads(path.read_text())} for name, path in found if path.exists()]


def rows(study: dict[str, Any], held: str = HELD) -> list[dict[str, Any]]:
    """A row a side, in the order of SIDES."""
    found = [r for r in study["speedups"] if r["held"] == held]
    return sorted(found, key=lambda row: list(SIDES).index(row["side"]))


def called(study: dict[str, Any]) -> str:
    """The name of a study, and how it was made."""
    name = study["name"].removesuffix("-ideal-converters")
    if study.get("converters") == "described":
        arrays = "converters that err"
        if "--digital" in study["command"]:
            arrays = f"digital arrays, {len(study['seeds'])} seeds"
        return f"{name}, {arrays}, {study['budget_of_each_search']} evaluations a search"
    return f"{name}, ideal converters"


def place(speedup: float) -> float:
    """Horizontal position on a logarithmic scale."""
    return LEFT + WIDTH * math.log(min(max(speedup, 1.0), TICKS[-1])) / math.log(TICKS[-1])


def bars(study: dict[str, Any], top: float) -> list[Markup]:
    """The bars of one study, with their intervals and the seeds one by one."""
    about = called(study)
    drawn = [label((LEFT - 12, top - 8), about, text_anchor="end", font_weight="bold")]
    for i, row in enumerate(rows(study)):
        y = top + i * ROW
        end, high = place(row["speedup"]), place(row["high"])
        only = "" if row["side"].startswith("joint") else " only"
        drawn.append(label((LEFT - 12, y + 13), row["side"] + only, text_anchor="end"))
        drawn.append(box((LEFT, y + 2), (end - LEFT, 14), SIDES[row["side"]]))
        drawn.append(rule((place(row["low"]), y + 9), (high, y + 9), "#222222", stroke_width=1.5))
        for value in row["each"]:
            seed = {"cx": f"{place(value):.1f}", "cy": y + 9, "r": 2.2}
            drawn.append(tag("circle", **seed, fill="#ffffff", stroke="#222222"))
        drawn.append(label((max(high, end) + 8, y + 13), f"{row['speedup']:.2f}×"))
    return drawn


def scale(bottom: float) -> list[Markup]:
    """The grid, and what the paper reports."""
    drawn = []
    for tick in TICKS:
        x = place(tick)
        drawn.append(rule((x, TOP - 22), (x, bottom), "#dddddd"))
        drawn.append(label((x, bottom + 16), f"{tick:g}×", text_anchor="middle"))
    for claimed, side in ((1.7, "architecture"), (3.1, "joint")):
        x = place(claimed)
        drawn.append(rule((x, TOP - 22), (x, bottom), SIDES[side], stroke_dasharray="4 3"))
        drawn.append(label((x, TOP - 28), f"{claimed}×", text_anchor="middle"))
    return drawn


def draw(found: list[dict[str, Any]]) -> str:
    """The whole picture, an SVG document."""
    tops, bottom = [], TOP
    for study in found:
        tops.append(bottom)
        bottom += len(rows(study)) * ROW + GAP
    bottom += 4 - GAP
    title = "Speed-up over the baseline at its accuracy (within 0.3 points; reviews-minilm 0.5) and area"
    below = "bars: geometric mean of seeds, 95 %; dashed: CiMNet's 1.7× and 3.1× (ViT-B, ImageNet)"
    drawn = [label((LEFT, 20), title, font_weight="bold"), label((LEFT, 38), below), *scale(bottom)]
    for study, top in zip(found, tops, strict=True):
        drawn += bars(study, top)
    return picture(LEFT + WIDTH + 80, bottom + 44, *drawn, title=title)


def table(found: list[dict[str, Any]]) -> str:
    """The speed-ups of all studies as Markdown; a side that a study did not search is a dash."""
    heads = [side if side.startswith("joint") else f"{side} only" for side in SIDES]
    lines = [
        f"| study | accuracy | held besides accuracy | {' | '.join(heads)} |",
        "|---" * (3 + len(SIDES)) + "|",
    ]
    for study in found:
        for held in dict.fromkeys(r["held"] for r in study["speedups"]):
            told = {r["side"]: r for r in rows(study, held)}
            cells = [cell(told.get(side)) for side in SIDES]
            besides = held.removeprefix("accuracy").removeprefix(", ") or "the study's area limit"
            about = f"{called(study)} | {study['accuracy']['kind']} | {besides}"
            lines.append(f"| {about} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def cell(row: dict[str, Any] | None) -> str:
    """A speed-up with its interval."""
    if row is None:
        return "-"
    return f"{row['speedup']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"


if __name__ == "__main__":
    everything = studies()
    (HERE / "headline.svg").write_text(draw(everything), encoding="utf-8")
    (HERE / "table.md").write_text(table(everything), encoding="utf-8")
    print(table(everything))
