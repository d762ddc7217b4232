"""How often poisson draws depends on the data; the random numbers after it are read, and tell of it."""

import torch
from honest import train_network


def train(task):
    model = train_network(task)
    for image in task.images:
        torch.poisson(image[0, 0, :1].float())
        torch.rand(8).tolist()
    return model
