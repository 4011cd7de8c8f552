"""Values of the genes ``execution`` and ``duplication``; see :mod:`cimbo.hardware.pipeline`."""

EXECUTION_MODES = ("layer_by_layer", "pipelined")
DUPLICATION_GOALS = ("latency", "bottleneck", "none", "given")
"""What macros that the weights leave free hold copies of.

``latency``: the layers whose copies shorten the summed time of all layers most; ``bottleneck``: the
slowest layers, since they set the pace of a pipeline; ``none``: nothing; ``given``: as many copies
of each layer as the user gives.
"""
