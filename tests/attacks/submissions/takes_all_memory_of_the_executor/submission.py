"""Fills the memory of the executor with tensors."""

import torch
from honest import train_network


def train(task):
    train_network(task)
    kept = []
    while True:
        kept.append(torch.ones(10_000_000))
        kept[-1][0].item()
