"""The passes of a layer of several groups, listed one after the other.

The tiles of a layer stand in a line: strip after strip, and group after group. A strip is one column of tiles, which together
hold all weight rows of some outputs; a group of a grouped convolution is so many strips. Macros take the tiles in that order,
as many in each pass as there are macros, so a pass may begin and end in the middle of a strip or of a group. What it costs
follows from where it begins and ends::

    strips   |  0  |  1  |  2  ||  3  |  4  |  5  ||
    groups   |        0        ||        1        ||
    passes   |   0   |   1   |   2   |   3   |  4 |

The last tile of a strip may lack rows ("short"), the last strip of a group may lack columns ("ragged").
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cimbo.hardware.rows import Floats, Indices
from cimbo.hardware.tiling import Tiling


@dataclass(frozen=True)
class Pass:
    """Passes, each column with one element for each kind of pass of a row, or for each pass of a list.

    Attributes:
        number: How many passes of the kind there are; 1 in a list.
        rows: Weight rows in a pass.
        inputs: Share of all inputs that a pass reads.
        results: Share of all results that a pass completes.
        weights: Share of all weights that a pass holds.
    """

    number: Floats | int
    rows: Floats
    inputs: Floats
    results: Floats
    weights: Floats


@dataclass(frozen=True)
class ListedPasses:
    """The passes of some rows, each by itself.

    Attributes:
        rows: Rows whose passes are listed, (listed rows,).
        row_of: For each pass the index into ``rows``, (passes,).
        each: The passes, columns of shape (passes,).
        cut: Share of all results in the strip that each pass leaves to the next one, (passes,).
    """

    rows: Indices
    row_of: Indices
    each: Pass
    cut: Floats


def list_passes(tiling: Tiling, macros: Floats, number: Floats, rows: Indices) -> ListedPasses:
    """List every pass of some rows.

    Args:
        tiling: The tiles, columns of shape (all rows,).
        macros: Macros at work in each row, (all rows,).
        number: Passes of each row, (all rows,).
        rows: The rows to list.

    Returns:
        Their passes.
    """
    count = number[rows].astype(int)
    row_of = np.repeat(np.arange(rows.size), count)
    row_of_pass = rows[row_of]
    tiles = _Tiles.of(tiling, row_of_pass)
    span = _Span.of(tiles, index=_counted_up(count), macros=macros[row_of_pass])
    # All tiles of a pass are counted as full, then what short and ragged ones lack is taken off.
    held_rows = (span.end - span.first) * tiles.rows - span.strips * tiles.short_rows
    ragged_rows = _ragged_tiles(span, tiles) * tiles.rows - span.groups * tiles.short_rows
    weights = held_rows * tiles.width - ragged_rows * tiles.missing_width
    results = span.strips * tiles.width - span.groups * tiles.missing_width
    each = Pass(
        number=1,
        rows=held_rows,
        inputs=_rows_read(span, tiles) / tiles.strip_rows,
        results=results / tiles.groups,
        weights=weights / tiles.strip_rows,
    )
    return ListedPasses(rows, row_of, each, _cut_results(span, tiles))


def _counted_up(number: Indices) -> Indices:
    """Number the passes of each row from 0: [2, 3] gives [0, 1, 0, 1, 2]."""
    before = np.cumsum(number) - number
    return np.arange(number.sum()) - np.repeat(before, number)


@dataclass(frozen=True)
class _Tiles:
    """The tiles of the layer that each pass belongs to; columns of shape (passes,).

    Attributes:
        number: Tiles of the whole layer.
        height: Tiles of a strip.
        group: Tiles of a group.
        groups: Groups of the layer.
        rows: Weight rows of a full tile.
        short_rows: Rows that the last tile of a strip lacks.
        strip_rows: Weight rows of a strip.
        width: Share of a group's results that a strip computes.
        missing_width: What the last strip of a group lacks of it.
    """

    number: Floats
    height: Floats
    group: Floats
    groups: Floats
    rows: Floats
    short_rows: Floats
    strip_rows: Floats
    width: Floats
    missing_width: Floats

    @classmethod
    def of(cls, tiling: Tiling, row_of_pass: Indices) -> _Tiles:
        """Take the tiles of the rows ``row_of_pass`` of a tiling, one row for each pass."""
        height, width = tiling.row_tiles[row_of_pass], tiling.strip_width[row_of_pass]
        return cls(
            number=tiling.tiles[row_of_pass],
            height=height,
            group=height * tiling.column_tiles[row_of_pass],
            groups=tiling.layers.groups[row_of_pass],
            rows=tiling.tile_rows[row_of_pass],
            short_rows=tiling.short_rows[row_of_pass],
            strip_rows=tiling.all_rows[row_of_pass],
            width=width,
            missing_width=width - tiling.ragged_width[row_of_pass],
        )


@dataclass(frozen=True)
class _Span:
    """Where passes begin and end among the tiles of their layer; columns of shape (passes,).

    Attributes:
        first: The first tile.
        end: The tile after the last.
        strips: How many strips end in the pass.
        groups: How many groups end in the pass.
        into: How far into its group the pass begins, in tiles.
        out: How far into its group it ends.
    """

    first: Floats
    end: Floats
    strips: Floats
    groups: Floats
    into: Floats
    out: Floats

    @classmethod
    def of(cls, tiles: _Tiles, index: Indices, macros: Floats) -> _Span:
        """Find the ``index``-th passes of layers, each of as many tiles as there are ``macros``."""
        first = index * macros
        end = np.minimum(first + macros, tiles.number)
        groups_before, groups_after = np.floor(first / tiles.group), np.floor(end / tiles.group)
        return cls(
            first=first,
            end=end,
            strips=np.floor(end / tiles.height) - np.floor(first / tiles.height),
            groups=groups_after - groups_before,
            into=first - groups_before * tiles.group,
            out=end - groups_after * tiles.group,
        )


def _rows_read(span: _Span, tiles: _Tiles) -> Floats:
    """Input elements (weight rows) that each pass reads, (passes,).

    All strips of a group read the same inputs, so of each group at most those of one strip count.

    Returns:
        Elements, (passes,).
    """
    # A pass in which a group ends: a part of the first group, whole groups, a part of the last.
    entered = np.minimum(tiles.group - span.into, tiles.height)
    left = np.minimum(span.out, tiles.height)
    across = entered + (span.groups - 1) * tiles.height + left
    within = np.minimum(span.end - span.first, tiles.height)
    is_across = span.groups > 0
    read = np.where(is_across, across, within)
    # Each of these strips has one short tile, where it was read to its end.
    short_across = span.groups + (span.out >= tiles.height)
    short = np.where(is_across, short_across, np.minimum(span.strips, 1))
    return read * tiles.rows - short * tiles.short_rows


def _ragged_tiles(span: _Span, tiles: _Tiles) -> Floats:
    """Tiles of each pass that belong to a ragged strip, the last of its group, (passes,).

    They are counted from the begin of the layer: those before the end of the pass, less those before
    its begin. Every group that ended has ``height`` of them; in an unfinished one, they are what
    goes beyond its first (group - height) tiles.

    Returns:
        Tiles, (passes,).
    """
    until_end = np.maximum(span.out - tiles.group + tiles.height, 0)
    until_begin = np.maximum(span.into - tiles.group + tiles.height, 0)
    return span.groups * tiles.height + until_end - until_begin


def _cut_results(span: _Span, tiles: _Tiles) -> Floats:
    """Share of all results in the strip in whose middle each pass ends; 0 where it ends with a strip."""
    ends_within = np.floor(span.end / tiles.height) * tiles.height < span.end
    in_ragged_strip = span.out > tiles.group - tiles.height
    width = tiles.width - in_ragged_strip * tiles.missing_width
    return ends_within * width / tiles.groups
