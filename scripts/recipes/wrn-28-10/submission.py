"""WRN-28-10, written anew to be counted: haet.toml names the source. Settings are as published."""

import torch
from torch import nn
from torch.nn import functional

EPOCHS = 200
BATCH_SIZE = 128
WIDTHS = (160, 320, 640)
BLOCKS = 4
SHIFT = 4
MEAN, DEVIATION = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)


class Normalize(nn.Module):
    """uint8 images -> float32 with mean 0 and standard deviation 1 in each channel."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", 255 * torch.tensor(MEAN).view(3, 1, 1))
        self.register_buffer("scale", 1 / (255 * torch.tensor(DEVIATION).view(3, 1, 1)))

    def forward(self, images):
        return (images - self.mean) * self.scale


class Block(nn.Module):
    """Two convolutions, each after its batch norm, with a way around them."""

    def __init__(self, channels, out, stride):
        super().__init__()
        self.first = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU())
        self.layers = nn.Sequential(
            nn.Conv2d(channels, out, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(out),
            nn.ReLU(),
            nn.Conv2d(out, out, 3, padding=1, bias=False),
        )
        # In the published network the way around begins after the first norm if the widths differ.
        self.around = None if channels == out else nn.Conv2d(channels, out, 1, stride, bias=False)

    def forward(self, inputs):
        ready = self.first(inputs)
        return self.layers(ready) + (self.around(ready) if self.around else inputs)


class Network(nn.Sequential):
    """uint8 images [B, 3, 32, 32] -> logits [B, classes]."""

    def __init__(self, classes):
        layers, width = [Normalize(), nn.Conv2d(3, 16, 3, padding=1, bias=False)], 16
        for out in WIDTHS:
            layers.append(Block(width, out, 1 if out == WIDTHS[0] else 2))
            layers += [Block(out, out, 1) for _ in range(BLOCKS - 1)]
            width = out
        end = nn.BatchNorm2d(width), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        super().__init__(*layers, *end, nn.Linear(width, classes))


def crops(images, labels):
    """Batches of one epoch, mirrored at random and cut at random out of images with a border of zeros."""
    count, device = len(images), images.device
    channels = torch.arange(3, device=device).view(3, 1, 1)
    rows = torch.arange(32, device=device).view(32, 1)
    columns = torch.arange(32, device=device)
    for batch in torch.randperm(count, device=device).split(BATCH_SIZE):
        down, right = torch.randint(2 * SHIFT + 1, (2, len(batch), 1, 1, 1), device=device)
        found = images[batch.view(-1, 1, 1, 1), channels, rows + down, columns + right]
        mirrored = torch.rand(len(batch), 1, 1, 1, device=device) < 0.5
        # Both forms are made and one is chosen: a loop over images would be a call for each.
        yield torch.where(mirrored, found.flip(3), found), labels[batch]


def train(task):
    model = Network(task.num_classes).to(task.device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4, nesterov=True)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, (60, 120, 160), gamma=0.2)
    # Once for all epochs, while they are one byte a pixel.
    images = functional.pad(task.images, (SHIFT,) * 4)
    for epoch in range(EPOCHS):
        for inputs, labels in crops(images, task.labels):
            loss = functional.cross_entropy(model(inputs), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
        # `scripts.count_recipes` takes the count of an epoch at this report.
        task.report(epoch=epoch + 1, epochs=EPOCHS)
    return model
