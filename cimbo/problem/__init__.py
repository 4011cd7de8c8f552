"""What is searched and what is wanted: the joint space, objectives, constraints, Pareto fronts."""
