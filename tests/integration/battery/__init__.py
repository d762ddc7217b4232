"""Ordinary PyTorch programs that know nothing of handles, run plain and through them, compared bit for bit."""
