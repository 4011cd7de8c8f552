"""Elastic networks that share their weights: torch modules, training, real measurement, converter noise."""
