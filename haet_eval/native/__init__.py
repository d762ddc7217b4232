"""Training on plain tensors, in the submission's own container: time and energy are measured, not counted."""
