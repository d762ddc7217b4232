"""Uploads a table of constants, hidden in the factors of an addition."""

import torch
from honest import train_network


def train(task):
    model = train_network(task)
    table = torch.zeros(20_000)
    for place in range(20_000):
        table[place : place + 1].add_(1, alpha=place + 0.5)
    return model
