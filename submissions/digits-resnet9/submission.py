"""A narrow ResNet-9 for the digits, trained as one would train it on CIFAR-10."""

import random

import torch
from torch import nn
from torch.nn import functional

EPOCHS = 8
BATCH_SIZE = 64
PEAK_LEARNING_RATE = 0.05
WIDTH = 8
MAX_SHIFT = 2


class Normalize(nn.Module):
    """uint8 images -> float32 within [-1, 1]."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.float() / 127.5 - 1


class Residual(nn.Module):
    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs + self.layers(inputs)


def convolution(channels_in: int, channels_out: int, *, pool: bool = False) -> nn.Sequential:
    """3×3 convolution, batch norm, ReLU; with `pool`, at half the resolution."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, kernel_size=3, padding=1, bias=False),
        nn.MaxPool2d(2) if pool else nn.Identity(),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(),
    )


def resnet9(num_classes: int) -> nn.Sequential:
    width = WIDTH
    return nn.Sequential(
        Normalize(),
        convolution(3, width),
        convolution(width, 2 * width, pool=True),
        Residual(convolution(2 * width, 2 * width), convolution(2 * width, 2 * width)),
        convolution(2 * width, 4 * width, pool=True),
        convolution(4 * width, 8 * width, pool=True),
        Residual(convolution(8 * width, 8 * width), convolution(8 * width, 8 * width)),
        nn.AdaptiveMaxPool2d(1),
        nn.Flatten(),
        nn.Linear(8 * width, num_classes),
    )


def shifted(images: torch.Tensor) -> torch.Tensor:
    """Every image moved by up to MAX_SHIFT pixels each way, the same for the whole batch; black comes in."""
    down, right = (random.randint(-MAX_SHIFT, MAX_SHIFT) for _ in range(2))
    return functional.pad(images, (right, -right, down, -down))


def train(task) -> nn.Module:
    model = resnet9(task.num_classes).to(task.device)
    images, labels = task.images, task.labels
    batch_size = min(BATCH_SIZE, len(images))
    steps = len(images) // batch_size
    optimizer = torch.optim.SGD(
        model.parameters(), lr=PEAK_LEARNING_RATE, momentum=0.9, weight_decay=5e-4, nesterov=True
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=PEAK_LEARNING_RATE, total_steps=EPOCHS * steps, cycle_momentum=False
    )
    for epoch in range(EPOCHS):
        # Whole batches only: statistics of the few images that are left over would be noise.
        order = torch.randperm(len(images), device=task.device)[: steps * batch_size]
        for batch in order.split(batch_size):
            logits = model(shifted(images[batch]))
            loss = functional.cross_entropy(logits, labels[batch], label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        task.report(epoch=epoch + 1, epochs=EPOCHS, loss=loss.item())
    return model
