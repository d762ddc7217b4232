"""Version 1 of the counting standard, in executable form: one file per family of operators."""
