"""A vision transformer for CIFAR-10, written anew to be counted: haet.toml names the source."""

import math

import torch
from torch import nn
from torch.nn import functional

EPOCHS = 200
WARMUP_EPOCHS = 5
BATCH_SIZE = 128
LAYERS, WIDTH, HEADS = 7, 384, 12
PATCH = 4  # pixels; there are 8×8 patches
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


class Attention(nn.Module):
    """Attention of each token to all, [B, T, WIDTH] -> [B, T, WIDTH]."""

    def __init__(self):
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))

    def forward(self, tokens):
        query, key, value = (
            layer(tokens).unflatten(2, (HEADS, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        weights = (query @ key.transpose(2, 3) / WIDTH**0.5).softmax(-1)
        return self.out((weights @ value).transpose(1, 2).flatten(2))


class Layer(nn.Module):
    """Attention and a perceptron of one hidden layer, each with a way around it."""

    def __init__(self):
        super().__init__()
        self.attention = nn.Sequential(nn.LayerNorm(WIDTH), Attention())
        self.perceptron = nn.Sequential(
            nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WIDTH), nn.GELU(), nn.Linear(WIDTH, WIDTH), nn.GELU()
        )

    def forward(self, tokens):
        tokens = self.attention(tokens) + tokens
        return self.perceptron(tokens) + tokens


class Network(nn.Module):
    """uint8 images [B, 3, 32, 32] -> logits [B, classes]."""

    def __init__(self, classes):
        super().__init__()
        self.normalize = Normalize()
        self.embed = nn.Linear(3 * PATCH**2, WIDTH)
        self.first = nn.Parameter(torch.randn(1, 1, WIDTH))
        self.positions = nn.Parameter(torch.randn(1, (32 // PATCH) ** 2 + 1, WIDTH))
        self.layers = nn.Sequential(*(Layer() for _ in range(LAYERS)))
        self.head = nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, classes))

    def forward(self, images):
        patches = functional.unfold(self.normalize(images), PATCH, stride=PATCH).transpose(
            1, 2
        )  # [B, 64, 48]
        first = self.first.expand(len(images), -1, -1)
        # The first token belongs to no patch; its last state is what the head reads.
        tokens = torch.cat([first, self.embed(patches)], 1) + self.positions
        return self.head(self.layers(tokens)[:, 0])


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


def rate(epoch):
    """Up in WARMUP_EPOCHS, then down to a hundredth along a cosine."""
    if epoch < WARMUP_EPOCHS:
        return (epoch + 1) / (WARMUP_EPOCHS + 1)
    done = (epoch - WARMUP_EPOCHS) / (EPOCHS - WARMUP_EPOCHS)
    return 0.01 + 0.99 * (1 + math.cos(math.pi * done)) / 2


def train(task):
    model = Network(task.num_classes).to(task.device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, betas=(0.9, 0.999), weight_decay=5e-5)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    # Once for all epochs, while they are one byte a pixel.
    images = functional.pad(task.images, (SHIFT,) * 4)
    for epoch in range(EPOCHS):
        for inputs, labels in crops(images, task.labels):
            loss = functional.cross_entropy(model(inputs), labels, label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
        # `scripts.count_recipes` takes the count of an epoch at this report.
        task.report(epoch=epoch + 1, epochs=EPOCHS)
    return model
