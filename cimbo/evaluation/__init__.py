"""Real evaluations: accuracy ⊕ simulator -> metrics, and adapters of simulators that others wrote."""
