"""A slow simulator of layers that work side by side, vector by vector, sharing no formula with the closed form.

Every stage fetches the vectors of an inference from the buffer over the network, has all tiles of one of its copies compute
each, and sends the results through network, buffer and vector unit. A macro serves one tile after the other, whichever stage
asks; so do buffer, network and vector unit. A stage starts on an inference when the stage before it has finished that and the
stage after it has fetched the last but one. Its vectors start evenly over ``pace`` cycles, as a controller that knows the
interval has them start: without it, stages run ahead in bursts, and what they share stands idle in between.

Every inference asks the same of each server, and what waits between stages is bounded. So over many inferences no controller
gets a result more often than the busiest server is done with one inference: ``busiest_cycles``, counted from the requests of
one that runs alone. Any shorter distance of two results is of inferences that waited half done, and cannot last. The sustained
interval lies between that and ``interval``, which one controller reaches.
"""

import math
from collections.abc import Callable

from event_simulator import Clock, Server, pieces, slices, tiles_of

WAITING = 2  # inferences between two stages at most
WARM_UP = 16  # results that are not measured: more than wait in a pipeline of five stages, so that the rest are of a full one
RESULTS = 37  # that are waited for, while inferences keep coming


class Stage:
    """One layer on its copies."""

    def __init__(self, layer, chip: dict, copies: int) -> None:
        self.layer, self.copies = layer, copies
        self.tiles = len(tiles_of(layer, chip))
        self.busy = len(pieces(chip["act_bits"], chip["dac_bits"])) * chip["share"]
        self.macros: list[list[Server]] = [[] for _ in range(copies)]
        outputs = layer.columns * layer.groups
        gathered = len(pieces(len(slices(layer, chip)), chip["macros_per_pe"]))
        fresh = min(1, layer.stride / layer.kernel)
        self.in_bits = layer.reduction * layer.groups * chip["act_bits"] * fresh
        self.out_bits = outputs * chip["act_bits"]
        self.sum_bits = outputs * 24 * (gathered - 1)
        self.work = layer.vector_ops / layer.px
        self.next = self.issued = 0  # inference at work, and its vectors that are under way or done
        self.left: dict[int, int] = {}  # vectors that an inference still waits for
        self.finished = 0
        self.release = 0.0  # when its next vector may start

    def inference_cycles(self, copy: int) -> int:
        """How long an inference keeps each tile of a copy busy: the first copies may have a vector more."""
        return len(range(copy, self.layer.px, self.copies)) * self.busy


class Machine:
    """A pipeline on one chip; ``interval`` gives the cycles between two late results."""

    def __init__(self, chip: dict, layers: list, copies: list[int], pace: float) -> None:
        self.chip, self.clock, self.pace = chip, Clock(), pace
        self.most = math.inf  # inferences that come
        self.stages = [
            Stage(*each) for each in zip(layers, [chip] * len(layers), copies, strict=True)
        ]
        self.buffer, self.noc, self.vector = (Server(self.clock) for _ in range(3))
        self.results: list[float] = []
        self._deal()

    def _deal(self) -> None:
        """Tiles to macros in turn, those that are busy longest first."""
        self.macros = macros = [Server(self.clock) for _ in range(self.chip["macros"])]
        copies = [(stage, copy) for stage in self.stages for copy in range(stage.copies)]
        turn = 0
        for stage, copy in sorted(copies, key=lambda each: -each[0].inference_cycles(each[1])):
            for _ in range(stage.tiles):
                stage.macros[copy].append(macros[turn % len(macros)])
                turn += 1

    def interval(self) -> float:
        """Mean cycles between results once the pipeline is full."""
        self._begin(0)
        while len(self.results) < RESULTS:
            self.clock.step()
        return (self.results[-1] - self.results[WARM_UP]) / (RESULTS - 1 - WARM_UP)

    def busiest_cycles(self) -> float:
        """Cycles that the busiest server works for one inference."""
        self.most = 1
        self._begin(0)
        self.clock.run()
        assert len(self.results) == 1
        servers = [*self.macros, self.buffer, self.noc, self.vector]
        return max(server.asked for server in servers)

    def _ready(self, number: int) -> bool:
        stage = self.stages[number]
        if stage.next >= self.most:
            return False
        if number and self.stages[number - 1].finished <= stage.next:
            return False
        after = self.stages[number + 1] if number + 1 < len(self.stages) else None
        return after is None or stage.next < after.next + WAITING

    def _begin(self, number: int) -> None:
        """Starts the next vector of a stage, if it may."""
        stage = self.stages[number]
        under_way = sum(stage.left.values()) - (
            stage.layer.px - stage.issued if stage.issued else 0
        )
        if under_way >= 2 * stage.copies + 30 or (stage.issued == 0 and not self._ready(number)):
            return
        if self.clock.now < stage.release - 1e-9:
            return
        stage.release = (
            max(stage.release, self.clock.now - self.pace / 4) + self.pace / stage.layer.px
        )
        self.clock.after(max(stage.release - self.clock.now, 0), lambda: self._begin(number))
        inference, copy = stage.next, stage.issued % stage.copies
        if stage.issued == 0:
            stage.left[inference] = stage.layer.px
        stage.issued += 1
        if stage.issued == stage.layer.px:
            stage.next, stage.issued = stage.next + 1, 0
        chip = self.chip
        done = lambda: self._done(number, inference)  # noqa: E731
        work = lambda: self.vector.ask(stage.work / chip["vector_lanes"], done)  # noqa: E731
        store = lambda: self.buffer.ask(stage.out_bits / chip["buffer_bw"], work)  # noqa: E731
        sent = stage.out_bits + stage.sum_bits
        send = lambda: self.noc.ask(sent / chip["noc_bw"], store)  # noqa: E731
        compute = lambda: self._compute(stage, copy, send)  # noqa: E731
        fetch = lambda: self.noc.ask(stage.in_bits / chip["noc_bw"], compute)  # noqa: E731
        self.buffer.ask(stage.in_bits / chip["buffer_bw"], fetch)

    def _compute(self, stage: Stage, copy: int, then: Callable[[], None]) -> None:
        """All tiles of a copy, on macros that other stages may use as well."""
        left = [len(stage.macros[copy])]

        def one() -> None:
            left[0] -= 1
            if not left[0]:
                then()

        for macro in stage.macros[copy]:
            macro.ask(stage.busy, one)

    def _done(self, number: int, inference: int) -> None:
        stage = self.stages[number]
        stage.left[inference] -= 1
        if not stage.left[inference]:
            del stage.left[inference]
            stage.finished += 1
            if number + 1 == len(self.stages):
                self.results.append(self.clock.now)
        for each in range(len(self.stages)):
            self._begin(each)
