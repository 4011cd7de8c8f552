"""Language models: GPT-2, elastic as in HW-GPT-Bench, and fixed shapes of Llama 3."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from cimbo.problem.space import Choice
from cimbo.workloads.decoder import (
    NORM_PARAMETERS,
    Block,
    Span,
    block_of_cache,
    steps,
    with_cache_size,
)
from cimbo.workloads.elastic import Family, block_choices
from cimbo.workloads.layers import Layer, TokenLoop, Workload, linear, vector_work

DEFAULT_PROMPT = 128  # tokens
DEFAULT_TOKENS = 128
GPT2_VOCABULARY = 50257
GPT2_POSITIONS = 1024
GPT2_HEAD_SIZE = 64
LLAMA_VOCABULARY = 128256


@dataclass(frozen=True)
class GeneratingFamily(Family):
    """A family whose networks answer a prompt token by token.

    Attributes:
        name: Name of the family.
        prompt: Tokens of a prompt.
        tokens: Tokens of an answer.
    """

    name: str
    prompt: int = field(default=DEFAULT_PROMPT, kw_only=True)
    tokens: int = field(default=DEFAULT_TOKENS, kw_only=True)

    def generating(self, prompt: int | None = None, tokens: int | None = None) -> Self:
        """Make the family for prompts or answers of other lengths.

        Args:
            prompt: Tokens of a prompt; None: as it is.
            tokens: Tokens of an answer; None: as it is.

        Returns:
            A copy of the family with these lengths.

        Raises:
            BadInput: When a count is not positive, or is too large.
        """
        prompt = self.prompt if prompt is None else prompt
        tokens = self.tokens if tokens is None else tokens
        steps(prompt, tokens)
        return replace(self, prompt=prompt, tokens=tokens)


@dataclass(frozen=True)
class Decoder:
    """A decoder-only Transformer.

    Attributes:
        blocks: Its blocks, in order.
        vocabulary: How many tokens it knows.
        positions: How many positions have learned vectors; 0 where positions are rotary.
        tied: Whether the head's weights are the table of embeddings.
    """

    blocks: tuple[Block, ...]
    vocabulary: int
    positions: int
    tied: bool

    def request(self, name: str, prompt: int, tokens: int) -> Workload:
        """Make the run over a prompt, followed by a loop over the tokens of the answer.

        Args:
            name: What reports call the workload.
            prompt: Tokens of the prompt.
            tokens: Tokens of the answer.

        Returns:
            The prompt's layers, with the loop's mean step in ``loop``.

        Raises:
            BadInput: When a count is not positive, or is too large.
        """
        of_prompt = self._run(name, Span(prompt))
        step = self._run(name, steps(prompt, tokens))
        return replace(of_prompt, loop=TokenLoop(step, tokens))

    def _run(self, name: str, span: Span) -> Workload:
        """The workload of one run over the tokens of a span: all blocks and the head."""
        # Of all blocks: each layer is told the whole network's cache, for all share the memory
        token_elements = sum(block.cache_elements for block in self.blocks)
        layers: list[Layer] = []
        for number, block in enumerate(self.blocks, 1):
            layers += block_of_cache(f"block_{number}", block, span, token_elements)
        layers += with_cache_size([self._head(span)], token_elements, span)
        return Workload(name, tuple(layers), self._table_parameters())

    def _table_parameters(self) -> int:
        """Parameters that are looked up: vectors of positions, and of tokens where the head does not share them."""
        vectors = self.positions
        if not self.tied:
            vectors += self.vocabulary
        return vectors * self.blocks[0].embed

    def _head(self, span: Span) -> Layer:
        """The norm and the head, for the last token of each sequence alone, whose successor is wanted."""
        last = self.blocks[-1]
        work = vector_work(**{last.norm: last.embed})
        # Learned positions are added to the embeddings before the first block; the head carries that
        if self.positions:
            work += vector_work(add=span.tokens * last.embed)
        parameters = NORM_PARAMETERS[last.norm] * last.embed
        shape = (last.embed, self.vocabulary)
        return linear("head", 1, shape, bias=False, work=work, norm=parameters)


@dataclass(frozen=True)
class Gpt2(GeneratingFamily):
    """Elastic GPT-2: embedding, depth, heads of 64 and MLP ratio in each block, biases.

    Space: HW-GPT-Bench (Sukthanker et al., arXiv 2405.10299). Its networks rotate queries and keys where GPT-2 adds learned
    positions; counted here are GPT-2's.

    Attributes:
        embeds: Values of the gene ``embed``, the width of a token.
        depths: Values of the gene ``depth``.
        heads: Values of the gene ``heads_i`` of block i.
        ratios: Values of the gene ``mlp_i``: hidden units as a multiple of the width.
    """

    embeds: tuple[int, ...]
    depths: tuple[int, ...]
    heads: tuple[int, ...]
    ratios: tuple[int, ...]

    def choices(self) -> list[Choice]:
        """``embed``, ``depth``, ``bias``, then ``heads_i`` and ``mlp_i`` of each block, 1-based."""
        depth = Choice("depth", list(self.depths))
        genes = [Choice("embed", list(self.embeds)), depth, Choice("bias", [0, 1])]
        for block in range(1, max(self.depths) + 1):
            values = {f"heads_{block}": self.heads, f"mlp_{block}": self.ratios}
            genes += block_choices(depth, block, values)
        return genes

    def workload(self, subnet: Mapping[str, Any]) -> Workload:
        """Make a request to one sub-network.

        Args:
            subnet: Each active gene to its value.

        Returns:
            The run of the prompt and the loop over the answer.

        Raises:
            BadInput: On a missing active gene or a value outside its list.
        """
        gene = self.reader(subnet)
        embed = gene("embed")
        blocks = []
        for number in range(1, gene("depth") + 1):
            heads = gene(f"heads_{number}")
            hidden = embed * gene(f"mlp_{number}")
            blocks.append(_gpt2_block(embed, heads, hidden, bias=bool(gene("bias"))))
        decoder = Decoder(tuple(blocks), GPT2_VOCABULARY, GPT2_POSITIONS, tied=True)
        return decoder.request(self.name, self.prompt, self.tokens)


def _gpt2_block(embed: int, heads: int, hidden: int, *, bias: bool) -> Block:
    """A block of GPT-2: every query head has keys of its own, and the MLP a GELU."""
    return Block(
        embed,
        heads,
        kv_heads=heads,
        head_size=GPT2_HEAD_SIZE,
        hidden=hidden,
        gated=False,
        rotary=False,
        norm="layernorm",
        bias=bias,
    )


@dataclass(frozen=True)
class FixedDecoder(GeneratingFamily):
    """A decoder of one shape, without genes."""

    decoder: Decoder

    def choices(self) -> list[Choice]:
        """None."""
        return []

    def workload(self, subnet: Mapping[str, Any]) -> Workload:
        """Make a request to the model.

        Args:
            subnet: Ignored: there are no genes.

        Returns:
            The run of the prompt and the loop over the answer.
        """
        return self.decoder.request(self.name, self.prompt, self.tokens)


def gpt2_small() -> Gpt2:
    """Elastic GPT-2 small; the largest is GPT-2 of 124M parameters (Radford et al., 2019)."""
    return Gpt2("gpt2-s", (192, 384, 768), (10, 11, 12), (4, 8, 12), (2, 3, 4))


def gpt2_medium() -> Gpt2:
    """Elastic GPT-2 medium; the largest is GPT-2 of 355M parameters."""
    return Gpt2("gpt2-m", (256, 512, 1024), (22, 23, 24), (8, 12, 16), (2, 3, 4))


def _llama(name: str, depth: int, block: Block, *, tied: bool) -> FixedDecoder:
    """A Llama of ``depth`` equal blocks, with rotary positions."""
    return FixedDecoder(name, Decoder((block,) * depth, LLAMA_VOCABULARY, 0, tied))


def _llama_block(embed: int, heads: int, kv_heads: int, head_size: int, hidden: int) -> Block:
    """A block of Llama 3: gated MLP, rotary positions, RMS norms, no biases."""
    return Block(
        embed,
        heads,
        kv_heads,
        head_size,
        hidden,
        gated=True,
        rotary=True,
        norm="rmsnorm",
        bias=False,
    )


def llama_1b() -> FixedDecoder:
    """Llama 3.2 1B: 1.24G parameters (its model card's configuration)."""
    block = _llama_block(embed=2048, heads=32, kv_heads=8, head_size=64, hidden=8192)
    return _llama("llama-3.2-1b", 16, block, tied=True)


def llama_3b() -> FixedDecoder:
    """Llama 3.2 3B: 3.21G parameters (its model card's configuration)."""
    block = _llama_block(embed=3072, heads=24, kv_heads=8, head_size=128, hidden=8192)
    return _llama("llama-3.2-3b", 28, block, tied=True)


def llama_8b() -> FixedDecoder:
    """Llama 3 8B: 8.03G parameters (Grattafiori et al., arXiv 2407.21783, table 3)."""
    block = _llama_block(embed=4096, heads=32, kv_heads=8, head_size=128, hidden=14336)
    return _llama("llama-3-8b", 32, block, tied=False)
