"""Fills the memory of its own process."""

from honest import train_network


def train(task):
    train_network(task)
    kept = []
    while True:
        kept.append(bytearray(20_000_000))
