"""Other libraries: our models for BoTorch and scikit-learn, and theirs as surrogates of ours."""
