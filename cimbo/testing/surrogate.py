"""What a surrogate must do: learn from rows, and say how sure it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cimbo.testing.finding import Finding, guarded, judged

Array = NDArray[np.float64]
_N, _HELD = 60, 20


class Predictor(Protocol):
    """What a fit returns.

    ``predict(X)`` takes inputs (n, d) and returns an object with ``mean`` (n,) and ``std`` (n,),
    which is not negative, as ``predictors.Model`` has it.
    """

    def predict(self, X: Any) -> Any:
        """Return the predictions of the rows of ``X``."""
        ...


Fit = Callable[[Array, Array], Predictor]


def check_surrogate(fit: Fit) -> list[Finding]:
    """Runs the kit for ``cimbo.surrogates`` on a fit.

    It is fitted to 60 points of a smooth function of three variables and judged on 20 others.

    Args:
        fit: From inputs (n, d) and values (n,) to a :class:`Predictor`.

    Returns:
        Findings in the order of the checks; an error that the surrogate raises is one of them.
    """
    return list(guarded("surrogate", lambda: _examine(fit)))


def _examine(fit: Fit) -> Iterator[Finding]:
    X, y = _problem()
    kept = X.copy(), y.copy()
    model = fit(X[:_N], y[:_N])
    yield judged(
        "the data are left as they were",
        bool((kept[0] == X).all() and (kept[1] == y).all()),
        "compared",
        "copy",
    )
    said = model.predict(X[_N:])
    mean, std = np.asarray(said.mean), np.asarray(said.std)
    shapes = f"mean {mean.shape}, std {std.shape}"
    right = mean.shape == std.shape == (_HELD,)
    yield judged(
        "shapes", right, shapes, f"return mean and std of shape ({_HELD},) for {_HELD} rows"
    )
    if not right:
        return
    sound = bool(np.isfinite(mean).all() and np.isfinite(std).all() and (std >= 0).all())
    yield judged(
        "finite, and std not negative",
        sound,
        f"std from {std.min():.3g} to {std.max():.3g}",
        "return such",
    )
    error = float(np.sqrt(np.mean((mean - y[_N:]) ** 2)) / y[_N:].std())
    yield judged(
        "better than the mean",
        error < 1,
        f"error {error:.2f} of the spread",
        "a guess of the mean has 1.00",
    )
    again = fit(X[:_N], y[:_N]).predict(X[_N:])
    same = bool(np.allclose(again.mean, mean, rtol=1e-9, atol=1e-12))
    yield judged("the same data, the same model", same, "fitted twice", "seed what is random")


def _problem() -> tuple[Array, Array]:
    rng = np.random.default_rng(0)
    X = rng.random((_N + _HELD, 3))
    return X, 3 * X[:, 0] + np.sin(4 * X[:, 1]) + 0.5 * X[:, 0] * X[:, 2]
