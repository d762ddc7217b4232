"""The executor: holds the tensors, the kernels and the random generators. It trusts only the meter."""
