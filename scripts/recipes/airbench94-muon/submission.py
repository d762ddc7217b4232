"""airbench94 with Muon, written anew to be counted: haet.toml names the source. Settings are as published."""

import torch
from torch import nn
from torch.nn import functional

EPOCHS = 8
BATCH_SIZE = 2000
WIDTHS = (64, 256, 256)
SHIFT = 2
WHITENING_BIAS_EPOCHS = 3
MOMENTUM_OF_STATISTICS = 0.4
FILTER_RATE, BIAS_RATE, HEAD_RATE = 0.24, 0.053, 0.67
DECAY = 2e-6 * BATCH_SIZE
MEAN, DEVIATION = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)


class Network(nn.Module):
    """uint8 images [B, 3, 32, 32] -> logits [B, classes]."""

    def __init__(self, classes):
        super().__init__()
        self.whiten = nn.Conv2d(3, 24, 2)
        self.whiten.weight.requires_grad_(False)
        layers, width = [nn.GELU()], 24
        for out in WIDTHS:
            layers += [convolution(width, out), nn.MaxPool2d(2), norm(out), nn.GELU()]
            layers += [convolution(out, out), norm(out), nn.GELU()]
            width = out
        self.body = nn.Sequential(*layers, nn.MaxPool2d(3), nn.Flatten())
        self.head = nn.Linear(width, classes, bias=False)
        with torch.no_grad():
            self.head.weight.div_(self.head.weight.std())
        self.register_buffer("mean", 255 * torch.tensor(MEAN).view(3, 1, 1))
        self.register_buffer("scale", 1 / (255 * torch.tensor(DEVIATION).view(3, 1, 1)))

    def logits(self, images):
        features = self.body(self.whiten(images))
        return self.head(features) / features.size(1)

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


class Muon(torch.optim.Optimizer):
    """Steps by about the nearest orthogonal matrix of each momentum, on filters of a fixed norm."""

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for filters in group["params"]:
                state = self.state[filters]
                if not state:
                    state["momentum"] = torch.zeros_like(filters)
                momentum = state["momentum"].mul_(0.6).add_(filters.grad)
                gradient = filters.grad.add(momentum, alpha=0.6)
                filters.mul_(len(filters) ** 0.5 / filters.norm())
                filters.add_(orthogonalized(gradient.flatten(1)).view(filters.shape), alpha=-group["lr"])


def orthogonalized(matrix):
    """Three rounds of the iteration of Newton and Schulz, of degree five."""
    # As published: the iteration is stable in bfloat16.
    x = matrix.bfloat16()
    x = x / (x.norm() + 1e-7)
    for _ in range(3):
        gram = x @ x.T
        x = 3.4445 * x + (2.0315 * gram @ gram - 4.7750 * gram) @ x
    return x


def train(task):
    model = Network(task.num_classes).to(task.device)
    whiten(model.whiten, model.prepare(task.images[:5000]))
    trained = list(model.body.parameters())
    small = torch.optim.SGD(
        [
            {"params": [model.whiten.bias], "lr": BIAS_RATE, "weight_decay": DECAY / BIAS_RATE},
            {
                "params": [bias for bias in trained if bias.dim() == 1 and bias.requires_grad],
                "lr": BIAS_RATE,
                "weight_decay": DECAY / BIAS_RATE,
            },
            {"params": [model.head.weight], "lr": HEAD_RATE, "weight_decay": DECAY / HEAD_RATE},
        ],
        momentum=0.85,
        nesterov=True,
    )
    filters = Muon([weight for weight in trained if weight.dim() == 4], {"lr": FILTER_RATE})
    steps_per_epoch = len(task.images) // BATCH_SIZE
    steps, bias_steps = EPOCHS * steps_per_epoch, WHITENING_BIAS_EPOCHS * steps_per_epoch
    falls = [lambda step: max(0.0, 1 - step / bias_steps)] + 2 * [lambda step: 1 - step / steps]
    schedules = [
        torch.optim.lr_scheduler.LambdaLR(small, falls),
        torch.optim.lr_scheduler.LambdaLR(filters, falls[1:2]),
    ]
    images = bordered(model.prepare(task.images))
    for epoch in range(EPOCHS):
        model.whiten.bias.requires_grad_(epoch < WHITENING_BIAS_EPOCHS)
        for inputs, labels in crops(images, task.labels):
            loss = functional.cross_entropy(
                model.logits(inputs), labels, label_smoothing=0.2, reduction="sum"
            )
            loss.backward()
            for optimizer, schedule in zip((small, filters), schedules, strict=True):
                optimizer.step()
                optimizer.zero_grad()
                schedule.step()
        # Each image is mirrored in every second epoch, and not at random in each.
        images = images.flip(3)
        # `scripts.count_recipes` takes the count of an epoch at this report.
        task.report(epoch=epoch + 1, epochs=EPOCHS)
    return model
