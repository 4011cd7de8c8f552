"""Blocks of decoder-only Transformers, and the two runs that a request to a language model consists of.

The prompt is processed at once; then each generated token is one step over a cache of all keys and values before it. Steps
differ in the length of that cache alone, so a request is the run of its prompt and so many times a mean step, in which
attention over each of a few lengths runs for its share of the steps.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from cimbo.errors import BadInput
from cimbo.workloads.layers import Layer, linear, vector_work

MOST_LENGTHS = 4  # lengths of the cache that stand for all steps
LONGEST_SEQUENCE = 10_000_000  # tokens of a prompt or of an answer
MOST_KEPT_BLOCKS = 32_768  # some 80 MB of layers
NORM_PARAMETERS = {"layernorm": 2, "rmsnorm": 1}  # for each element of a token's vector


@dataclass(frozen=True)
class Block:
    """Sizes of one block.

    Attributes:
        embed: Elements of a token's vector.
        heads: Query heads.
        kv_heads: Heads of keys and values, each of which serves heads / kv_heads query heads.
        head_size: Elements of a head.
        hidden: Hidden units of the MLP.
        gated: Whether the MLP has a gate beside its first layer (SiLU); a GELU otherwise.
        rotary: Whether queries and keys are rotated by their position.
        norm: "layernorm" or "rmsnorm".
        bias: Whether linear layers have biases.
    """

    embed: int
    heads: int
    kv_heads: int
    head_size: int
    hidden: int
    gated: bool
    rotary: bool
    norm: str
    bias: bool

    @property
    def cache_elements(self) -> int:
        """Keys and values of one token."""
        return 2 * self.kv_heads * self.head_size


@dataclass(frozen=True)
class Span:
    """Tokens that one run processes in each sequence.

    Attributes:
        tokens: New ones.
        lengths: Tokens before them, whose keys and values are in the cache, and in which share of the runs there are so many.
    """

    tokens: int
    lengths: tuple[tuple[int, float], ...] = ((0, 1.0),)

    @property
    def most_tokens(self) -> int:
        """The longest sequence, the new tokens included."""
        return self.tokens + max(length for length, _ in self.lengths)


def steps(prompt: int, tokens: int) -> Span:
    """Make the mean step that generates one token of an answer.

    The cache grows from ``prompt`` to ``prompt + tokens - 1`` tokens. A few lengths stand for as
    many steps around each of them, an odd number, so that they are whole and their mean is that of
    all steps: what is linear in the length is exact.

    Args:
        prompt: Tokens of the prompt.
        tokens: Tokens of the answer.

    Returns:
        One new token after caches of a few lengths, each with its share of the steps.

    Raises:
        BadInput: When a count is not positive, or is too large.
    """
    for name, value in (("prompt", prompt), ("tokens", tokens)):
        if not 1 <= value <= LONGEST_SEQUENCE:
            todo = f"give an integer from 1 to {LONGEST_SEQUENCE}"
            raise BadInput(name, f"is {value}", todo)
    return Span(1, _lengths(prompt, tokens))


def _lengths(prompt: int, tokens: int) -> tuple[tuple[int, float], ...]:
    parts = min(tokens, MOST_LENGTHS)
    parts -= (tokens - parts) % 2  # as many odd numbers as add up to the tokens
    odd = tokens // parts
    odd -= 1 - odd % 2
    larger = (tokens - odd * parts) // 2
    found = []
    start = prompt
    for part in range(parts):
        size = odd + 2 * (part < larger)
        found.append((start + size // 2, size / tokens))
        start += size
    return tuple(found)


@lru_cache(maxsize=4096)  # a search meets the same few blocks over and over
def block_layers(name: str, block: Block, span: Span) -> tuple[Layer, ...]:
    """Make the layers of one block.

    Args:
        name: Of the block; layers are called name.qkv and so on.
        block: Its sizes.
        span: The tokens that the run processes.

    Returns:
        The layers in the order in which they run.
    """
    return tuple(_layers(name, block, span))


def _layers(name: str, block: Block, span: Span) -> Iterator[Layer]:
    tokens, embed = span.tokens, block.embed
    norm = vector_work(**{block.norm: tokens * embed})
    norm_parameters = NORM_PARAMETERS[block.norm] * embed
    residual = vector_work(add=tokens * embed)
    queries = block.heads * block.head_size
    keys = block.kv_heads * block.head_size
    work = norm
    if block.rotary:
        work += vector_work(rotary=tokens * (queries + keys))
    yield linear(
        f"{name}.qkv",
        tokens,
        (embed, queries + 2 * keys),
        bias=block.bias,
        work=work,
        norm=norm_parameters,
    )
    yield from attention_over_cache(f"{name}.attention", block, span)
    projection = (queries, embed)
    yield linear(f"{name}.projection", tokens, projection, bias=block.bias, work=residual)
    yield from _mlp(name, block, tokens, (norm, norm_parameters))


def _mlp(name: str, block: Block, tokens: int, norm: tuple[int, int]) -> Iterator[Layer]:
    """``norm``: operations and parameters of the norm before it."""
    if block.gated:
        yield from _gated_inputs(name, block, tokens, norm)
        last = "down"
    else:
        work, parameters = norm
        work += vector_work(gelu=tokens * block.hidden)
        wide = (block.embed, block.hidden)
        yield linear(f"{name}.ffn_in", tokens, wide, bias=block.bias, work=work, norm=parameters)
        last = "ffn_out"
    residual = vector_work(add=tokens * block.embed)
    narrow = (block.hidden, block.embed)
    yield linear(f"{name}.{last}", tokens, narrow, bias=block.bias, work=residual)


def _gated_inputs(name: str, block: Block, tokens: int, norm: tuple[int, int]) -> Iterator[Layer]:
    """The first layer of an MLP and its gate, whose results are multiplied."""
    work, parameters = norm
    wide = (block.embed, block.hidden)
    elements = tokens * block.hidden
    work += vector_work(silu=elements)
    yield linear(f"{name}.gate", tokens, wide, bias=block.bias, work=work, norm=parameters)
    product = vector_work(scale=elements)
    yield linear(f"{name}.up", tokens, wide, bias=block.bias, work=product)


def attention_over_cache(
    name: str, block: Block, span: Span, *, appended: bool = True
) -> Iterator[Layer]:
    """Scores and context over all tokens so far; one pair of layers for each length of the cache.

    Query heads that share keys and values are vectors of one product. Products are computed in full, those that the causal
    mask hides included.

    Args:
        name: of the attention.
        block: its sizes.
        span: the tokens. Where none is appended, the cache holds all there are (cross-attention).
        appended: whether keys and values of the new tokens join the cache.

    Yields:
        Scores, then context, for each length of the cache.
    """
    keys = block.kv_heads * block.head_size
    vectors = span.tokens * block.heads // block.kv_heads
    new = span.tokens if appended else 0
    queries = span.tokens * block.heads * block.head_size
    for length, share in span.lengths:
        reach = length + new
        scores = span.tokens * block.heads * reach
        common: dict[str, Any] = {
            "groups": block.kv_heads,
            "dynamic": True,
            "cached": keys * length,
            "appended": keys * new,
            "frequency": share,
        }
        yield Layer(
            f"{name}.scores",
            "attention",
            vectors,
            block.head_size,
            reach,
            inputs=queries,
            outputs=scores,
            vector_ops=vector_work(softmax=scores, requantise=scores),
            **common,
        )
        yield Layer(
            f"{name}.context",
            "attention",
            vectors,
            reach,
            block.head_size,
            inputs=scores,
            outputs=queries,
            vector_ops=vector_work(requantise=queries),
            **common,
        )


def with_cache_size(
    layers: Sequence[Layer], token_elements: int, span: Span, *, always: int = 0
) -> tuple[Layer, ...]:
    """The layers, each of which says how large the whole network's cache is meanwhile.

    Args:
        layers: of one run.
        token_elements: keys and values of one token in all blocks.
        span: the tokens of the run.
        always: elements that the cache holds besides, however many tokens there are.

    Returns:
        The layers in their order.
    """
    found = []
    for layer in layers:
        held = span.most_tokens
        if layer.dynamic and layer.frequency < 1:
            held = layer.columns if layer.name.endswith("scores") else layer.reduction
        found.append(layer.with_cache_size(always + token_elements * held))
    return tuple(found)


@lru_cache(
    maxsize=MOST_KEPT_BLOCKS
)  # networks of one search share blocks, and so their layers' memory
def block_of_cache(name: str, block: Block, span: Span, token_elements: int) -> tuple[Layer, ...]:
    """Make the layers of one block, each of which says how large the whole network's cache is.

    Args:
        name: Of the block.
        block: Its sizes.
        span: The tokens that the run processes.
        token_elements: Keys and values of one token in all blocks of the network.

    Returns:
        The layers in the order in which they run.
    """
    return with_cache_size(block_layers(name, block, span), token_elements, span)
