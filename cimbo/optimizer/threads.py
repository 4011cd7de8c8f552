"""One thread for the surrogates' linear algebra, so that the seed alone decides a run.

A matrix product over two threads adds in another order than over one and differs in the last bit; a search over candidates
makes another design of that. Matrices here have some hundred rows: more threads would not be faster either.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_thread() -> Iterator[None]:
    """Run the block with one thread in BLAS, OpenMP and torch.

    What was set before is set again after it.

    Yields:
        Nothing, once.
    """
    # threadpoolctl limits only libraries that are loaded already
    import scipy.linalg  # noqa: F401
    import torch
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    with threadpool_limits(limits=1):
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(before)
