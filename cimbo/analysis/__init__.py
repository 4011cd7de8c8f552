"""From a front to a decision.

What limits a design, what the next mm2 buys, who was beaten, how sure the front is, and one chip for several networks.
Everything here is computed by cimbo's own chip model from what a study recorded; nothing is measured again.
"""

from cimbo.analysis.neighbours import Neighbour, beaten, one_step
from cimbo.analysis.portfolio import Portfolio, serve
from cimbo.analysis.robustness import Errors, chances, chances_by_metrics
from cimbo.analysis.shadow_prices import Price, bottleneck, prices

__all__ = [
    "Errors",
    "Neighbour",
    "Portfolio",
    "Price",
    "beaten",
    "bottleneck",
    "chances",
    "chances_by_metrics",
    "one_step",
    "prices",
    "serve",
]
