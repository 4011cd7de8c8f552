"""Whether what evaluates works at all, found out before a search is planned."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from cimbo.errors import BadInput
from cimbo.problem.space import Params, canonical_key


def try_until_one_works(
    evaluate: Callable[[Params], Mapping[str, float]],
    designs: Sequence[Params],
    where: str,
    prepared: dict[str, Mapping[str, float]],
) -> None:
    """Evaluate ``designs`` until one succeeds, and keep its metrics in ``prepared``.

    Raises:
        BadInput: When all of them fail, with the last reason.
    """
    reason = ""
    for design in designs:
        try:
            prepared[canonical_key(design)] = dict(evaluate(design))
            return
        except BadInput as error:
            if not error.is_about_design:
                raise
            reason = str(error)
        except Exception as error:  # of whatever the user has given
            reason = str(error) or type(error).__name__
    if designs:
        told = f"fails on each of the {len(designs)} designs that were tried ({reason})"
        raise BadInput(where, told, "correct it; cimbo doctor --config tries it too")
