"""Closes the socket and goes on computing."""

import time

from honest import train_network


def train(task):
    train_network(task)
    type(task.images).dispatcher.link._socket.close()
    time.sleep(60)
