"""The submission's side: handles that behave as tensors. Nothing in here is trusted."""
