"""How good a model is, and what its predictions rest on."""
