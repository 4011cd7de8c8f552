"""How many networks' ONNX files are read, and whether the counts are those that torch makes of the network itself.

    python benchmarks/onnx_coverage.py [--only NAME ...] [--into FOLDER]

Needs torch, torchvision, timm, transformers, onnx, onnxruntime and onnxscript. Every network of onnx_architectures.py is
exported by both exporters of torch, at opsets 11 to 20, with its batch and its tokens fixed and free, in 16 bits, with its
weights in a file beside it, and quantised by onnxruntime in two of three ways. Multiplications are compared with
torch.utils.flop_counter (two operations each), less those of constants alone, which cost nothing once a file is exported;
parameters with torch's own; a quantised file with the one it was made of,
layer by layer. Writes onnx_coverage.json beside this file, one network after the other. Where torch's tracer fails or
crashes in the wake of another network, run that one alone: --go-on --only NAME.
"""

import argparse
import contextlib
import copy
import gc
import io
import json
import logging
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx_architectures import TOKENS, Architecture, architectures
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from cimbo.errors import BadInput
from cimbo.workloads.layers import Workload
from cimbo.workloads.onnx import from_onnx
from cimbo.workloads.pytorch.tracing import traced

TOLERANCE = 1e-3
OTHER_TOKENS, OTHER_BATCH = 40, 3
# In which layers of a quantised file equal those of the one it was made of: all but names and bits. Work of the vector unit
# is compared of dynamic files alone: onnxruntime's static quantiser drops a ReLU whose output's range it can clip instead.
COMPARED_COUNTS = (
    "kind",
    "px",
    "reduction",
    "columns",
    "groups",
    "dynamic",
    "inputs",
    "outputs",
    "kernel",
    "stride",
    "width",
)


@dataclass(frozen=True)
class Export:
    """One way to write a network to a file. ``free``: nothing, ``batch`` or ``tokens``."""

    exporter: str
    opset: int
    free: str = "nothing"
    half: bool = False
    external: bool = False

    @property
    def name(self) -> str:
        """What the results call it."""
        words = [self.exporter, f"opset {self.opset}"]
        words += [f"free {self.free}"] if self.free != "nothing" else []
        words += ["fp16"] if self.half else []
        return ", ".join([*words, *(["external data"] if self.external else [])])


@dataclass
class Outcome:
    """What became of one file: ``equal``, ``wrong``, ``refused`` or ``not exported``, and why."""

    export: str
    status: str
    why: str = ""
    macs: int = 0
    macs_of_torch: int = 0
    parameters: int = 0
    parameters_of_torch: int = 0
    warnings: list[str] = field(default_factory=list)


