"""Learns nothing, and has the same answer to every image."""

import torch
from torch import nn


class Constant(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.logits = nn.Parameter(torch.arange(num_classes).float())

    def forward(self, images):
        return self.logits.expand(len(images), -1)


def train(task):
    return Constant(task.num_classes)
