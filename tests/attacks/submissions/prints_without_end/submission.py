# ruff: noqa: T201 an attack that prints
"""Prints, without end."""

from honest import train_network


def train(task):
    print("the first line")
    model = train_network(task)
    for number in range(100_000):
        print("line", number)
    return model
