"""HTML that is escaped by construction: whatever is not ``Markup`` already is text, and is escaped on its way in."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape as _escape

VOID_TAGS = frozenset({"input", "link", "meta", "br"})
SHAPE_TAGS = frozenset({"circle", "line", "path", "rect", "use"})
# Control characters, lone surrogates (they break UTF-8) and the marks that reverse the reading direction of a line.
UNPRINTABLE_CHARACTERS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)


class Markup(str):
    """Text that is HTML already, made by this module's functions only."""

    __slots__ = ()


def text(value: object) -> Markup:
    r"""Escape a value for HTML; characters that nobody can see are written out (``\u0000``).

    Args:
        value: Anything; ``Markup`` stays as it is.

    Returns:
        The value as HTML.
    """
    if isinstance(value, Markup):
        return value
    visible = UNPRINTABLE_CHARACTERS.sub(lambda match: f"\\u{ord(match[0]):04x}", str(value))
    return Markup(_escape(visible, quote=True))


def join(parts: Iterable[object], separator: str = "") -> Markup:
    """Put parts one after another.

    Args:
        parts: What is joined; parts that are not ``Markup`` are escaped.
        separator: What stands between them; escaped likewise.

    Returns:
        The parts as HTML.
    """
    return Markup(text(separator).join(text(part) for part in parts))


def tag(name: str, /, *children: object, **attributes: object) -> Markup:
    """Make an element.

    Args:
        name: Of the element.
        *children: What it holds; children that are not ``Markup`` are escaped.
        **attributes: By name: ``class_`` and ``data_v`` become ``class`` and ``data-v``. True is a
            bare attribute; None and False are none.

    Returns:
        The element as HTML.
    """
    opening = f"<{name}{''.join(map(_attribute, attributes, attributes.values()))}"
    if name in VOID_TAGS:
        return Markup(f"{opening}>")
    if name in SHAPE_TAGS and not children:
        return Markup(f"{opening}/>")
    return Markup(f"{opening}>{join(children)}</{name}>")


def short(value: object, length: int) -> Markup:
    """Cut a value to a length with an ellipsis, for places that cannot grow.

    Args:
        value: What is cut.
        length: Characters at most, the ellipsis included.

    Returns:
        The value as HTML.
    """
    full = str(value)
    return text(full if len(full) <= length else f"{full[: length - 1]}…")


def _attribute(key: str, value: object) -> str:
    """An attribute with the space before it; nothing where it is left out."""
    written = key.rstrip("_").replace("_", "-")
    if value is True:
        return f" {written}"
    if value is None or value is False:
        return ""
    return f' {written}="{text(value)}"'
