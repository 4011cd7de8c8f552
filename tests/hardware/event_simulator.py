"""A slow simulator that moves every row, vector and result by itself, sharing no formula with the closed form.

It places weights block by block, fills macros pass by pass and walks each input vector through buffer, NoC and a macro,
its result through NoC, buffer and vector unit. Each of these serves one request after the other, a few vectors are
under way at once. Time passes only as requests are served; nothing is divided, rounded up or maximised as a whole.
"""

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count


class Clock:
    """Runs what is due, in order of time."""

    def __init__(self) -> None:
        self.now, self._due, self._order = 0.0, [], count()

    def after(self, delay: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._due, (self.now + delay, next(self._order), action))

    def run(self) -> float:
        while self._due:
            self.step()
        return self.now

    def step(self) -> None:
        self.now, _, action = heapq.heappop(self._due)
        action()


class Server:
    """Serves one request at a time, in the order they come; ``asked`` is how long it works for all of them."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.queue, self.busy = clock, deque(), False
        self.asked = 0.0

    def ask(self, duration: float, then: Callable[[], None]) -> None:
        self.asked += duration
        self.queue.append((duration, then))
        if not self.busy:
            self._next()

    def _next(self) -> None:
        self.busy = bool(self.queue)
        if self.busy:
            duration, then = self.queue.popleft()
            self.clock.after(duration, lambda: (then(), self._next()))


@dataclass
class Tile:
    """Weights in one macro: the (group, row range, column range) blocks it holds."""

    blocks: list[tuple[int, range, range]] = field(default_factory=list)

    def rows(self) -> int:
        return sum(len(rows) for _, rows, _ in self.blocks)


def pieces(total: int, step: int) -> list[range]:
    return [range(start, min(start + step, total)) for start in range(0, total, step)]


def slices(layer, chip) -> list[range]:
    """Rows of each of a group's row tiles: a convolution that needs several has whole kernel sides of as many channels in
    each as the macro takes, of those that go into all channels evenly."""
    rows, window = chip["rows"], layer.kernel**2
    if layer.kernel > 1 and layer.reduction > rows:
        channels = layer.reduction // window
        lengths = [length for length in range(1, layer.kernel + 1) if layer.kernel % length == 0]
        shares = [share for share in range(1, channels + 1) if channels % share == 0]
        used = (share * a * b for share in shares for a in lengths for b in lengths)
        rows = max(each for each in used if each <= rows)
    return pieces(layer.reduction, rows)


def tiles_of(layer, chip) -> list[Tile]:
    """Groups packed while another one fits below and beside the last; larger matrices cut, column by column."""
    tiles: list[Tile] = []
    for group in range(layer.groups):
        blocks = [
            (group, rows, columns)
            for columns in pieces(layer.columns, chip["logical_columns"])
            for rows in slices(layer, chip)
        ]
        last = tiles[-1] if tiles else None
        if (
            len(blocks) == 1
            and last
            and len(tiles[-1].blocks[0][1]) == layer.reduction
            and chip["packing"]
        ):
            used_columns = sum(len(columns) for _, _, columns in last.blocks)
            fits = last.rows() + layer.reduction <= chip["rows"]
            if fits and used_columns + layer.columns <= chip["logical_columns"]:
                last.blocks.append(blocks[0])
                continue
        tiles += [Tile([block]) for block in blocks]
    return tiles


def passes_of(tiles: list[Tile], macros: int, px: int) -> tuple[list[list[Tile]], int]:
    """Tiles in groups as large as the macros hold, and how many copies of all of them fit."""
    groups = [tiles[start : start + macros] for start in range(0, len(tiles), macros)]
    copies = 1
    while copies < px and (copies + 1) * len(tiles) <= macros:
        copies += 1
    return groups, copies


def load(tiles: list[Tile], chip, layer) -> float:
    """Row r of every macro in turn: its bits cross the narrower link, then the macro writes it."""
    clock = Clock()
    link, writers = Server(clock), [Server(clock) for _ in tiles]
    bits_each = chip["act_bits"] if layer.dynamic else chip["weight_bits"]
    bandwidth = min(chip["noc_bw"] if layer.dynamic else chip["dram_bw"], chip["buffer_bw"])
    for row in range(max(tile.rows() for tile in tiles)):
        for tile, writer in zip(tiles, writers, strict=True):
            columns = [columns for _, rows, columns in tile.blocks for _ in rows]
            if row < len(columns):
                write = lambda writer=writer: writer.ask(chip["write_cycles"], lambda: None)  # noqa: E731
                link.ask(len(columns[row]) * bits_each / bandwidth, write)
    return clock.run()


def planned(loads: list[float], streams: list[float], planes: int) -> list[float]:
    """When each pass ends. Loads follow each other, each into the plane of the pass ``planes`` before, once that is done;
    with one plane a pass is loaded when the one before it ends."""
    ends: list[float] = []
    loaded = 0.0
    for number, (writing, computing) in enumerate(zip(loads, streams, strict=True)):
        free = ends[number - planes] if number >= planes else 0.0
        loaded = max(loaded, free) + writing
        ends.append(max(loaded, ends[-1] if ends else 0.0) + computing)
    return ends


@dataclass
class Machine:
    """One layer on one chip; ``run`` gives its cycles.

    With several planes passes load ahead of the one that computes, so a layer's first load falls into the layer before it:
    what counts is how much longer a sequence of the same layer takes with one more of it.
    """

    chip: dict
    layer: object

    def run(self, resident: bool) -> float:
        layer, chip = self.layer, self.chip
        passes, copies = passes_of(tiles_of(layer, chip), chip["macros"], layer.px)
        streams = [
            self.stream(group, copies, done)
            for group, done in zip(passes, self.completed(passes), strict=True)
        ]
        loads = [
            0.0 if resident and not layer.dynamic else load(group, self.chip, layer)
            for group in passes
        ]
        ends = planned(loads * 4, streams * 4, chip["planes"])
        added = self.added(
            [end - stream for end, stream in zip(ends, streams * 4, strict=True)], passes
        )
        return max(ends[-1], added[-1]) - max(ends[-1 - len(passes)], added[-1 - len(passes)])

    def added(self, starts: list[float], passes: list[list[Tile]]) -> list[float]:
        """When the buffer has read the inputs and the waiting sums of each pass, one after the other, arrays going on."""
        holders: dict[tuple[int, int], set[int]] = {}
        for index, group in enumerate(passes):
            for number, _, columns in (block for tile in group for block in tile.blocks):
                holders.setdefault((number, columns.start), set()).add(index)
        busy, found = 0.0, []
        for index, start in enumerate(starts):
            group = passes[index % len(passes)]
            parts = {
                (number, columns.start): len(columns)
                for tile in group
                for number, _, columns in tile.blocks
            }
            waiting = sum(width for part, width in parts.items() if len(holders[part]) > 1)
            busy = (
                max(busy, start)
                + self.layer.px * (self.input_bits(group) + 16 * waiting) / self.chip["buffer_bw"]
            )
            found.append(busy)
        return found

    def input_bits(self, tiles: list[Tile]) -> float:
        slices = {
            (group, rows.start): len(rows) for tile in tiles for group, rows, _ in tile.blocks
        }
        return (
            sum(slices.values())
            * self.chip["act_bits"]
            * min(1, self.layer.stride / self.layer.kernel)
        )

    def completed(self, passes: list[list[Tile]]) -> list[int]:
        """Results a vector that each pass completes."""
        remaining: dict[
            tuple[int, int], int
        ] = {}  # row blocks that each (group, columns) still waits for
        for number, _, columns in (
            block for group in passes for tile in group for block in tile.blocks
        ):
            remaining[number, columns.start] = remaining.get((number, columns.start), 0) + 1
        found = []
        for group in passes:
            found.append(0)
            for number, _, columns in (block for tile in group for block in tile.blocks):
                remaining[number, columns.start] -= 1
                found[-1] += len(columns) if remaining[number, columns.start] == 0 else 0
        return found

    def stream(self, tiles: list[Tile], copies: int, outputs: int) -> float:
        """Cycles of all vectors through one pass that completes so many results a vector."""
        layer, chip = self.layer, self.chip
        clock = Clock()
        buffer, noc, vector = Server(clock), Server(clock), Server(clock)
        macros = [Server(clock) for _ in range(copies)]
        bits = self.input_bits(tiles)
        out_bits = outputs * chip["output_bits"]
        gathered = len(pieces(len(slices(layer, chip)), chip["macros_per_pe"]))
        sums = outputs * 24 * (gathered - 1)
        work = layer.vector_ops * outputs / (layer.px * layer.columns * layer.groups)
        busy = len(pieces(chip["act_bits"], chip["dac_bits"])) * chip["share"]
        waiting = iter(range(layer.px))

        def begin() -> None:
            number = next(waiting, None)
            if number is None:
                return
            macro = macros[number % copies]
            done = lambda: vector.ask(work / chip["vector_lanes"], begin)  # noqa: E731
            stored = lambda: buffer.ask(out_bits / chip["buffer_bw"], done)  # noqa: E731
            summed = lambda: noc.ask((out_bits + sums) / chip["noc_bw"], stored)  # noqa: E731
            multiplied = lambda: macro.ask(busy, summed)  # noqa: E731
            fetched = lambda: noc.ask(bits / chip["noc_bw"], multiplied)  # noqa: E731
            buffer.ask(bits / chip["buffer_bw"], fetched)

        for _ in range(2 * copies + 6):  # vectors under way at once
            begin()
        return clock.run()
