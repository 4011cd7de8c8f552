"""Old name of :mod:`cimbo.workloads`, kept for one release."""
