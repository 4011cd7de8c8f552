"""Where a study comes from: the versions that a new one keeps, and whether an old file says so in the form we write."""

import importlib.metadata
from collections.abc import Mapping
from typing import Any

from cimbo.errors import BadInput

VERSIONED = (
    "cimbo",
    "torch",
    "botorch",
    "numpy",
    "scipy",
    "xgboost-cpu",
    "xgboost",
    "scikit-learn",
)


def versions() -> dict[str, str]:
    """Versions of what decides the course of a study; what is not installed is left out."""
    found = {}
    for name in VERSIONED:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def check_definition(definition: Mapping[str, Any]) -> None:
    """Raises BadInput when what a file says of its origin is not of the form that `Study.open` writes."""
    config = definition.get("config") or {}
    data = config.get("data") or {} if isinstance(config, dict) else {}
    told = [
        ("seed", definition.get("seed", 0), int),
        ("versions", definition.get("versions", {}), dict),
    ]
    for name, value, kind in [*told, ("config", config, dict), ("config.data", data, dict)]:
        if not isinstance(value, kind):
            raise BadInput(name, f"is {value!r:.40}, damaged", "restore the file from a copy")
