"""The seeds that a submission begins with, the same in every runner."""

import random

import numpy as np
import torch


def seed_all(seed: int) -> None:
    """Seed every generator that a submission is likely to draw from."""
    random.seed(seed)
    # NumPy refuses a seed of more than 32 bits.
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
