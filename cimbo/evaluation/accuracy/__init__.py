"""Where accuracies come from: shipped super-networks, a user's checkpoint, published measurements."""
