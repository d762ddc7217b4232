"""The contestant's self-check: a static look, a short real run, and an estimate of the whole training."""
