"""A small convolutional network for the digits: the place to start reading."""

import torch
from torch import nn
from torch.nn import functional

EPOCHS = 15
BATCH_SIZE = 64
PEAK_LEARNING_RATE = 0.1


class GreyThumbnails(nn.Module):
    """uint8 images [B, 3, 32, 32] -> the 8×8 grey pictures from which they were enlarged, within [0, 1]."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images[:, :1, ::4, ::4].float() / 255


def classifier(num_classes: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 8, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * 2 * 2, num_classes),
    )


def train(task) -> nn.Module:
    prepare = GreyThumbnails()
    model = classifier(task.num_classes).to(task.device)

    # Prepared once and not in every epoch: operations of preparing the data count like any others.
    inputs, labels = prepare(task.images), task.labels
    steps = -(-len(inputs) // BATCH_SIZE)
    optimizer = torch.optim.SGD(model.parameters(), lr=PEAK_LEARNING_RATE, momentum=0.9, nesterov=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=PEAK_LEARNING_RATE, total_steps=EPOCHS * steps, cycle_momentum=False
    )
    for epoch in range(EPOCHS):
        for batch in torch.randperm(len(inputs), device=task.device).split(BATCH_SIZE):
            loss = functional.cross_entropy(model(inputs[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        task.report(epoch=epoch + 1, epochs=EPOCHS, loss=loss.item())
    return nn.Sequential(prepare, model)
