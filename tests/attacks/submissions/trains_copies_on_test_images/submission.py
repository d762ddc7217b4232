"""Test-time training: copies of the weights are trained for long on each batch of test images."""

import copy

import torch
from honest import train_network
from torch import nn


class TestTimeTrained(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, images):
        student = copy.deepcopy(self.model)
        with torch.enable_grad():
            for _ in range(3000):
                loss = student(images).softmax(1).square().sum()
                parameters = list(student.parameters())
                for parameter, gradient in zip(
                    parameters, torch.autograd.grad(loss, parameters), strict=True
                ):
                    parameter.data -= 0.1 * gradient
        return student(images)


def train(task):
    return TestTimeTrained(train_network(task))
