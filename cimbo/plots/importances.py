"""Which genes matter, as a heat map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cimbo.plots.markup import Markup
from cimbo.plots.svg import box, label, picture
from cimbo.plots.text_size import shortened, text_width, wrapped

LEAST_CELL_WIDTH, MOST_CELL_WIDTH, CELL_HEIGHT = 80, 150, 20  # pixels
MOST_LEFT = 420  # pixels for the names of features; longer ones are cut with an ellipsis
HEAD_LINE = 15  # pixels of a line of a column's name
SIDE_MARGIN = 10  # pixels around everything
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
    names = [shortened(feature, MOST_LEFT) for feature in features]
    left = SIDE_MARGIN + max((text_width(name) for name in names), default=0.0) + 6
    widest = max((text_width(name) + 12 for name in columns), default=0.0)
    across_cell = min(max(widest, LEAST_CELL_WIDTH), MOST_CELL_WIDTH)
    heads = [wrapped(name, across_cell - 12) for name in columns]
    top = SIDE_MARGIN + HEAD_LINE * max((len(head) for head in heads), default=1) + 6
    drawn = []
    for j, name in enumerate(names):
        drawn.append(label((left - 6, top + CELL_HEIGHT * j + 14), name, text_anchor="end"))
    for i, (head, column) in enumerate(zip(heads, columns.values(), strict=True)):
        across = left + across_cell * i
        drawn += _head(head, (across + across_cell / 2, top - 8))
        largest = max(column.values(), default=0.0) or 1.0
        for j, feature in enumerate(features):
            place = (across, top + CELL_HEIGHT * j)
            size = (across_cell, CELL_HEIGHT)
            drawn.append(box(place, size, _tone(column.get(feature, 0.0), largest), stroke="white"))
            share = f"{column.get(feature, 0.0):.1%}"
            middle = (across + across_cell / 2, place[1] + 14)
            drawn.append(label(middle, share, text_anchor="middle"))
    width = left + across_cell * len(columns) + SIDE_MARGIN
    height = top + CELL_HEIGHT * len(features) + SIDE_MARGIN
    return picture(width, height, *drawn, title="Which genes matter")


def _head(lines: Sequence[str], place: tuple[float, float]) -> list[Markup]:
    """A column's name in lines, the last one at ``place``."""
    across, bottom = place
    drawn = []
    for i, line in enumerate(reversed(lines)):
        drawn.append(label((across, bottom - HEAD_LINE * i), line, text_anchor="middle"))
    return drawn


def _tone(share: float, largest: float) -> str:
    """A colour that goes with the root of the share, so that small shares stay visible."""
    root = min(max(share / largest, 0.0), 1.0) ** 0.5
    tone = round(DARKEST_TONE + TONES * (1 - root))
    return f"rgb({tone},{tone},255)"
