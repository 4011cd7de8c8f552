"""Attributes under names that they no longer have."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any


def renamed(instance: Any, name: str, old_names: Mapping[str, str]) -> Any:
    """Read an attribute by a name that it had before, with a warning.

    The old names go with the next release.

    Args:
        instance: Whose attribute it is.
        name: The name that was asked for, which the instance does not have.
        old_names: Old name to new name.

    Returns:
        The attribute of the new name.

    Raises:
        AttributeError: When the name is no old name either.
    """
    if name not in old_names:
        raise AttributeError(f"{type(instance).__name__!r} has no attribute {name!r}")
    warnings.warn(f"{name} is now {old_names[name]}", DeprecationWarning, stacklevel=3)
    return getattr(instance, old_names[name])
