"""Attributes of a node, each with its type."""

from typing import Any


def integer(node: Any, name: str, default: int = 0) -> int:
    """An integer attribute, or ``default`` where the node has none of that name."""
    for attribute in node.attribute:
        if attribute.name == name:
            return int(attribute.i)
    return default


def integers(node: Any, name: str) -> list[int]:
    """A list of integers; empty where the node has none of that name."""
    for attribute in node.attribute:
        if attribute.name == name:
            return [int(each) for each in attribute.ints]
    return []


def text(node: Any, name: str, default: str = "") -> str:
    """A text attribute, or ``default`` where the node has none of that name."""
    for attribute in node.attribute:
        if attribute.name == name:
            return str(attribute.s.decode("utf-8", "replace"))
    return default


def graph(node: Any, name: str) -> Any:
    """A graph attribute; None where the node has none of that name."""
    for attribute in node.attribute:
        if attribute.name == name and attribute.HasField("g"):
            return attribute.g
    return None
