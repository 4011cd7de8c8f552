"""Blocks of decoder-only Transformers, and the two runs that a request to a language model consists of.

The prompt is processed at once; then each generated token is one step over a cache of all keys and values before it. Steps
differ only in the length of that cache. So a request is the run of its prompt, then as many mean steps as there are tokens. A
mean step has attention over a few lengths of the cache, each of which runs in a share of the steps (``Layer.frequency``).
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
        tokens: New tokens.
        lengths: Numbers of tokens before them, whose keys and values are in the cache, each with the share of the runs that
            it stands for.
    """

    tokens: int
    lengths: tuple[tuple[int, float], ...] = ((0, 1.0),)

    @property
    def most_tokens(self) -> int:
        """The longest sequence, the new tokens included."""
        return self.tokens + max(length for length, _ in self.lengths)


def steps(prompt: int, tokens: int) -> Span:
    """Make the mean step that generates one token of an answer.

    The cache grows from ``prompt`` to ``prompt + tokens - 1`` tokens. Neighbouring steps are put into a
    few groups, and the length in the middle of a group stands for all its steps. Groups have an odd
    number of steps, so that the middle is whole: a cost that is linear in the length is then exact.

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
    """The length in the middle of each group of steps, and the group's share of all steps: see ``steps``."""
    # Every group has an odd number of steps, one of two sizes that differ by 2. Odd numbers sum to ``tokens`` only
    # where their number is even and ``tokens`` is, too, or both are odd.
    n_groups = min(tokens, MOST_LENGTHS)
    n_groups -= (tokens - n_groups) % 2
    small_size = tokens // n_groups
    small_size -= 1 - small_size % 2  # the next odd number below
    n_larger = (tokens - small_size * n_groups) // 2  # so many groups have two steps more
    lengths = []
    start = prompt
    for group in range(n_groups):
        size = small_size
        if group < n_larger:
            size += 2
        lengths.append((start + size // 2, size / tokens))
        start += size
    return tuple(lengths)


@lru_cache(maxsize=4096)  # a search meets the same few blocks over and over
def block_layers(name: str, block: Block, span: Span) -> tuple[Layer, ...]:
    """Make the layers of one block.

    Args:
        name: Name of the block; layers are called name.qkv and so on.
        block: Its sizes.
        span: The tokens that the run processes.

    Returns:
        The layers in the order in which they run.
    """
    return tuple(_layers(name, block, span))


def _layers(name: str, block: Block, span: Span) -> Iterator[Layer]:
    """Attention and MLP of one block, each with a norm before it and a residual sum after it."""
    tokens = span.tokens
    embed = block.embed
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
    """The layers of a block's MLP; ``norm``: vector operations and parameters of the norm before it."""
    if block.gated:
        yield from _gated_inputs(name, block, tokens, norm)
        last = "down"
    else:
        work, parameters = norm
        work += vector_work(gelu=tokens * block.hidden)
        to_hidden = (block.embed, block.hidden)
        yield linear(
            f"{name}.ffn_in", tokens, to_hidden, bias=block.bias, work=work, norm=parameters
        )
        last = "ffn_out"
    residual = vector_work(add=tokens * block.embed)
    from_hidden = (block.hidden, block.embed)
    yield linear(f"{name}.{last}", tokens, from_hidden, bias=block.bias, work=residual)


def _gated_inputs(name: str, block: Block, tokens: int, norm: tuple[int, int]) -> Iterator[Layer]:
    """The first layer of a gated MLP and its gate, whose results are multiplied; ``norm`` as for ``_mlp``."""
    work, parameters = norm
    to_hidden = (block.embed, block.hidden)
    elements = tokens * block.hidden
    work += vector_work(silu=elements)
    yield linear(f"{name}.gate", tokens, to_hidden, bias=block.bias, work=work, norm=parameters)
    product = vector_work(scale=elements)
    yield linear(f"{name}.up", tokens, to_hidden, bias=block.bias, work=product)


def attention_over_cache(
    name: str, block: Block, span: Span, *, appended: bool = True
) -> Iterator[Layer]:
    """Make the two products of attention over all tokens so far, for each length of the cache.

    Query heads that share keys and values are vectors of one product. Products are computed in full, those that the causal
    mask hides included.

    Args:
        name: Name of the attention; layers are called name.scores and name.context.
        block: Sizes of the block.
        span: New tokens, and lengths of the cache.
        appended: Whether keys and values of the new tokens join the cache, and are attended to; not in cross-attention,
            where the cache holds all keys there are.

    Yields:
        Scores, then context, for each length of the cache.
    """
    key_size = block.kv_heads * block.head_size  # elements of all keys of one token
    vectors = span.tokens * block.heads // block.kv_heads  # of each group
    n_new = span.tokens if appended else 0
    n_query_elements = span.tokens * block.heads * block.head_size
    for length, share in span.lengths:
        attended = length + n_new  # tokens
        n_scores = span.tokens * block.heads * attended
        common: dict[str, Any] = {
            "groups": block.kv_heads,
            "dynamic": True,
            "cached": key_size * length,
            "appended": key_size * n_new,
            "frequency": share,
        }
        yield Layer(
            f"{name}.scores",
            "attention",
            px=vectors,
            reduction=block.head_size,
            columns=attended,
            inputs=n_query_elements,
            outputs=n_scores,
            vector_ops=vector_work(softmax=n_scores, requantise=n_scores),
            **common,
        )
        yield Layer(
            f"{name}.context",
            "attention",
            px=vectors,
            reduction=attended,
            columns=block.head_size,
            inputs=n_scores,
            outputs=n_query_elements,
            vector_ops=vector_work(requantise=n_query_elements),
            **common,
        )


def with_cache_size(
    layers: Sequence[Layer], token_elements: int, span: Span, *, always: int = 0
) -> tuple[Layer, ...]:
    """Tell every layer of a run how large the cache of the whole network is while it runs.

    Args:
        layers: The layers of one run.
        token_elements: Elements of the keys and values of one token in all blocks.
        span: The tokens of the run.
        always: Elements that the cache holds besides, however many tokens there are.

    Returns:
        The layers with their ``cache_size``, in order.
    """
    with_sizes = []
    for layer in layers:
        tokens_held = span.most_tokens
        # A layer that stands for some of the steps attends to the tokens that the cache holds then
        if layer.dynamic and layer.frequency < 1:
            tokens_held = layer.columns if layer.name.endswith("scores") else layer.reduction
        with_sizes.append(layer.with_cache_size(always + token_elements * tokens_held))
    return tuple(with_sizes)


# Networks of one search share blocks, and so their layers' memory
@lru_cache(maxsize=MOST_KEPT_BLOCKS)
def block_of_cache(name: str, block: Block, span: Span, token_elements: int) -> tuple[Layer, ...]:
    """Make the layers of one block, with the size of the whole network's cache while they run.

    Args:
        name: Name of the block.
        block: Its sizes.
        span: The tokens that the run processes.
        token_elements: Elements of the keys and values of one token in all blocks of the network.

    Returns:
        The layers in the order in which they run.
    """
    return with_cache_size(block_layers(name, block, span), token_elements, span)