def exports(index: int, *, has_sequence: bool) -> Iterator[Export]:
    """The ways one network is written; opsets and the last way differ from one network to the next."""
    yield Export("TorchScript", 11 + index % 10)
    yield Export("TorchScript", 20 - index % 10, "batch")
    yield Export(
        "dynamo",
        18 + index % 3,
        ("nothing", "batch", "tokens" if has_sequence else "batch")[index % 3],
    )
    yield (
        Export("TorchScript", 17, half=True),
        Export("TorchScript", 17, external=True),
        Export("TorchScript", 17, "tokens" if has_sequence else "batch"),
    )[index // 3 % 3]


def prepared(architecture: Architecture) -> torch.nn.Module:
    """The network, its equal weights made different: exporters store equal tensors once."""
    torch.manual_seed(0)
    model = architecture.build().eval()
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            if tensor.is_floating_point() and tensor.numel() > 1 and tensor.min() == tensor.max():
                tensor += 0.1 * torch.rand_like(tensor)
    return model


def macs_of_torch(model: torch.nn.Module, example: torch.Tensor) -> int:
    """Multiplications of one run as torch counts them."""
    plain = sdpa_kernel(SDPBackend.MATH)  # the fused kernels are not counted on a CPU
    with torch.no_grad(), plain, FlopCounterMode(display=False) as counter:
        model(example)
    return counter.get_total_flops() // 2


def write(model: torch.nn.Module, example: torch.Tensor, way: Export, file: Path) -> None:
    """Export a network."""
    if way.half:
        model = copy.deepcopy(model).half()
        example = example.half() if example.is_floating_point() else example
    axes = {"batch": {0: "batch"}, "tokens": {1: "tokens"}}.get(way.free, {})
    quiet = contextlib.redirect_stdout(io.StringIO())
    with torch.no_grad(), quiet, contextlib.redirect_stderr(io.StringIO()):
        if way.exporter == "TorchScript":
            torch.onnx.export(
                model,
                (example,),
                str(file),
                dynamo=False,
                opset_version=way.opset,
                input_names=["x"],
                dynamic_axes={"x": axes},
            )
        else:
            shapes = {"x": {at: torch.export.Dim(name) for at, name in axes.items()}}
            torch.onnx.export(
                model,
                (example,),
                str(file),
                dynamo=True,
                opset_version=way.opset,
                input_names=["x"],
                dynamic_shapes=list(shapes.values()) if axes else None,
                external_data=way.external,
            )
    if way.external and way.exporter == "TorchScript":
        move_weights_out(file)


def move_weights_out(file: Path) -> None:
    """Store a file's weights beside it, and then lose them: a reader needs their sizes alone."""
    model = onnx.load(str(file))
    onnx.save(model, str(file), save_as_external_data=True, location="weights.bin")
    (file.parent / "weights.bin").unlink()


def count(file: Path, expected: tuple[int, int], name: str, **options: object) -> Outcome:
    """Read a file and compare it with (multiplications, parameters) of torch."""
    macs, parameters = expected
    outcome = Outcome(name, "equal", macs_of_torch=macs, parameters_of_torch=parameters)
    try:
        found = from_onnx(file, **options)  # type: ignore[arg-type]
    except BadInput as error:
        outcome.status, outcome.why = "refused", str(error).replace(str(file), "file")
        return outcome
    outcome.macs, outcome.parameters = found.macs, found.parameters
    outcome.warnings = list(found.warnings)
    if abs(found.macs - macs) > TOLERANCE * macs:
        outcome.status = "wrong"
        outcome.why = f"{found.macs / max(macs, 1):.4f} of torch's multiplications"
    return outcome


def folded_away(model: torch.nn.Module, file: Path) -> int:
    """Parameters that exporting removes: of a batch norm folded into a convolution the shift alone is left."""
    norms = [m for m in model.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]
    graph = onnx.load(str(file), load_external_data=False).graph
    stored = {tensor.name: tensor.dims[0] for tensor in graph.initializer if len(tensor.dims) == 1}
    left = [node.input[1] for node in graph.node if node.op_type == "BatchNormalization"]
    return sum(norm.num_features for norm in norms) - sum(stored.get(name, 0) for name in left)


def outcome_of(architecture: Architecture, model: torch.nn.Module, way: Export) -> Outcome:
    """Export and read one file."""
    parameters = sum(p.numel() for p in model.parameters())
    example = architecture.example()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "network.onnx"
        try:
            write(model, example, way, file)
        except Exception as error:  # an exporter's own failure, of any kind
            return Outcome(way.name, "not exported", f"{type(error).__name__}: {error}"[:160])
        options, batch = {}, 1
        if way.free == "batch":
            options, batch = {"batch": OTHER_BATCH}, OTHER_BATCH
        elif way.free == "tokens":
            options = {"sizes": {"tokens": OTHER_TOKENS}}
            example = example.repeat(1, 2)[:, :OTHER_TOKENS]
        macs = batch * macs_of_torch(model, example)
        if way.free == "nothing":  # else what is made of the free size is no constant
            macs -= traced(model, (example,), {}).constant_macs
        folded = folded_away(model, file)
        return count(file, (macs, parameters - folded), way.name, **options)


def quantised(architecture: Architecture, model: torch.nn.Module, index: int) -> list[Outcome]:
    """Two quantised files of one network, each compared with the file it was made of."""
    example = architecture.example()
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "network.onnx"
        try:
            write(model, example, Export("TorchScript", 17), source)
            given = from_onnx(source)
        except Exception as error:  # an exporter's own failure, of any kind
            return [Outcome("quantised", "not exported", f"{type(error).__name__}: {error}"[:160])]
        return [
            compared(source, given, way, example)
            for way in ("dynamic", ("QDQ", "QOperator")[index % 2])
        ]


def compared(source: Path, given: Workload, way: str, example: torch.Tensor) -> Outcome:
    """Quantise a file and compare its layers with the source's."""
    name, file = f"quantised, {way}", source.parent / f"{way}.onnx"
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            quantise(source, file, way, example)
    except Exception as error:  # a quantiser's own failure, of any kind
        return Outcome(name, "not exported", f"{type(error).__name__}: {error}"[:160])
    outcome = count(file, (given.macs, given.parameters), name)
    if outcome.status != "equal":
        return outcome
    found = from_onnx(file)
    more = ("vector_ops",) if way == "dynamic" else ()
    if shapes(found, more) != shapes(given, more) or found.parameters != given.parameters:
        outcome.status, outcome.why = "wrong", "layers or parameters differ from the float file's"
    elif min(layer.weight_bits for layer in found.layers if not layer.dynamic) > 8:
        outcome.status, outcome.why = "wrong", "no layer has weights of 8 bits"
    return outcome


def shapes(workload: Workload, more: tuple[str, ...] = ()) -> Counter[tuple[object, ...]]:
    """A network's products, whatever they are called and however many bits they have."""
    return Counter(
        tuple(getattr(one, name) for name in (*COMPARED_COUNTS, *more)) + (one.parameters,)
        for one in workload.layers
    )


def quantise(source: Path, file: Path, way: str, example: torch.Tensor) -> None:
    """Quantise by onnxruntime."""
    from onnxruntime import quantization as ort

    if way == "dynamic":
        ort.quantize_dynamic(str(source), str(file), weight_type=ort.QuantType.QInt8)
        return

    class OneExample(ort.CalibrationDataReader):
        left = iter([{"x": np.asarray(example)}])

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self.left, None)

    form = ort.QuantFormat.QDQ if way == "QDQ" else ort.QuantFormat.QOperator
    ort.quantize_static(str(source), str(file), OneExample(), quant_format=form, per_channel=True)


