"""The compiled hit path: calls that are known, done in C++. The Python client is the reference, and complete."""
