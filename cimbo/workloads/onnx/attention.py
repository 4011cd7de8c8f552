"""Attention operators, as the products they are made of."""

import math
from dataclasses import dataclass

from cimbo.workloads.onnx import attributes
from cimbo.workloads.onnx.contrib_shapes import key_tokens
from cimbo.workloads.onnx.products import Operation, Product, Rule, present
from cimbo.workloads.onnx.tensors import Tensor


@dataclass(frozen=True)
class Heads:
    """Sizes of one attention: ``batch`` x ``heads`` queries on ``shared`` heads of keys and values.

    ``queries`` and ``keys`` count tokens; ``size`` is the width of a head's queries and keys, ``value_size`` of its
    values.
    """

    batch: int
    heads: int
    shared: int
    queries: int
    keys: int
    size: int
    value_size: int


def attention_products(heads: Heads, query: Tensor, key: Tensor, value: Tensor) -> list[Product]:
    """Makes the two products of attention.

    Heads that share keys and values share a group, in which their queries are vectors of one
    product.

    Args:
        heads: The sizes.
        query: What queries are read from.
        key: What keys are read from.
        value: What values are read from.

    Returns:
        Scores (queries x keys, then softmax) and context (scores x values).
    """
    groups = heads.batch * heads.shared
    positions = heads.queries * (heads.heads // heads.shared)
    scores = groups * positions * heads.keys
    return [
        Product(
            "attention",
            groups,
            positions,
            heads.size,
            heads.keys,
            query,
            key,
            scores,
            suffix=".scores",
            softmax=scores,
        ),
        Product(
            "attention",
            groups,
            positions,
            heads.keys,
            heads.value_size,
            Tensor("scores", (scores,), query.element_type, bits=query.bits),
            value,
            groups * positions * heads.value_size,
            suffix=".context",
        ),
    ]


def standard_attention(op: Operation) -> list[Product]:
    """Reads Attention of opset 23.

    Its inputs are (batch, heads, tokens, size), or (batch, tokens, heads x size) with the numbers
    of heads as attributes.

    Args:
        op: The node.

    Returns:
        The products of scores and context.

    Raises:
        BadInput: When a size is unknown, or heads of queries do not share those of keys evenly.
    """
    query, key, value = (op.shape(index) for index in (0, 1, 2))
    if len(query) == 3:
        heads, shared = op.integer("q_num_heads"), op.integer("kv_num_heads")
        _check_heads(op, heads, shared)
        batch, queries, size = query[0], query[1], query[2] // heads
        tokens, value_size = key[1], value[2] // shared
    else:
        batch, heads, queries, size = op.shape(0, 4)
        shared, tokens, value_size = op.shape(1, 4)[1], key[2], op.shape(2, 4)[3]
        _check_heads(op, heads, shared)
    past = op.optional(4)
    if past is not None:
        tokens += op.shape(4, 4)[2]
    sizes = Heads(batch, heads, shared, queries, tokens, size, value_size)
    return attention_products(sizes, op.input(0), op.input(1), op.input(2))


def _check_heads(op: Operation, heads: int, shared: int) -> None:
    if heads < 1 or shared < 1 or heads % shared:
        raise op.wrong(f"{heads} heads of queries do not share {shared} heads of keys")


def packed_attention(op: Operation, past: int) -> list[Product]:
    """Reads Attention and QAttention of com.microsoft: one weight makes queries, keys and values.

    Args:
        op: The node.
        past: Number of the input that holds the keys and values of earlier tokens (2, batch, heads,
            tokens, size).

    Returns:
        The products of the packed weight, scores and context.

    Raises:
        BadInput: When a size is unknown, or the sizes do not fit.
    """
    batch, tokens, width = op.shape(0, 3)
    weight = op.shape(1, 2)
    heads = op.integer("num_heads")
    parts = attributes.integers(op.node, "qkv_hidden_sizes") or [weight[1] // 3] * 3
    _check_heads(op, heads, heads)
    if len(parts) != 3 or width != weight[0] or sum(parts) != weight[1]:
        raise op.wrong(f"weights {list(weight)} do not make queries, keys and values of {width}")
    keys = tokens
    if op.optional(past) is not None:
        keys += op.shape(past, 5)[3]
    made = Tensor(op.node.output[0], (batch, tokens, weight[1]), bits=op.input(0).bits)
    first = Product(
        "linear",
        1,
        batch * tokens,
        width,
        weight[1],
        op.input(0),
        op.input(1),
        math.prod((batch, tokens, weight[1])),
        present(op.optional(2)),
        suffix=".qkv",
    )
    sizes = Heads(batch, heads, heads, tokens, keys, parts[0] // heads, parts[2] // heads)
    part = Tensor(made.name, (batch, tokens, parts[0]), bits=made.bits)
    return [first, *attention_products(sizes, part, part, part)]


def multi_head_attention(op: Operation) -> list[Product]:
    """Reads MultiHeadAttention of com.microsoft.

    Queries, keys and values were made before, and come in several layouts.

    Args:
        op: The node.

    Returns:
        The products of scores and context.

    Raises:
        BadInput: When a size is unknown, keys are missing, or the number of heads is not positive.
    """
    query, heads = op.shape(0), op.integer("num_heads")
    _check_heads(op, heads, heads)
    key, value = op.optional(1), op.optional(2)
    if len(query) == 5:  # batch, tokens, heads, 3, size
        batch, tokens, _, _, size = query
        sizes = Heads(batch, heads, heads, tokens, tokens, size, size)
        return attention_products(sizes, op.input(0), op.input(0), op.input(0))
    batch, tokens, width = op.shape(0, 3)
    if key is None:
        raise op.wrong("has queries without keys")
    given = op.shape(1)
    if len(given) == 5:  # keys and values packed: batch, tokens, heads, 2, size
        keys, value, value_size = given[1], key, given[4]
    elif len(given) == 4:  # the cache of a cross attention: batch, heads, tokens, size
        keys, value_size = given[2], op.shape(2)[3]
    else:
        keys, value_size = given[1], op.shape(2)[2] // heads
    if op.optional(6) is not None:
        keys += op.shape(6, 4)[2]
    sizes = Heads(batch, heads, heads, tokens, keys, width // heads, value_size)
    return attention_products(sizes, op.input(0), key, value or key)


def grouped_query_attention(op: Operation) -> list[Product]:
    """Reads GroupQueryAttention of com.microsoft.

    Queries, keys and values may come packed in the first input.

    Args:
        op: The node.

    Returns:
        The products of scores and context.

    Raises:
        BadInput: When a size or the number of keys is unknown, or heads do not share keys evenly.
    """
    batch, tokens, width = op.shape(0, 3)
    heads, shared = op.integer("num_heads"), op.integer("kv_num_heads")
    _check_heads(op, heads, shared)
    key, value = op.optional(1), op.optional(2)
    size = width // (heads + 2 * shared if key is None else heads)
    keys = key_tokens(op.node, op.inputs)
    if keys is None:
        raise op.wrong("the number of its keys is unknown; set the length of its cache")
    sizes = Heads(batch, heads, shared, tokens, keys, size, size)
    query = op.input(0)
    return attention_products(sizes, query, key or query, value or query)


ATTENTION_PRODUCTS: dict[str, Rule] = {
    "GroupQueryAttention": grouped_query_attention,
    "MultiHeadAttention": multi_head_attention,
    "QAttention": lambda op: packed_attention(op, 8),
}


def attention(op: Operation) -> list[Product]:
    """Reads Attention, which means one thing in onnx and another in com.microsoft.

    Args:
        op: The node.

    Returns:
        Its products.

    Raises:
        BadInput: As `standard_attention` and `packed_attention` do.
    """
    if op.node.domain == "com.microsoft":
        return packed_attention(op, 4)
    return standard_attention(op)


ATTENTION_PRODUCTS["Attention"] = attention
