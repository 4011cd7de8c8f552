"""Which genes matter, as a heat map."""

from __future__ import annotations

from collections.abc import Mapping

from cimbo.plots.markup import Markup
from cimbo.plots.svg import box, label, picture

CELL_WIDTH, CELL_HEIGHT = 80, 20  # pixels
LEFT_MARGIN, TOP_MARGIN = 150, 90  # pixels, for the names of features and columns
DARKEST_TONE, TONES = 80, 175


def heat_map(columns: Mapping[str, Mapping[str, float]]) -> str:
    """Draws shares by feature, features down and one column a name across; darker matters more.

    Args:
        columns: By column (objectives, measures of one model, or models) the share of each feature, in 0 to 1.

    Returns:
        An SVG document. Features come by their largest share, those that matter most first.
    """
    features = list(dict.fromkeys(f for column in columns.values() for f in column))
    features.sort(key=lambda f: -max(column.get(f, 0.0) for column in columns.values()))
    drawn = [
        label((LEFT_MARGIN - 6, _top(j) + 14), feature, text_anchor="end")
        for j, feature in enumerate(features)
    ]
    for i, (name, column) in enumerate(columns.items()):
        left = LEFT_MARGIN + CELL_WIDTH * i
        largest = max(column.values()) or 1.0
        drawn.append(label((left + CELL_WIDTH / 2, TOP_MARGIN - 8), name, text_anchor="middle"))
        for j, feature in enumerate(features):
            drawn += _cell(left, _top(j), column.get(feature, 0.0), largest)
    width = LEFT_MARGIN + CELL_WIDTH * len(columns) + 10
    return picture(width, _top(len(features)) + 10, *drawn, title="Which genes matter")


def _top(row: int) -> float:
    return TOP_MARGIN + CELL_HEIGHT * row


def _cell(left: float, top: float, share: float, largest: float) -> list[Markup]:
    """A rectangle and its share in per cent; its tone goes with the root, so that small shares stay visible."""
    tone = round(DARKEST_TONE + TONES * (1 - (share / largest) ** 0.5))
    size = (CELL_WIDTH, CELL_HEIGHT)
    return [
        box((left, top), size, f"rgb({tone},{tone},255)", stroke="white"),
        label((left + CELL_WIDTH / 2, top + 14), f"{share:.1%}", text_anchor="middle"),
    ]
