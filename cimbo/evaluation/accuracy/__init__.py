"""Where accuracies come from: shipped super-networks, a user's checkpoint, published measurements."""

# Version of the accuracies that cimbo measures or models itself. Add one with every change that
# alters one of these numbers: studies refuse to mix accuracies of two versions, see
# cimbo/evaluation/fingerprint.py.
RESULTS_VERSION = 6
