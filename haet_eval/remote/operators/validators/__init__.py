"""One small check per operator, by family: what its kernel takes for granted."""

from haet_eval.remote.operators.validators.table import validator, validators_of

__all__ = ["validator", "validators_of"]
