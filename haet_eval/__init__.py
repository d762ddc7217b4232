"""Judge of training code: runs a submission on handles, counts every operation, ranks it."""

__version__ = "0.1.0"
