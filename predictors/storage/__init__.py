"""Models in files: written and read without pickle, and checked before anything is built."""
