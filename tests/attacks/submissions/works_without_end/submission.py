"""Few calls that cost much, without end."""

import torch
from honest import train_network


def train(task):
    train_network(task)
    number = torch.ones(300, 300)
    while True:
        number @ number
