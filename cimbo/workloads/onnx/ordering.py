"""Nodes in an order in which each reads what was made before: some tools write others, which onnxruntime sorts itself."""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def in_order(nodes: Sequence[Any]) -> Sequence[Any]:
    """Sorts nodes so that each stands after those that make what it reads.

    Of several nodes that could be next, the one that stands first in the file is (Kahn's algorithm with a heap).

    Args:
        nodes: NodeProtos of one graph.

    Returns:
        The same nodes; left as they are where they stand in such an order already, or where there is none (a cycle).
    """
    makers: dict[str, int] = {}  # the node, by its index, that makes each tensor
    for index, node in enumerate(nodes):
        for name in node.output:
            if name:
                makers[name] = index
    # For each node, the nodes that have to stand before it and are not sorted yet
    missing = [_makers_needed(node, makers) for node in nodes]
    if all(max(earlier, default=-1) < index for index, earlier in enumerate(missing)):
        return nodes
    readers: dict[int, list[int]] = {}
    for index, earlier in enumerate(missing):
        for maker in earlier:
            readers.setdefault(maker, []).append(index)
    ready = [index for index, earlier in enumerate(missing) if not earlier]
    in_sequence = []
    while ready:
        index = heapq.heappop(ready)
        in_sequence.append(nodes[index])
        for reader in readers.get(index, []):
            missing[reader].discard(index)
            if not missing[reader]:
                heapq.heappush(ready, reader)
    if len(in_sequence) == len(nodes):
        return in_sequence
    return nodes


def _makers_needed(node: Any, makers: Mapping[str, int]) -> set[int]:
    """Indices of the nodes that make what ``node`` reads; ``makers`` has the index for each tensor of the graph."""
    return {makers[name] for name in _names_read(node) if name in makers}


def _names_read(node: Any) -> Iterator[str]:
    """Names of the tensors that a node and the nodes of its subgraphs read, whichever node makes them."""
    yield from node.input
    for attribute in node.attribute:
        graphs = list(attribute.graphs)
        if attribute.HasField("g"):
            graphs.append(attribute.g)
        for graph in graphs:
            for inner in graph.node:
                yield from _names_read(inner)
