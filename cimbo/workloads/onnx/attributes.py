"""Attributes of a node, each with its type."""

from typing import Any


def integer(node: Any, name: str, default: int = 0) -> int:
    """Reads an integer attribute.

    Args:
        node: A NodeProto.
        name: The attribute's name.
        default: The value where the node has none of that name.

    Returns:
        The attribute, or the default.
    """
    for attribute in node.attribute:
        if attribute.name == name:
            return int(attribute.i)
    return default


def integers(node: Any, name: str) -> list[int]:
    """Reads an attribute that is a list of integers.

    Args:
        node: A NodeProto.
        name: The attribute's name.

    Returns:
        The list; empty where the node has none of that name.
    """
    for attribute in node.attribute:
        if attribute.name == name:
            return [int(each) for each in attribute.ints]
    return []


def text(node: Any, name: str, default: str = "") -> str:
    """Reads a text attribute.

    Args:
        node: A NodeProto.
        name: The attribute's name.
        default: The value where the node has none of that name.

    Returns:
        The attribute, or the default.
    """
    for attribute in node.attribute:
        if attribute.name == name:
            return str(attribute.s.decode("utf-8", "replace"))
    return default


def graph(node: Any, name: str) -> Any:
    """Reads an attribute that is a graph.

    Args:
        node: A NodeProto.
        name: The attribute's name.

    Returns:
        The GraphProto; None where the node has none of that name.
    """
    for attribute in node.attribute:
        if attribute.name == name and attribute.HasField("g"):
            return attribute.g
    return None
