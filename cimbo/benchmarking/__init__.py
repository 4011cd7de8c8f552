"""Comparison of search methods at equal budgets. Each method is a class with ``ask`` and ``tell`` (see ``method``) in a file.

``METHOD_MODULES`` lists them by name. The packages that a method needs are imported only when it starts.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from importlib import import_module

from cimbo.benchmarking import own_method
from cimbo.benchmarking.method import MethodFailure, Peer, Task
from cimbo.errors import BadInput, CimboError, check_known

#: name -> (module, class, description in tables)
METHOD_MODULES = {
    "random": ("random_search", "Random", "uniformly random designs"),
    "nsga2": ("nsga2", "Nsga2", "pymoo's NSGA-II, population 20"),
    "tpe": ("optuna_methods", "Tpe", "Optuna's multi-objective TPE"),
    "tpe-multivariate": (
        "optuna_methods",
        "TpeMultivariate",
        "Optuna's TPE over all genes at once, AutoSampler's choice for most joint problems",
    ),
    "gp-sampler": ("optuna_methods", "GpSampler", "Optuna's GPSampler"),
    "linas": ("linas", "Linas", "NSGA-II on XGBoost predictors with verification"),
    "botorch": (
        "botorch_method",
        "MixedAlternating",
        "SingleTaskGP, qLogNEHVI, optimize_acqf_mixed_alternating",
    ),
    "saasbo": ("saasbo_method", "SaasBo", "the same with SAAS models, sampled by NUTS"),
    "moead": ("moead", "Moead", "pymoo's MOEA/D, 20 directions"),
    "ax": ("ax_method", "Ax", "Ax's client with its defaults"),
    "smac": ("smac_method", "Smac", "SMAC3, random forest and ParEGO"),
    "baybe": ("baybe_method", "BayBe", "BayBE's Pareto objective over a list of 1,000 designs"),
    "cimbo": ("cimbo_method", "Cimbo", "this package"),
}
COMPUTING_METHODS = ("cimbo",)  # methods that can compute some costs instead of modelling them
LARGE_PEERS = ("ax", "smac", "baybe", "saasbo")  # each with an extra of its own
# The other methods take seconds to minutes for a proposal.
QUICK_METHODS = ("random", "nsga2", "tpe", "linas", "cimbo")


def start(name: str, task: Task) -> Peer:
    """Make a search method that is ready to be asked.

    Args:
        name: One of ``METHOD_MODULES``, or a method of the user's, see `cimbo.benchmarking.own_method`.
        task: The problem and the seed.

    Returns:
        The method.

    Raises:
        BadInput: When the method is unknown, or what it needs is not installed.
        MethodFailure: The method raises when it is made.
    """
    if name not in METHOD_MODULES and own_method.is_own(name):
        return own_method.start_own(name, task)
    known = [*METHOD_MODULES, *own_method.installed_names()]
    check_known(name, known, f"method {name!r}", "is unknown")
    module, class_name, _ = METHOD_MODULES[name]
    try:
        peer: Peer = getattr(import_module(f"cimbo.benchmarking.{module}"), class_name)(task)
    except ImportError as error:
        extra = "peers"
        if name in LARGE_PEERS:
            extra = f"peers-{name}"
        todo = f"pip install 'cimbo[{extra}]', or leave {name} out of the methods"
        raise BadInput(
            f"method {name}", f"needs {error.name}, which is not installed", todo
        ) from None
    except CimboError:
        raise
    except Exception as error:
        told = f"method {name}: it raised {type(error).__name__}: {error}"
        raise MethodFailure(told) from error
    return peer


def check_names(names: Iterable[str], task: Task) -> None:
    """Check that methods can be had, before the first evaluation of any.

    Args:
        names: Names of methods.
        task: What each is made for; one that raises then fails in its own run, too.

    Raises:
        BadInput: As `start` does.
    """
    for name in names:
        with suppress(MethodFailure):
            start(name, task)
