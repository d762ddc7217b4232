"""The compiled hit path: it does calls that are known. The Python client is the reference, and complete."""
