"""The unit in which a metric is measured, as its name tells it."""

from __future__ import annotations

from collections.abc import Iterator

UNIT_NAMES = {
    "s": "s",
    "ms": "ms",
    "us": "us",
    "ns": "ns",
    "cycles": "cycles",
    "j": "J",
    "mj": "mJ",
    "uj": "uJ",
    "nj": "nJ",
    "pj": "pJ",
    "w": "W",
    "mw": "mW",
    "uw": "uW",
    "mm2": "mm2",
    "um2": "um2",
    "kb": "KB",
    "mb": "MB",
    "gb": "GB",
    "mhz": "MHz",
    "ghz": "GHz",
    "db": "dB",
    "gops": "GOPS",
    "tops": "TOPS",
    "percent": "%",
    "pct": "%",
}
RATIO_UNITS = {
    "tops_per_w": "TOPS/W",
    "tops_w": "TOPS/W",
    "tops_mm2": "TOPS/mm2",
    "tops_per_mm2": "TOPS/mm2",
    "per_s": "1/s",
}


def name_and_unit(metric: str) -> tuple[str, str]:
    """Splits the name of a metric into what it measures and its unit.

    Args:
        metric: The metric's name, such as "latency_ms".

    Returns:
        The name without its unit and the unit in ASCII: ("latency", "ms"). The unit is "" where the
        name ends with none, and the name then whole.
    """
    ending = next(_endings(metric.lower()), "")
    unit = (RATIO_UNITS | UNIT_NAMES).get(ending, "")
    name = metric[: -len(ending) - 1]
    if name and unit:
        return name, unit
    return metric, ""


def _endings(metric: str) -> Iterator[str]:
    """What may be the unit at the end of a name, the longest first."""
    for ending in (*RATIO_UNITS, metric.rpartition("_")[2]):
        if metric.endswith(f"_{ending}"):
            yield ending
