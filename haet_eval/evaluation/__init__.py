"""The evaluation of one submission: its stages, their results, and the workers that they start."""
