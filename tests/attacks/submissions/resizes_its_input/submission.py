"""Calls an operator in place whose kernel gives its input another shape."""

import torch
from honest import Network


def train(task):
    torch.ones(1, 1).addbmm_(torch.ones(1, 5, 2), torch.ones(1, 2, 7))
    return Network(task.num_classes)
