"""Which designs to evaluate next: surrogates, candidates, acquisition. Everything is a function of the log and the seed."""
