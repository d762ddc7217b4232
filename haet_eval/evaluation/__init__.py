"""Judging one submission: the stages, what each finds out, and the workers that they start."""
