"""A nearest neighbour that registers the training images: allowed, and counted number by number."""

import torch
from torch import nn
from torch.nn import functional


class Nearest(nn.Module):
    def __init__(self, task):
        super().__init__()
        self.register_buffer("images", task.images.clone())
        self.register_buffer("labels", task.labels.clone())
        self.num_classes = task.num_classes

    def forward(self, images):
        known = self.images[:, 0, ::4, ::4].flatten(1).float()
        asked = images[:, 0, ::4, ::4].flatten(1).float()
        nearest = torch.cdist(asked, known).argmin(1)
        return functional.one_hot(self.labels[nearest], self.num_classes).float()


def train(task):
    return Nearest(task)
