"""Networks read from ONNX files."""

from cimbo.workloads.onnx.reader import from_onnx

__all__ = ["from_onnx"]
