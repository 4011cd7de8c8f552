"""A network as the chip sees it: its layers in order, for one batch, and the token loop of a language model."""

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cimbo.errors import BadInput
from cimbo.workloads.layer import LAYER_COLUMNS, Layer, shape_of


@dataclass(frozen=True)
class TokenLoop:
    """The generation of an answer by a language model, after the run over its prompt.

    Attributes:
        step: The layers of one step, on average over all steps: each generates one token of every inference.
        tokens: How many steps there are.
    """

    step: "Workload"
    tokens: int


@dataclass(frozen=True)
class Workload:
    """One network: its layers in order of execution, for ``batch`` inferences at once.

    A batch is one run of the network on so many inputs. Every count of every layer, and so ``macs`` and whatever a
    simulator makes of them, is of the whole batch, whatever the kind of the layer: with weights the output positions
    of all inferences follow one another, in attention each inference has groups of its own. Divide by ``batch`` for
    one inference. Parameters do not depend on it.

    Attributes:
        name: what reports call it.
        layers: at least one.
        other_parameters: embeddings and the like, which are looked up and never multiplied.
        batch: inferences that the layers count.
        warnings: what could not be counted for sure, one sentence each.
        loop: of a language model the steps that follow; ``layers`` are then those of the run over its prompt.

    Raises BadInput when there is no layer, or the batch is not positive.
    """

    name: str
    layers: tuple[Layer, ...]
    other_parameters: int = 0
    batch: int = 1
    warnings: tuple[str, ...] = ()
    loop: TokenLoop | None = None

    def __post_init__(self) -> None:
        if self.batch < 1:
            what = f"a batch of {self.batch}"
            raise BadInput(f"workload {self.name}", what, "give an integer of at least 1")
        if not self.layers:
            raise BadInput(f"workload {self.name}", "has no layers", "give at least one")

    def batched(self, times: int) -> "Workload":
        """Make the workload of several times as many inferences at once.

        Args:
            times: How many times as many.

        Returns:
            The workload with the counts of all layers, and of the token loop, multiplied.
        """
        if times == 1:
            return self
        layers = tuple(layer.batched(times) for layer in self.layers)
        loop = self.loop
        if loop is not None:
            loop = replace(loop, step=loop.step.batched(times))
        return replace(self, layers=layers, batch=self.batch * times, loop=loop)

    def with_batch(self, batch: int) -> "Workload":
        """Say that the same layers are those of another number of inferences.

        Args:
            batch: Inferences that the layers count.

        Returns:
            The workload with that batch; no count changes.

        Raises:
            BadInput: When the batch is not positive.
        """
        return replace(self, batch=batch)

    @cached_property
    def macs(self) -> int:
        """Multiply-accumulates of the whole batch, attention's products and all tokens of an answer included."""
        macs = round(math.fsum(layer.macs * layer.frequency for layer in self.layers))
        if self.loop is not None:
            macs += self.loop.tokens * self.loop.step.macs
        return macs

    @cached_property
    def parameters(self) -> int:
        """Trained numbers: weights, biases, norms and embeddings."""
        return sum(layer.parameters for layer in self.layers) + self.other_parameters

    @cached_property
    def unique(self) -> tuple[NDArray[np.float64], tuple[int, ...]]:
        """The distinct layer shapes as an array (len(LAYER_COLUMNS), shapes), and each layer's index into it.

        ``count`` says how often a shape occurs; cost models evaluate each shape once.
        """
        index_of_shape: dict[tuple[object, ...], int] = {}
        distinct: list[Layer] = []  # the first layer of each shape
        counts: list[float] = []
        indices = []
        for layer in self.layers:
            index = index_of_shape.setdefault(shape_of(layer), len(index_of_shape))
            if index == len(distinct):
                distinct.append(layer)
                counts.append(0.0)
            counts[index] += layer.frequency
            indices.append(index)
        rows = [_row(layer, count) for layer, count in zip(distinct, counts, strict=True)]
        return np.array(rows, dtype=np.float64).T.copy(), tuple(indices)

    def features(self) -> dict[str, float]:
        """Cheap descriptors for surrogates: logarithms of the work and sizes that costs scale with."""
        layers = self.layers
        return {
            "log_macs": math.log(self.macs),
            "log_parameters": math.log(self.parameters),
            "log_dynamic_macs": math.log1p(sum(layer.macs for layer in layers if layer.dynamic)),
            "log_vector_ops": math.log1p(sum(layer.vector_ops for layer in layers)),
            "log_activations": math.log1p(sum(layer.inputs + layer.outputs for layer in layers)),
            "log_vectors": math.log(sum(layer.px for layer in layers)),
            "layers": float(len(layers)),
        }


def _row(layer: Layer, count: float) -> list[float]:
    """The numbers of LAYER_COLUMNS of a layer that occurs ``count`` times; count is the last of them."""
    return [*(float(getattr(layer, name)) for name in LAYER_COLUMNS[:-1]), count]
