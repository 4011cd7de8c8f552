"""Where accuracies come from: shipped super-networks, a user's checkpoint, published measurements."""

# Of the accuracies that cimbo measures or models itself. Whoever changes a number that they give adds one: studies
# refuse to mix accuracies of two versions, see cimbo/evaluation/fingerprint.py.
RESULTS_VERSION = 5
