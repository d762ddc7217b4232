"""Training on plain tensors, in the submission's own container: nothing is counted, time and energy are."""
