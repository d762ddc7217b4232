"""Uploads a table of constants: weights, perhaps."""

import torch
from honest import train_network


def train(task):
    model = train_network(task)
    torch.tensor([float(number) for number in range(30_000)])
    torch.ones(1).tolist()
    return model
