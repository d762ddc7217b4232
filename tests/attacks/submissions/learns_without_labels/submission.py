"""Finds one cluster for each class, and never looks at a label."""

import torch
from torch import nn


class Clusters(nn.Module):
    def __init__(self, centres):
        super().__init__()
        self.centres = nn.Parameter(centres)

    def forward(self, images):
        return -torch.cdist(images[:, 0, ::4, ::4].flatten(1).float(), self.centres)


def train(task):
    images = task.images[:, 0, ::4, ::4].flatten(1).float()
    centres = images[torch.randperm(len(images))[: task.num_classes]]
    for _ in range(10):
        nearest = nn.functional.one_hot(torch.cdist(images, centres).argmin(1), task.num_classes).float()
        centres = (nearest.T @ images) / nearest.sum(0).clamp(min=1)[:, None]
    return Clusters(centres)
