"""JSON that a user gives, in which no object says one key twice."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from cimbo.errors import BadInput


class _RepeatedKeyError(Exception):
    """An object has a key twice; the key is the only argument."""


def parse_json(where: str, text: str, todo: str) -> Any:
    """Read JSON.

    Args:
        where: The option or file that it comes from, for messages.
        text: What stands there.
        todo: What to give instead where it is no JSON.

    Returns:
        The value.

    Raises:
        BadInput: For a text that is no JSON, or an object with a key twice, of which either could be meant.
    """
    try:
        return json.loads(text, object_pairs_hook=_without_repeats)
    except _RepeatedKeyError as error:
        raise BadInput(where, f"says {error.args[0]!r} twice", "give it once") from None
    except (ValueError, RecursionError) as error:
        raise BadInput(where, f"is not JSON ({error})", todo) from None


def _without_repeats(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _RepeatedKeyError(key)
        found[key] = value
    return found
