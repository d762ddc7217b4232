"""Calls that cost nothing, without end."""

import torch
from honest import train_network


def train(task):
    train_network(task)
    number = torch.ones(2, 2)
    while True:
        number.view(4)
