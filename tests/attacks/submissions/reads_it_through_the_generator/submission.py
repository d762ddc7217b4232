"""The number of draws of poisson depends on the data. So do the random numbers after it, which it reads."""

import torch
from honest import train_network


def train(task):
    model = train_network(task)
    for image in task.images:
        torch.poisson(image[0, 0, :1].float())
        torch.rand(8).tolist()
    return model
