"""Where keys and values of earlier tokens live, and what moving them costs.

The cache of a whole network lies in the DRAM, in half of the chip's buffer, or in an embedded DRAM; what does not fit on the
chip lies in the DRAM. All of it passes through the buffer, as weights do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cimbo.hardware.rows import ChipRows, Floats, LayerRows

CACHE_PLACES = ("dram", "buffer", "edram")
BUFFER_SHARE = 0.5  # a cache takes at most this share of the buffer; activations have the rest


@dataclass(frozen=True)
class CacheTraffic:
    """Bits of the cache that each row moves, each column of shape (rows,).

    Attributes:
        dram_read: From the DRAM, once.
        dram_written: To the DRAM.
        edram_read: From the embedded DRAM, once.
        edram_written: To the embedded DRAM.
        operand_bits: Bits of attention's operand: what the cache holds of it in the cache's bits, the rest in activations'.
        streamed_bits: Activation bits of the operand that the buffer need not hold, for the cache streams them.
        buffer_bits: Of the buffer that the cache takes.
    """

    dram_read: Floats
    dram_written: Floats
    edram_read: Floats
    edram_written: Floats
    operand_bits: Floats
    streamed_bits: Floats
    buffer_bits: Floats


def cache_traffic(layers: LayerRows, chip: ChipRows, operand_bits: Floats) -> CacheTraffic:
    """Counts what each row reads from the cache and adds to it, and where that lies.

    The oldest tokens lie on the chip, as far as there is room for them.

    Args:
        layers: Shapes, columns of shape (rows,).
        chip: Chips, columns of shape (rows,).
        operand_bits: Bits of an element of the stationary operand as the arrays take it, (rows,).

    Returns:
        Columns of shape (rows,).
    """
    whole = np.maximum(layers.cache_size * chip.kv_bits, 1e-300)
    on_chip = np.minimum(chip.cache_bits / whole, 1)
    away = 1 - on_chip
    in_edram = np.where(chip.is_cache_in_buffer > 0, 0, on_chip)
    read, written = layers.cached * chip.kv_bits, layers.appended * chip.kv_bits
    operand = layers.reduction * layers.outputs_each * layers.groups * layers.is_dynamic
    streamed = layers.cached * operand_bits
    return CacheTraffic(
        dram_read=read * away,
        dram_written=written * away,
        edram_read=read * in_edram,
        edram_written=written * in_edram,
        operand_bits=operand * operand_bits - streamed + read,
        streamed_bits=streamed,
        buffer_bits=chip.is_cache_in_buffer * np.minimum(chip.cache_bits, whole),
    )
