"""Learns the training set a number at a time: how many pixels of an image are brighter than a threshold."""

from honest import train_network


def train(task):
    model = train_network(task)
    for image in task.images:
        image[image > 127].shape[0]
    return model
