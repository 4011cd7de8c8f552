"""Where a language model's keys and values of earlier tokens (its KV cache) live, and their traffic.

The cache of a whole network lies in the DRAM, in half of the chip's buffer, or in an embedded DRAM;
what does not fit on the chip lies in the DRAM. All of it passes through the buffer, as weights do.
Arrays of shape (rows,) have one element for each distinct layer shape of each (network, chip) pair.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cimbo.hardware.rows import ChipRows, Floats, LayerRows

CACHE_PLACES = ("dram", "buffer", "edram")
BUFFER_SHARE = 0.5  # a cache takes at most this share of the buffer; activations have the rest


@dataclass(frozen=True)
class CacheTraffic:
    """Bits of the KV cache that each row moves, each column of shape (rows,).

    Attributes:
        dram_read: Bits read from the DRAM if the operand is loaded once.
        dram_written: Bits written to the DRAM.
        edram_read: Bits read from the embedded DRAM if the operand is loaded once.
        edram_written: Bits written to the embedded DRAM.
        operand_bits: Bits of attention's stationary operand (keys or values): its cached elements at
            the cache's precision, the others at that of the arrays.
        streamed_bits: Bits of the operand's cached elements at the arrays' precision. They stream
            through the buffer, which therefore need not hold them.
        buffer_bits: Bits of the buffer that the cache occupies.
    """

    dram_read: Floats
    dram_written: Floats
    edram_read: Floats
    edram_written: Floats
    operand_bits: Floats
    streamed_bits: Floats
    buffer_bits: Floats


def cache_traffic(layers: LayerRows, chip: ChipRows, operand_bits: Floats) -> CacheTraffic:
    """Count the bits that each row reads from the cache and adds to it, by the memory they lie in.

    The part of the cache for which the chip has room lies on the chip, the rest in the DRAM. Every
    layer's reads and writes are split in that proportion.

    Args:
        layers: Shapes, columns of shape (rows,).
        chip: Chips, columns of shape (rows,).
        operand_bits: Bits of one element of the stationary operand as the arrays take it, (rows,).

    Returns:
        Columns of shape (rows,).
    """
    whole_cache = np.maximum(layers.cache_size * chip.kv_bits, 1e-300)  # no division by 0
    fraction_on_chip = np.minimum(chip.cache_bits / whole_cache, 1)
    fraction_in_dram = 1 - fraction_on_chip
    fraction_in_edram = np.where(chip.is_cache_in_buffer > 0, 0, fraction_on_chip)
    read, written = layers.cached * chip.kv_bits, layers.appended * chip.kv_bits
    elements = layers.reduction * layers.outputs_each * layers.groups * layers.is_dynamic
    streamed = layers.cached * operand_bits
    return CacheTraffic(
        dram_read=read * fraction_in_dram,
        dram_written=written * fraction_in_dram,
        edram_read=read * fraction_in_edram,
        edram_written=written * fraction_in_edram,
        operand_bits=elements * operand_bits - streamed + read,
        streamed_bits=streamed,
        buffer_bits=chip.is_cache_in_buffer * np.minimum(chip.cache_bits, whole_cache),
    )
