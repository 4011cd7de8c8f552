"""What we use of other packages that they do not promise to keep.

All of it is in this one place, with a test each (tests/test_compat.py).
"""

import contextlib
import ctypes
import multiprocessing
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from joblib.externals.loky.backend import get_context
from joblib.externals.loky.backend.reduction import dumps, loads

PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


def dump_with_code(value: object) -> bytes:
    """``value`` as bytes, functions of scripts and notebooks included, as joblib's own copy of loky sends them."""
    return bytes(dumps(value))


def load_with_code(data: bytes) -> Any:
    """The value behind bytes from `dump_with_code`.

    Only for what this process, or the one that started it, has dumped.

    Returns:
        The value.
    """
    return loads(data)


def make_pipe() -> tuple[Any, Any]:
    """Two connected ends for messages between processes."""
    ours, theirs = get_context("loky").Pipe()
    return ours, theirs


def make_process(
    target: Callable[..., None], arguments: tuple[Any, ...], environment: dict[str, str]
) -> Any:
    """A process that starts afresh (loky), with those environment variables; the caller's script does not run again."""
    return get_context("loky").Process(target=target, args=arguments, env=environment)


@contextlib.contextmanager
def children_allowed() -> Iterator[None]:
    """Lets a daemon, as the workers of Dask are, start processes.

    multiprocessing forbids it, lest they outlive the daemon. Ours follow their parent wherever it goes, so that
    the ban has no reason here.
    """
    config: dict[str, Any] = vars(multiprocessing.current_process()).setdefault("_config", {})
    daemon = config.pop("daemon", None)
    try:
        yield
    finally:
        if daemon is not None:
            config["daemon"] = daemon


def adopt_orphans() -> bool:
    """Makes this process the parent of what its descendants leave behind (Linux).

    Returns:
        True where it could.
    """
    if sys.platform != "linux":
        return False
    return bool(ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


def disable_compiled_kernels(logei: ModuleType) -> None:
    """Keeps BoTorch's ``logei`` from compiling a C++ kernel when it is first used.

    That takes a minute and a compiler, and gains nothing on finite pools.

    Raises:
        AttributeError: When BoTorch has renamed what is replaced here.
    """
    if not hasattr(logei, "_load_attempted"):
        raise AttributeError(f"{logei.__name__} no longer says whether it has tried to compile")
    logei._load_attempted = True  # type: ignore[attr-defined]
