"""Old name of :mod:`cimbo.workloads.onnx`, kept for one release."""

from cimbo.workloads.onnx import from_onnx

__all__ = ["from_onnx"]
