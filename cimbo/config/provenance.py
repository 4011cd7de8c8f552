"""What the figures of a study are: measured, modelled or an illustration, and from what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cimbo.config.tables import NetworkTable, StudyTable
from cimbo.evaluation.accuracy import published
from cimbo.evaluation.accuracy.sources import SHIPPED_SUPERNETS
from cimbo.evaluation.measured_accuracy import NO_ACCURACY

OWN_METRICS = "every metric is the evaluator's"
CHIP_MODEL_COSTS = (
    "costs are modelled, not measured: latency, energy, area and what follows from them are those of cimbo's chip "
    "model (docs/evidence.md says how far off it is)"
)


def accuracy_provenance(tables: StudyTable, accuracy: str) -> dict[str, Any]:
    """Say where the accuracies of a study come from, and what they are worth.

    Args:
        tables: The study.
        accuracy: Name of its source of accuracy.

    Returns:
        ``kind``, such as "measured", "modelled" or "none", and ``label``, a sentence. For a modelled
        accuracy also its source, its error and the networks that it is valid for.
    """
    table = tables.network
    if table is None or tables.evaluator is not None:
        return {"kind": "measured", "label": OWN_METRICS}
    if accuracy == NO_ACCURACY:
        return {"kind": NO_ACCURACY, "label": "no accuracy is measured: costs alone"}
    if accuracy in published.names():
        return _published_provenance(accuracy)
    kind = table.accuracy_kind or "measured"
    return {"kind": kind, "label": f"accuracy is {kind} {_measured_on(table, accuracy)}"}


def cost_label(tables: StudyTable) -> str:
    """Say in a sentence what the costs of a study are.

    Args:
        tables: The study.

    Returns:
        Whose they are, and that they are modelled where they are cimbo's.
    """
    if tables.evaluator is not None:
        return OWN_METRICS
    simulator = tables.hardware.simulator
    if simulator == "cimbo":
        return CHIP_MODEL_COSTS
    return f"costs are those of the simulator {simulator}"


def _measured_on(table: NetworkTable, accuracy: str) -> str:
    """What accuracies are measured on, to follow the word "measured"."""
    if accuracy in SHIPPED_SUPERNETS:
        return f"on {SHIPPED_SUPERNETS[accuracy]}"
    if accuracy == "checkpoint" and {"weights", "data"} <= set(table.options):
        weights, data = (Path(str(table.options[name])).name for name in ("weights", "data"))
        return f"on the user's weights {weights} and the examples in {data}"
    return f"({accuracy})"


def _published_provenance(accuracy: str) -> dict[str, Any]:
    """The provenance of a published accuracy model, with a ``label`` that says it in a sentence."""
    provenance = published.provenance(accuracy)
    metric = provenance.get("metric", "accuracy")
    unit = "" if "metric" in provenance else " points"
    error = f"± {provenance['error_points']:g}{unit} ({provenance['error_is']})"
    kind = provenance["kind"]
    valid, source = provenance["valid"], provenance["source"]
    label = f"{metric} is {kind}, not measured: {error}; valid for {valid}; from {source}"
    return {**provenance, "label": label}
