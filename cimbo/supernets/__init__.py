"""Weight-sharing super-networks: elastic torch modules, their training, and the accuracy of their sub-networks."""
