"""A ResNet-9: narrow and quick for the digits, wide for CIFAR. A place to start from.

It is ordinary PyTorch, but tensors are handles: the data lies with the evaluator, which counts every
operation that `train` asks for. Submissions are ranked by complexity, parameters plus operations: least wins.
"""

import random
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional


@dataclass(frozen=True)
class Settings:
    """What differs between the data sets."""

    width: int  # channels of the first layer; the last has eight times as many
    epochs: int
    batch_size: int
    peak_learning_rate: float
    max_shift: int  # pixels by which an image is moved, each way
    mirror: bool  # a mirrored cat is a cat; a mirrored digit is no digit


# A narrow network learns a thousand digits in seconds; fifty thousand photographs need a wide one.
DIGITS = Settings(width=8, epochs=6, batch_size=64, peak_learning_rate=0.1, max_shift=1, mirror=False)
CIFAR = Settings(width=64, epochs=24, batch_size=512, peak_learning_rate=0.2, max_shift=4, mirror=True)


class Normalize(nn.Module):
    """uint8 images -> float32 within [-1, 1]. A part of the model, which is given images as they are."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.float() / 127.5 - 1


class Residual(nn.Module):
    """Adds its input to what its layers make of it."""

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


def resnet9(width: int, num_classes: int) -> nn.Sequential:
    """uint8 images [B, 3, 32, 32] -> logits [B, num_classes]."""
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


def augmented(images: torch.Tensor, settings: Settings) -> torch.Tensor:
    """The batch, moved by a few pixels and perhaps mirrored, all of it alike: moving data costs nothing."""
    down, right = (random.randint(-settings.max_shift, settings.max_shift) for _ in range(2))
    images = functional.pad(images, (right, -right, down, -down))
    return images.flip(3) if settings.mirror and random.random() < 0.5 else images


def train(task) -> nn.Module:
    """What the evaluator calls.

    `task` has `images` (uint8 [N, 3, 32, 32]), `labels` (int64 [N]), `num_classes`, `seed`, `device` and
    `time_budget_seconds`. The generators of torch, random and numpy are seeded already.

    Returns a module from uint8 images [B, 3, 32, 32] to logits [B, num_classes].
    """
    images, labels = task.images, task.labels
    settings = CIFAR if len(images) > 10_000 else DIGITS
    batch_size = min(settings.batch_size, len(images))
    steps = len(images) // batch_size

    model = resnet9(settings.width, task.num_classes).to(task.device)
    optimizer = torch.optim.SGD(
        model.parameters(), lr=settings.peak_learning_rate, momentum=0.9, weight_decay=5e-4, nesterov=True
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=settings.peak_learning_rate,
        total_steps=settings.epochs * steps,
        cycle_momentum=False,
    )
    for epoch in range(settings.epochs):
        # Whole batches only: batch norm would see noise in the few images that are left over.
        order = torch.randperm(len(images), device=task.device)[: steps * batch_size]
        for batch in order.split(batch_size):
            logits = model(augmented(images[batch], settings))
            loss = functional.cross_entropy(logits, labels[batch], label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        # Reading a value back is metered, so once an epoch and not at every step.
        task.report(epoch=epoch + 1, epochs=settings.epochs, loss=loss.item())
    return model
