"""No attack: what the others are compared with."""

from honest import train_network


def train(task):
    return train_network(task)
