"""Which genes matter, as a heat map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cimbo.plots.markup import Markup
from cimbo.plots.svg import box, label, lines_above, picture
from cimbo.plots.text_size import shortened, text_width, wrapped

LEAST_CELL_WIDTH, MOST_CELL_WIDTH, CELL_HEIGHT = 80, 150, 20  # pixels
MOST_LEFT = 420  # pixels for the names of features; longer ones are cut with an ellipsis
HEAD_LINE = 15  # pixels of a line of a column's name
SIDE_MARGIN = 10  # pixels around everything
NAME_GAP = 6  # pixels between names and cells
HEAD_PADDING = 12  # pixels by which a cell is wider than its column's name
BASELINE_IN_CELL = 14  # pixels from the top of a cell to the base line of its text
# Red and green of the darkest cell, and how much lighter the lightest is; blue is always 255.
DARKEST_TONE, TONES = 80, 175


def heat_map(columns: Mapping[str, Mapping[str, float]]) -> str:
    """Draw a table of shares: a row for each feature, and a darker cell where it matters more.

    Args:
        columns: For each column (an objective, a measure of one model, or a model) the share of each feature, 0 to 1.

    Returns:
        An SVG document. Features are sorted by their largest share, those that matter most first.
    """
    features = _sorted_features(columns)
    names = [shortened(feature, MOST_LEFT) for feature in features]
    left = SIDE_MARGIN + max((text_width(name) for name in names), default=0.0) + NAME_GAP
    widest = max((text_width(name) + HEAD_PADDING for name in columns), default=0.0)
    cell_width = min(max(widest, LEAST_CELL_WIDTH), MOST_CELL_WIDTH)
    heads = [wrapped(name, cell_width - HEAD_PADDING) for name in columns]
    top = SIDE_MARGIN + HEAD_LINE * max((len(head) for head in heads), default=1) + NAME_GAP
    drawn = []
    for row, name in enumerate(names):
        baseline = top + CELL_HEIGHT * row + BASELINE_IN_CELL
        drawn.append(label((left - NAME_GAP, baseline), name, text_anchor="end"))
    for number, (head, column) in enumerate(zip(heads, columns.values(), strict=True)):
        across = left + cell_width * number
        drawn += _head(head, (across + cell_width / 2, top - 8))
        shares = [column.get(feature, 0.0) for feature in features]
        drawn += _cells(shares, (across, top), cell_width)
    width = left + cell_width * len(columns) + SIDE_MARGIN
    height = top + CELL_HEIGHT * len(features) + SIDE_MARGIN
    return picture(width, height, *drawn, title="Which genes matter")


def _sorted_features(columns: Mapping[str, Mapping[str, float]]) -> list[str]:
    """All features, that with the largest share in some column first."""
    largest: dict[str, float] = {}
    for column in columns.values():
        for feature, share in column.items():
            largest[feature] = max(share, largest.get(feature, 0.0))
    return sorted(largest, key=lambda feature: -largest[feature])


def _cells(shares: Sequence[float], place: tuple[float, float], width: float) -> list[Markup]:
    """One column of the table, with its upper left corner at ``place``."""
    across, top = place
    largest = max(shares, default=0.0) or 1.0
    drawn = []
    for row, share in enumerate(shares):
        corner = (across, top + CELL_HEIGHT * row)
        drawn.append(box(corner, (width, CELL_HEIGHT), _tone(share, largest), stroke="white"))
        middle = (across + width / 2, corner[1] + BASELINE_IN_CELL)
        drawn.append(label(middle, f"{share:.1%}", text_anchor="middle"))
    return drawn


def _head(lines: Sequence[str], place: tuple[float, float]) -> list[Markup]:
    """The name of a column, in lines of which the last is at ``place``."""
    return list(lines_above(place, lines, HEAD_LINE, text_anchor="middle"))


def _tone(share: float, largest: float) -> str:
    """A colour that goes with the root of the share, so that small shares stay visible."""
    root = min(max(share / largest, 0.0), 1.0) ** 0.5
    tone = round(DARKEST_TONE + TONES * (1 - root))
    return f"rgb({tone},{tone},255)"
