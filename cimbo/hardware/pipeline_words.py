"""Words of a chip's genes about layers that work side by side (:mod:`cimbo.hardware.pipeline`)."""

EXECUTION_MODES = ("layer_by_layer", "pipelined")
DUPLICATION_GOALS = ("latency", "bottleneck", "none", "given")
"""What spare macros hold copies of: layers so that their summed time is least, the slowest stages, nothing, or as many of each
layer as the user gives."""
