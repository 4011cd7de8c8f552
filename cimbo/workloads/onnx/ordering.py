"""Nodes in an order in which each reads what was made before: some tools write others, which onnxruntime sorts itself."""

import heapq
from collections.abc import Iterator, Sequence
from typing import Any


def in_order(nodes: Sequence[Any]) -> Sequence[Any]:
    """Sorts nodes that stand before what they read.

    Args:
        nodes: NodeProtos of one graph.

    Returns:
        The same nodes, as they are where that is an order already, or where there is none.
    """
    makers: dict[str, int] = {}
    for index, node in enumerate(nodes):
        for name in node.output:
            if name:
                makers[name] = index
    needed = [{makers[name] for name in _read(node) if name in makers} for node in nodes]
    if all(max(before, default=-1) < index for index, before in enumerate(needed)):
        return nodes
    readers: dict[int, list[int]] = {}
    for index, before in enumerate(needed):
        for maker in before:
            readers.setdefault(maker, []).append(index)
    ready = [index for index, before in enumerate(needed) if not before]
    found = []
    while ready:
        index = heapq.heappop(ready)
        found.append(nodes[index])
        for reader in readers.get(index, []):
            needed[reader].discard(index)
            if not needed[reader]:
                heapq.heappush(ready, reader)
    if len(found) == len(nodes):
        return found
    return nodes


def _read(node: Any) -> Iterator[str]:
    """Names that a node reads, and those that its subgraphs do, whoever makes them."""
    yield from node.input
    for attribute in node.attribute:
        graphs = [*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])]
        for graph in graphs:
            for inner in graph.node:
                yield from _read(inner)
