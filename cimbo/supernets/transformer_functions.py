"""Attention and GELU as deployed networks compute them, in few passes over their numbers."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

# Scores are limited to plus and minus this: a 32-bit float can hold its exponential
SAFE_SCORE = 80.0


def attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Compute softmax attention in two matrix products.

    The largest score of a row is subtracted only where ``exp`` could overflow or a whole row become zero, as on arrays with
    huge errors. The sums by which the softmax divides come out of the second product, as one more column of ``value``.

    Args:
        query: (n, tokens, size); scaled in place.
        key: (n, tokens, size).
        value: (n, tokens, size).

    Returns:
        (n, tokens, size).
    """
    scores = torch.bmm(query.mul_(query.shape[-1] ** -0.5), key.transpose(1, 2))
    least, most = torch.aminmax(scores)
    if most > SAFE_SCORE or least < -SAFE_SCORE:
        scores -= scores.amax(-1, keepdim=True)
    summed = torch.bmm(scores.exp_(), F.pad(value, (0, 1), value=1.0))
    return summed[..., :-1].div_(summed[..., -1:])


def gelu(x: Tensor) -> Tensor:
    """Computes GELU in its tanh form, several times as fast on a CPU as F.gelu is.

    Args:
        x: Values of any shape.

    Returns:
        A new tensor of the same shape.
    """
    # x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))
    inner = torch.addcmul(x, x * x, x, value=0.044715).mul_(0.7978845608028654).tanh_()
    return torch.addcmul(x, x, inner).mul_(0.5)
