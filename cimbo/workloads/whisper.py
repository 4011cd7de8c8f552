"""Whisper tiny: an encoder over 30 seconds of speech, and a decoder that attends to it while it writes text."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from cimbo.problem.space import Choice
from cimbo.workloads.decoder import (
    Block,
    Span,
    attention_over_cache,
    block_layers,
    steps,
    with_cache_size,
)
from cimbo.workloads.fixed import FixedNetwork
from cimbo.workloads.language import GeneratingFamily
from cimbo.workloads.layers import Layer, TokenLoop, Workload, linear, vector_work

MEL_BANDS = 80  # frequencies of a spectrogram of 30 seconds
SPECTROGRAM_FRAMES = 3000  # its frames in time
HEARD_VECTORS = 1500  # vectors that the encoder makes of the speech
VOCABULARY_SIZE = 51865
TEXT_POSITIONS = 448
TASK_TOKENS = 4  # start, language, task and no timestamps
USUAL_ANSWER = 100  # words and marks of 30 s of speech
BLOCK_COUNT = 4
EMBED_SIZE = 384
DECODER_BLOCK = Block(
    EMBED_SIZE,
    heads=6,
    kv_heads=6,
    head_size=64,
    hidden=1536,
    gated=False,
    rotary=False,
    norm="layernorm",
    bias=True,
)
# Biases of queries and values (keys have none), and the norm before them
BIASES_BUT_OF_KEYS = 2 * EMBED_SIZE + 2 * EMBED_SIZE


@dataclass(frozen=True)
class WhisperTiny(GeneratingFamily):
    """Whisper tiny (Radford et al., arXiv 2212.04356, table 1): 37.8M parameters, no genes.

    The run of the prompt is the encoder, then the keys and values of what was heard, which stay in the cache for the decoder
    to attend to, and then the decoder over the tokens that name the task.
    """

    def choices(self) -> list[Choice]:
        """None."""
        return []

    def workload(self, subnet: Mapping[str, Any]) -> Workload:
        """Make the encoder's layers and the decoder's.

        Args:
            subnet: Ignored: there are no genes.

        Returns:
            The run of the encoder and of the prompt, and the loop over the answer.
        """
        prompt_span = Span(self.prompt)
        prompt_layers = [*encoder_layers(), *_heard_keys(), *_decoder(prompt_span)]
        step_span = steps(self.prompt, self.tokens)
        step = _run(self.name, list(_decoder(step_span)), step_span)
        loop = TokenLoop(step, self.tokens)
        return replace(_run(self.name, prompt_layers, prompt_span), loop=loop)


def _run(name: str, layers: list[Layer], span: Span) -> Workload:
    """The workload of one run; the cache always holds what was heard, beside the tokens of text."""
    token_elements = BLOCK_COUNT * DECODER_BLOCK.cache_elements
    position_tables = (HEARD_VECTORS + TEXT_POSITIONS) * EMBED_SIZE
    heard_elements = token_elements * HEARD_VECTORS
    with_sizes = with_cache_size(layers, token_elements, span, always=heard_elements)
    return Workload(name, with_sizes, position_tables)


def encoder_layers() -> Iterator[Layer]:
    """Make the encoder: two convolutions over time, and four blocks of full attention.

    The last layer carries the norm that follows it. The convolutions are one-dimensional: their windows are not
    square, so their layers do not say a ``kernel``.

    Yields:
        The layers in their order.
    """
    yield from _convolutions()
    for number in range(1, BLOCK_COUNT + 1):
        name = f"encoder.block_{number}"
        for layer in block_layers(name, DECODER_BLOCK, Span(HEARD_VECTORS)):
            of_encoder = replace(layer, appended=0)  # an encoder has no cache
            if layer.name.endswith("qkv"):
                of_encoder = replace(of_encoder, extra_parameters=BIASES_BUT_OF_KEYS)
            if number == BLOCK_COUNT and layer.name.endswith("ffn_out"):
                of_encoder = _with_last_norm(of_encoder)
            yield of_encoder


def _convolutions() -> Iterator[Layer]:
    """Two convolutions over three frames; the second has stride 2, and positions are added to its outputs."""
    elements = SPECTROGRAM_FRAMES * EMBED_SIZE
    yield Layer(
        "encoder.conv_1",
        "conv",
        px=SPECTROGRAM_FRAMES,
        reduction=3 * MEL_BANDS,
        columns=EMBED_SIZE,
        inputs=SPECTROGRAM_FRAMES * MEL_BANDS,
        outputs=elements,
        vector_ops=vector_work(gelu=elements, requantise=elements),
        extra_parameters=EMBED_SIZE,
        width=SPECTROGRAM_FRAMES,
    )
    halved = HEARD_VECTORS * EMBED_SIZE
    yield Layer(
        "encoder.conv_2",
        "conv",
        px=HEARD_VECTORS,
        reduction=3 * EMBED_SIZE,
        columns=EMBED_SIZE,
        inputs=elements,
        outputs=halved,
        vector_ops=vector_work(gelu=halved, add=halved, requantise=halved),
        extra_parameters=EMBED_SIZE,
        width=HEARD_VECTORS,
    )


def _with_last_norm(layer: Layer) -> Layer:
    """The last layer of the encoder, with the norm that follows it."""
    return replace(
        layer,
        vector_ops=layer.vector_ops + vector_work(layernorm=HEARD_VECTORS * EMBED_SIZE),
        extra_parameters=layer.extra_parameters + 2 * EMBED_SIZE,
    )


def _heard_keys() -> Iterator[Layer]:
    """The layers that make keys and values of what was heard, one for each block of the decoder; they stay in the cache."""
    for number in range(1, BLOCK_COUNT + 1):
        layer = linear(f"decoder.block_{number}.heard", HEARD_VECTORS, (EMBED_SIZE, 2 * EMBED_SIZE))
        # Values have a bias, keys have none.
        cached = HEARD_VECTORS * DECODER_BLOCK.cache_elements
        yield replace(layer, extra_parameters=EMBED_SIZE, appended=cached)


def _decoder(span: Span) -> Iterator[Layer]:
    """Make the decoder's blocks and its head.

    A block attends to the text so far, and after that to what was heard (the encoder's output). The
    head reads the last token alone, as only the next word is asked for.

    Args:
        span: The tokens of text that the run processes.

    Yields:
        The layers in their order.
    """
    for number in range(1, BLOCK_COUNT + 1):
        name = f"decoder.block_{number}"
        for layer in block_layers(name, DECODER_BLOCK, span):
            if layer.name.endswith("qkv"):
                # Whisper's keys have no bias, unlike the queries and values beside them.
                yield replace(layer, extra_parameters=BIASES_BUT_OF_KEYS)
            else:
                yield layer
            if layer.name.endswith("projection"):
                yield from _cross_attention(name, span.tokens)
    last_norm = vector_work(layernorm=EMBED_SIZE)
    yield linear(
        "head", 1, (EMBED_SIZE, VOCABULARY_SIZE), bias=False, work=last_norm, norm=2 * EMBED_SIZE
    )


def _cross_attention(name: str, tokens: int) -> Iterator[Layer]:
    """Attention of new tokens to what was heard: the encoder's vectors, whose keys and values are in the cache."""
    norm = vector_work(layernorm=tokens * EMBED_SIZE)
    residual = vector_work(add=tokens * EMBED_SIZE)
    square = (EMBED_SIZE, EMBED_SIZE)
    heard = Span(tokens, ((HEARD_VECTORS, 1.0),))  # in all runs (1.0) the cache has the same length
    yield linear(f"{name}.cross.query", tokens, square, work=norm, norm=2 * EMBED_SIZE)
    yield from attention_over_cache(f"{name}.cross", DECODER_BLOCK, heard, appended=False)
    yield linear(f"{name}.cross.projection", tokens, square, work=residual)


def whisper_tiny() -> WhisperTiny:
    """Encoder and decoder; four tokens name the task, and some hundred are the answer."""
    return WhisperTiny("whisper-tiny", prompt=TASK_TOKENS, tokens=USUAL_ANSWER)


def whisper_tiny_encoder() -> FixedNetwork:
    """The encoder alone."""
    name = "whisper-tiny-encoder"
    return FixedNetwork(name, Workload(name, tuple(encoder_layers()), HEARD_VECTORS * EMBED_SIZE))
