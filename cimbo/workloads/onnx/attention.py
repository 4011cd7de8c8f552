"""Attention operators, as the products they are made of."""

from dataclasses import dataclass

from cimbo.workloads.onnx import attributes
from cimbo.workloads.onnx.contrib_shapes import key_tokens
from cimbo.workloads.onnx.products import Operation, Product, Rule, present
from cimbo.workloads.onnx.tensors import Tensor


@dataclass(frozen=True)
class Heads:
    """Sizes of one attention.

    Attributes:
        batch: sequences at once.
        heads: heads of queries.
        shared: heads of keys and values, each shared by ``heads / shared`` heads of queries.
        queries: tokens that have a query.
        keys: tokens that have a key and a value.
        size: elements of one head's query or key of a token.
        value_size: elements of one head's value of a token.
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

    Keys and values stay in the array: one group for each head of them. The queries of all heads that share it go
    through as vectors of one product.

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
    n_scores = groups * positions * heads.keys
    return [
        Product(
            kind="attention",
            groups=groups,
            positions=positions,
            reduction=heads.size,
            outputs=heads.keys,
            moving=query,
            stationary=key,
            produced=n_scores,
            suffix=".scores",
            softmax=n_scores,
        ),
        Product(
            kind="attention",
            groups=groups,
            positions=positions,
            reduction=heads.keys,
            outputs=heads.value_size,
            moving=Tensor("scores", (n_scores,), query.element_type, bits=query.bits),
            stationary=value,
            produced=groups * positions * heads.value_size,
            suffix=".context",
        ),
    ]


def standard_attention(op: Operation) -> list[Product]:
    """Reads Attention of opset 23.

    Its inputs 0 to 2 are queries, keys and values: each (batch, heads, tokens, size), or (batch, tokens,
    heads x size) with the numbers of heads as attributes. Input 4, where it is there, holds the keys of earlier
    tokens (batch, heads, tokens, size).

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
        keys, value_size = key[1], value[2] // shared
    else:
        batch, heads, queries, size = op.shape(0, 4)
        shared, keys, value_size = op.shape(1, 4)[1], key[2], op.shape(2, 4)[3]
        _check_heads(op, heads, shared)
    past_key = op.optional(4)
    if past_key is not None:
        keys += op.shape(4, 4)[2]
    sizes = Heads(batch, heads, shared, queries, keys, size, value_size)
    return attention_products(sizes, op.input(0), op.input(1), op.input(2))


def _check_heads(op: Operation, heads: int, shared: int) -> None:
    """Refuses an attention whose ``heads`` of queries do not share ``shared`` heads of keys evenly."""
    if heads < 1 or shared < 1 or heads % shared:
        raise op.wrong(f"{heads} heads of queries do not share {shared} heads of keys")


def _qkv_widths(op: Operation, weight_outputs: int) -> list[int]:
    """Widths of queries, keys and values, all heads together: equal where the node does not say them."""
    return attributes.integers(op.node, "qkv_hidden_sizes") or [weight_outputs // 3] * 3


def packed_attention(op: Operation, past: int) -> list[Product]:
    """Reads Attention and QAttention of com.microsoft: one weight makes queries, keys and values.

    Args:
        op: The node.
        past: The number of the input, in the operator's schema, that holds the keys and values of earlier
            tokens (2, batch, heads, tokens, size); it may be left out.

    Returns:
        The products of the packed weight, scores and context.

    Raises:
        BadInput: When a size is unknown, or the sizes do not fit.
    """
    batch, tokens, width = op.shape(0, 3)
    weight_inputs, weight_outputs = op.shape(1, 2)
    heads = op.integer("num_heads")
    widths = _qkv_widths(op, weight_outputs)
    _check_heads(op, heads, heads)
    if len(widths) != 3 or width != weight_inputs or sum(widths) != weight_outputs:
        weight = [weight_inputs, weight_outputs]
        raise op.wrong(f"weights {weight} do not make queries, keys and values of {width}")
    keys = tokens
    if op.optional(past) is not None:
        keys += op.shape(past, 5)[3]
    packed = Product(
        kind="linear",
        groups=1,
        positions=batch * tokens,
        reduction=width,
        outputs=weight_outputs,
        moving=op.input(0),
        stationary=op.input(1),
        produced=batch * tokens * weight_outputs,
        biases=present(op.optional(2)),
        suffix=".qkv",
    )
    sizes = Heads(batch, heads, heads, tokens, keys, widths[0] // heads, widths[2] // heads)
    # Of queries, keys and values only the number of elements matters below.
    part = Tensor(op.node.output[0], (batch, tokens, widths[0]), bits=op.input(0).bits)
    return [packed, *attention_products(sizes, part, part, part)]


def multi_head_attention(op: Operation) -> list[Product]:
    """Reads MultiHeadAttention of com.microsoft.

    Inputs 0 to 2 are queries, keys and values, in one of the layouts that the comments below name. Input 6, where it
    is there, holds the keys of earlier tokens (batch, heads, tokens, size).

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
    if len(query) == 5:  # queries, keys and values packed: batch, tokens, heads, 3, size
        batch, tokens, _, _, size = query
        sizes = Heads(batch, heads, heads, tokens, tokens, size, size)
        return attention_products(sizes, op.input(0), op.input(0), op.input(0))
    batch, tokens, width = op.shape(0, 3)
    if key is None:
        raise op.wrong("has queries without keys")
    key_shape = op.shape(1)
    if len(key_shape) == 5:  # keys and values packed: batch, tokens, heads, 2, size
        keys, value, value_size = key_shape[1], key, key_shape[4]
    elif len(key_shape) == 4:  # the cache of a cross attention: batch, heads, tokens, size
        keys, value_size = key_shape[2], op.shape(2)[3]
    else:  # batch, tokens, heads x size
        keys, value_size = key_shape[1], op.shape(2)[2] // heads
    if op.optional(6) is not None:
        keys += op.shape(6, 4)[2]
    sizes = Heads(batch, heads, heads, tokens, keys, width // heads, value_size)
    return attention_products(sizes, op.input(0), key, value or key)


def grouped_query_attention(op: Operation) -> list[Product]:
    """Reads GroupQueryAttention of com.microsoft.

    Inputs 0 to 2 are queries, keys and values (batch, tokens, heads x size). Without input 1 they come packed in
    input 0: for each token all heads of queries, then those of keys, then those of values.

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
    heads_in_first = heads + 2 * shared if key is None else heads
    size = width // heads_in_first
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
