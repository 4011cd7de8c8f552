"""The unit in which a metric is measured, as its name tells it."""

from __future__ import annotations

from collections.abc import Iterator

AMOUNT_UNITS = {
    "s": "s",
    "ms": "ms",
    "us": "us",
    "ns": "ns",
    "ps": "ps",
    "cycles": "cycles",
    "j": "J",
    "mj": "mJ",
    "uj": "uJ",
    "nj": "nJ",
    "pj": "pJ",
    "fj": "fJ",
    "w": "W",
    "mw": "mW",
    "uw": "uW",
    "nw": "nW",
    "mm2": "mm2",
    "um2": "um2",
    "kb": "KB",
    "mb": "MB",
    "gb": "GB",
    "kib": "KiB",
    "mib": "MiB",
    "gib": "GiB",
    "hz": "Hz",
    "khz": "kHz",
    "mhz": "MHz",
    "ghz": "GHz",
    "gops": "GOPS",
    "tops": "TOPS",
}
"""Units of amounts, of which there is none below zero: times, energies, powers, areas, sizes, rates."""
UNIT_NAMES = {
    **AMOUNT_UNITS,
    "a": "A",
    "ma": "mA",
    "ua": "uA",
    "na": "nA",
    "v": "V",
    "mv": "mV",
    "uv": "uV",
    "k": "K",
    "c": "°C",
    "degc": "°C",
    "db": "dB",
    "dbm": "dBm",
    "ff": "fF",
    "pf": "pF",
    "nf": "nF",
    "ohm": "ohm",
    "kohm": "kohm",
    "um": "um",
    "mm": "mm",
    "nm": "nm",
    "ppm": "ppm",
    "percent": "%",
    "pct": "%",
}
SIGNED_WORDS = frozenset(
    {
        "change",
        "delta",
        "difference",
        "error",
        "excess",
        "gain",
        "margin",
        "offset",
        "residual",
        "saved",
        "saving",
        "savings",
        "shift",
        "skew",
        "slack",
    }
)
"""Words in a metric's name that say that it may be below zero."""
RATIO_UNITS = {
    "tops_per_w": "TOPS/W",
    "tops_w": "TOPS/W",
    "tops_mm2": "TOPS/mm2",
    "tops_per_mm2": "TOPS/mm2",
    "per_s": "1/s",
    "gb_s": "GB/s",
    "gb_per_s": "GB/s",
    "mb_s": "MB/s",
    "gbps": "Gbit/s",
    "tops_per_watt": "TOPS/W",
    "w_mm2": "W/mm2",
    "mw_mm2": "mW/mm2",
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
    name = metric[: -len(ending) - 1]  # without the underscore before the ending
    if name and unit:
        return name, unit
    return metric, ""


def _endings(metric: str) -> Iterator[str]:
    """Possible units at the end of a metric's name: ratios of units, such as "tops_per_w", then its last word."""
    for ending in (*RATIO_UNITS, metric.rpartition("_")[2]):
        if metric.endswith(f"_{ending}"):
            yield ending


def is_amount(metric: str) -> bool:
    """Tell whether a metric cannot be negative, by its name.

    Args:
        metric: The metric's name.

    Returns:
        True where it ends in the unit of a time, an energy, a power, an area, a size or a rate, and
        no word of it says that it is a difference of two.
    """
    name, _ = name_and_unit(metric)
    words = metric.lower().split("_")
    # Without a unit the name is the whole metric
    if name == metric or not SIGNED_WORDS.isdisjoint(words):
        return False
    return words[-1] in AMOUNT_UNITS