def network(index: int, architecture: Architecture) -> dict[str, object]:
    """All files of one network."""
    start = time.perf_counter()
    model = prepared(architecture)
    ways = exports(index, has_sequence=architecture.has_sequence)
    outcomes = [outcome_of(architecture, model, way) for way in ways]
    outcomes += quantised(architecture, model, index)
    seconds = round(time.perf_counter() - start, 1)
    head = {"network": architecture.name, "library": architecture.library, "seconds": seconds}
    for one in outcomes:
        print(f"{architecture.name:28} {one.export:40} {one.status:13} {one.why[:90]}", flush=True)
        if one.status == "equal" and one.parameters != one.parameters_of_torch:
            print(f"{'':28} parameters {one.parameters}, torch {one.parameters_of_torch}")
        for line in one.warnings:
            print(f"{'':28} {line}")
    return head | {"files": [asdict(outcome) for outcome in outcomes]}


def summary(rows: list[dict]) -> dict[str, int]:
    """Counts over all networks."""
    files = [each for row in rows for each in row["files"]]
    read = [any(f["status"] == "equal" for f in row["files"]) for row in rows]
    found = Counter(f["status"] for f in files)
    equal = [f for f in files if f["status"] == "equal"]
    same = sum(
        abs(f["parameters"] - f["parameters_of_torch"]) <= TOLERANCE * f["parameters_of_torch"]
        for f in equal
    )
    exact = sum(f["parameters"] == f["parameters_of_torch"] for f in equal)
    return {
        "networks": len(rows),
        "networks_read": sum(read),
        "files_equal": found["equal"],
        "files_wrong": found["wrong"],
        "files_refused": found["refused"],
        "files_not_exported": found["not exported"],
        "files_with_equal_parameters": same,
        "files_with_exact_parameters": exact,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--go-on", action="store_true", help="keep what is in the file already")
    parser.add_argument("--into", type=Path, default=Path(__file__).with_suffix(".json"))
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.backends.mha.set_fastpath_enabled(False)
    torch.manual_seed(0)
    rows = json.loads(asked.into.read_text())["networks"] if asked.go_on else []
    done = {row["network"] for row in rows}
    for index, architecture in enumerate(architectures()):
        if architecture.name in done or (asked.only and architecture.name not in asked.only):
            continue
        rows.append(network(index, architecture))
        gc.collect()
        answer = {"summary": summary(rows), "tokens": TOKENS, "networks": rows}
        asked.into.write_text(json.dumps(answer, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(summary(rows)))


if __name__ == "__main__":
    main()
