"""Evaluations of designs: accuracy and simulated costs together, and adapters of others' simulators and programs."""
