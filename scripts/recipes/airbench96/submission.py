"""airbench96, written anew to be counted: haet.toml names the source. Settings are as published."""

import torch
from torch import nn
from torch.nn import functional

EPOCHS = 37
BATCH_SIZE = 1024
WIDTHS = (128, 384, 512)
SHIFT, CUTOUT = 4, 12
WHITENING_BIAS_EPOCHS = 3
LOOKAHEAD_STEPS = 5
MOMENTUM_OF_STATISTICS = 0.1
MOMENTUM = 0.85
STEP_LENGTH = 1024 * (1 + 1 / (1 - MOMENTUM))  # of SGD with Nesterov's momentum, in gradients
RATE, DECAY = 9.0 / STEP_LENGTH, 0.012 * BATCH_SIZE / STEP_LENGTH
MEAN, DEVIATION = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)


class Block(nn.Module):
    """Three convolutions, at half the resolution of the input; the last two have a way around them."""

    def __init__(self, channels, out):
        super().__init__()
        self.narrow = nn.Sequential(convolution(channels, out), nn.MaxPool2d(2), norm(out), nn.GELU())
        self.deepen = nn.Sequential(
            convolution(out, out), norm(out), nn.GELU(), convolution(out, out), norm(out)
        )

    def forward(self, inputs):
        narrowed = self.narrow(inputs)
        return functional.gelu(self.deepen(narrowed) + narrowed)


class Network(nn.Module):
    """uint8 images [B, 3, 32, 32] -> logits [B, classes]."""

    def __init__(self, classes):
        super().__init__()
        first, second, third = WIDTHS
        self.whiten = nn.Conv2d(3, 24, 2)
        self.whiten.weight.requires_grad_(False)
        blocks = Block(24, first), Block(first, second), Block(second, third)
        self.body = nn.Sequential(nn.GELU(), *blocks, nn.MaxPool2d(3), nn.Flatten())
        self.head = nn.Linear(third, classes, bias=False)
        self.register_buffer("mean", 255 * torch.tensor(MEAN).view(3, 1, 1))
        self.register_buffer("scale", 1 / (255 * torch.tensor(DEVIATION).view(3, 1, 1)))

    def logits(self, images):
        return self.head(self.body(self.whiten(images))) / 9

    def prepare(self, images):
        return (images - self.mean) * self.scale

    def forward(self, images):
        images = self.prepare(images)
        return self.logits(images) + self.logits(images.flip(3))


def convolution(channels, out):
    """3×3 convolution that begins by passing its inputs on."""
    made = nn.Conv2d(channels, out, 3, padding=1, bias=False)
    nn.init.dirac_(made.weight.data[:channels])
    return made


def norm(channels):
    made = nn.BatchNorm2d(channels, momentum=MOMENTUM_OF_STATISTICS)
    made.weight.requires_grad_(False)
    return made


@torch.no_grad()
def whiten(layer, images):
    """Filters whose outputs over 2×2 patches of these images have equal variance and no correlation."""
    patches = functional.unfold(images, 2).transpose(0, 1).flatten(1)
    variances, components = torch.linalg.eigh(patches @ patches.T / patches.size(1))
    filters = (components / (variances + 5e-4).sqrt()).T.reshape(12, 3, 2, 2)
    # Both signs, because GELU passes only one of them.
    layer.weight.copy_(torch.cat([filters, -filters]))
    layer.bias.zero_()


def crops(images, labels):
    """Batches of one epoch, each image cut at random out of one with a border of SHIFT pixels."""
    channels = torch.arange(3, device=images.device).view(3, 1, 1)
    rows = torch.arange(32, device=images.device).view(32, 1)
    columns = torch.arange(32, device=images.device)
    order = torch.randperm(len(images), device=images.device)
    # The last images that do not fill a batch are left out. The order changes in each epoch.
    for batch in order[: len(order) // BATCH_SIZE * BATCH_SIZE].split(BATCH_SIZE):
        down, right = torch.randint(2 * SHIFT + 1, (2, len(batch), 1, 1, 1), device=images.device)
        yield images[batch.view(-1, 1, 1, 1), channels, rows + down, columns + right], labels[batch]


def bordered(images):
    """The images, half of them mirrored, with a border of SHIFT pixels."""
    mirrored = torch.rand(len(images), 1, 1, 1, device=images.device) < 0.5
    return functional.pad(torch.where(mirrored, images.flip(3), images), (SHIFT,) * 4, mode="reflect")


def cut_out(images):
    """The images [B, 3, 32, 32] with a square of each, of CUTOUT pixels, set to zero."""
    top, left = torch.randint(32 - CUTOUT + 1, (2, len(images), 1, 1, 1), device=images.device)
    down = torch.arange(32, device=images.device).view(32, 1) - top
    right = torch.arange(32, device=images.device) - left
    # A mask and not a slice for each image, so that one call serves the batch.
    inside = ((down >= 0) & (down < CUTOUT)) & ((right >= 0) & (right < CUTOUT))
    return images.masked_fill(inside, 0)


class Lookahead:
    """Draws the weights and statistics back to a moving average of themselves."""

    def __init__(self, model):
        values = model.state_dict()
        # Mean and scale are constants of the data and must not move.
        self.values = [values[name] for name in values if name not in ("mean", "scale")]
        self.values = [value for value in self.values if value.is_floating_point()]
        self.averages = [value.clone() for value in self.values]

    @torch.no_grad()
    def step(self, decay):
        for value, average in zip(self.values, self.averages, strict=True):
            average.lerp_(value, 1 - decay)
            value.copy_(average)


def rate(step, steps):
    """From 0.2 to 1 in a tenth of the steps, then to 0."""
    peak = 0.1 * steps
    return 0.2 + 0.8 * step / peak if step < peak else (steps - step) / (steps - peak)


def train(task):
    model = Network(task.num_classes).to(task.device)
    whiten(model.whiten, model.prepare(task.images[:5000]))
    biases = [bias for name, bias in model.body.named_parameters() if name.endswith("bias")]
    others = [model.whiten.bias, model.head.weight, *(p for p in model.body.parameters() if p.dim() == 4)]
    groups = [
        {"params": biases, "lr": 64 * RATE, "weight_decay": DECAY / (64 * RATE)},
        {"params": others, "lr": RATE, "weight_decay": DECAY / RATE},
    ]
    optimizer = torch.optim.SGD(groups, momentum=MOMENTUM, nesterov=True)
    steps = EPOCHS * (len(task.images) // BATCH_SIZE)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate(step, steps))
    images = bordered(model.prepare(task.images))
    lookahead, step = Lookahead(model), 0
    for epoch in range(EPOCHS):
        model.whiten.bias.requires_grad_(epoch < WHITENING_BIAS_EPOCHS)
        for inputs, labels in crops(images, task.labels):
            logits = model.logits(cut_out(inputs))
            losses = functional.cross_entropy(logits, labels, label_smoothing=0.2, reduction="none")
            optimizer.zero_grad()
            losses.sum().backward()
            optimizer.step()
            schedule.step()
            step += 1
            if step % LOOKAHEAD_STEPS == 0:
                lookahead.step(0.95**LOOKAHEAD_STEPS * (step / steps) ** 3)
        # Each image is mirrored in every second epoch, and not at random in each.
        images = images.flip(3)
        # `scripts.count_recipes` takes the count of an epoch at this report.
        task.report(epoch=epoch + 1, epochs=EPOCHS)
    lookahead.step(1.0)
    return model
