"""cimbo: joint search over neural sub-networks and compute-in-memory chips."""
