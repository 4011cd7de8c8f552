"""Boosted trees: grown, as an ensemble with an uncertainty, and with a process on what they leave."""
