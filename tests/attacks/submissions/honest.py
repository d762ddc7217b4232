"""A very short training, which the attacks are added to."""

import torch
from torch import nn
from torch.nn import functional

STEPS = 3
BATCH_SIZE = 32


class Network(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.convolution = nn.Conv2d(1, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.linear = nn.Linear(4 * 3 * 3, num_classes)

    def forward(self, images):
        grey = images[:, :1, ::4, ::4].float() / 255
        hidden = functional.max_pool2d(torch.relu(self.norm(self.convolution(grey))), 2)
        return self.linear(functional.dropout(hidden.flatten(1), 0.1, self.training))


def train_network(task):
    model = Network(task.num_classes).to(task.device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    order = torch.randperm(len(task.images))
    for step in range(STEPS):
        batch = order[step * BATCH_SIZE : (step + 1) * BATCH_SIZE]
        loss = functional.cross_entropy(model(task.images[batch]), task.labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    task.report(loss=loss.item(), large=int((task.images[:2] > 127).sum()), found=len(batch.nonzero()))
    return model
