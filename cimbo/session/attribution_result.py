"""What `cimbo.session.attribution` finds: speed-ups of each side, with the designs that earn them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from cimbo.session.text import genes_text


@dataclass(frozen=True)
class AttributedDesign:
    """A network on a chip with what was measured of it."""

    architecture: Mapping[str, Any]
    hardware: Mapping[str, Any]
    metrics: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        """The design, its genes split into network and chip."""
        return asdict(self)


@dataclass(frozen=True)
class Speedup:
    """The baseline's latency over that of the fastest design of one side.

    Attributes:
        held: What may not be worse than the baseline's.
        side: "architecture", "hardware" or "joint".
        speedup: Geometric mean over the studies, or of the one.
        low: Lower end of the 95 % interval.
        high: Upper end.
        each: Speed-up of each study.
        candidates: Designs of each study that kept everything held.
        points: The fastest design of each study.
    """

    held: str
    side: str
    speedup: float
    low: float
    high: float
    each: tuple[float, ...]
    candidates: tuple[int, ...]
    points: tuple[AttributedDesign, ...]

    def to_json(self) -> dict[str, Any]:
        """The speed-up as ``cimbo attribute --format json`` lists it."""
        document = {**vars(self), "each": list(self.each), "candidates": list(self.candidates)}
        return document | {"points": [point.to_json() for point in self.points]}


@dataclass(frozen=True)
class OtherBaseline:
    """Another chip as the baseline: its figures with the largest network, and the speed-up of each side over it."""

    baseline: str
    latency_ms: float
    area_mm2: float | None
    accuracy: float
    speedups: Mapping[str, float]
    chip: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """A line of the table of baselines."""
        return {
            "baseline": self.baseline,
            "latency_ms": self.latency_ms,
            "area_mm2": self.area_mm2,
            "accuracy": self.accuracy,
            **self.speedups,
            "chip": genes_text(self.chip),
        }


@dataclass(frozen=True)
class Attribution:
    """How much of a speed-up each side earns.

    Attributes:
        studies: The files.
        evaluations: Of each study, evaluations by the search that made them.
        accuracy: What the accuracies are worth.
        within: Points of accuracy that a design may lack.
        interval: What the intervals are.
        baseline: The largest network on the chip drawn before any search.
        drawn_by: The preset that draws that chip.
        speedups: For each condition, of each side.
        baselines: The same over other chips.
    """

    studies: tuple[str, ...]
    evaluations: tuple[Mapping[str, int], ...]
    accuracy: Mapping[str, Any]
    within: float
    interval: str
    baseline: AttributedDesign
    drawn_by: str
    speedups: tuple[Speedup, ...]
    baselines: tuple[OtherBaseline, ...]

    @property
    def all_tested(self) -> bool:
        """Whether every winner was measured on test images."""
        return all("accuracy_test" in p.metrics for s in self.speedups for p in s.points)

    def to_json(self) -> dict[str, Any]:
        """The document of ``cimbo attribute --format json``."""
        return {
            "studies": list(self.studies),
            "evaluations": [dict(each) for each in self.evaluations],
            "accuracy": dict(self.accuracy),
            "within": self.within,
            "interval": self.interval,
            "baseline": self.baseline.to_json() | {"drawn_by": self.drawn_by},
            "speedups": [speedup.to_json() for speedup in self.speedups],
            "baselines": [baseline.to_json() for baseline in self.baselines],
        }
