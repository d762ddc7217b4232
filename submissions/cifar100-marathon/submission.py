"""CIFAR-100 in forty epochs: a residual network trained after Jordan, arXiv:2404.00498."""

import math
from collections.abc import Iterator

import torch
from torch import nn
from torch.nn import functional

EPOCHS = 40
BATCH_SIZE = 1024
WIDTHS = (128, 384, 512)
MAX_SHIFT = 4
CUTOUT_SIZE = 12
CUTOUT_GREY = 121

PEAK_LEARNING_RATE = 1.2  # of a full batch; a smaller one learns in proportion
BIAS_LEARNING_RATE_FACTOR = 64
WEIGHT_DECAY_PER_STEP = 0.0016  # share by which every weight shrinks in a step at the peak
MOMENTUM = 0.85
LABEL_SMOOTHING = 0.2
PEAK_AT = 0.23  # of all steps
FIRST_RATE, LAST_RATE = 0.2, 0.07  # of the peak

LOOKAHEAD_STEPS = 5
LOOKAHEAD_DECAY = 0.95

MEAN, DEVIATION = (0.5071, 0.4866, 0.4409), (0.2673, 0.2564, 0.2762)  # of CIFAR-100's training images
WHITENING_IMAGES = 2000
WHITENING_EPSILON = 5e-4


class Normalize(nn.Module):
    """uint8 images -> float32 with mean 0 and standard deviation 1 in each channel."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("shift", 255 * torch.tensor(MEAN).view(3, 1, 1))
        self.register_buffer("scale", 1 / (255 * torch.tensor(DEVIATION).view(3, 1, 1)))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return (images - self.shift) * self.scale


class WhiteningConvolution(nn.Conv2d):
    """2×2 convolution whose outputs over natural images have equal variance and no correlation.

    Its 24 filters are the 12 principal components of 2×2 patches, scaled, and their negatives. They are
    computed from a few images; only the bias is trained.
    """

    def __init__(self) -> None:
        super().__init__(3, 24, kernel_size=2)
        self.weight.requires_grad_(False)

    @torch.no_grad()
    def fit(self, images: torch.Tensor) -> None:
        """Set the filters from normalized images [N, 3, 32, 32]."""
        patches = functional.unfold(images, kernel_size=2).transpose(0, 1).flatten(1)  # [12, patches]
        covariance = patches @ patches.T / patches.size(1)
        variances, components = torch.linalg.eigh(covariance)
        filters = (components / (variances + WHITENING_EPSILON).sqrt()).T.view(12, 3, 2, 2)
        self.weight.copy_(torch.cat([filters, -filters]))
        self.bias.zero_()


class Convolution(nn.Conv2d):
    """3×3 convolution that begins by passing its inputs on: as many of its filters are the identity."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out, kernel_size=3, padding=1, bias=False)
        with torch.no_grad():
            self.weight[:channels_in].zero_()
            self.weight[:channels_in, :, 1, 1] = torch.eye(channels_in)


class BatchNorm(nn.BatchNorm2d):
    """Batch norm with a fixed scale, and statistics fast enough for a short training."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, momentum=0.4)
        self.weight.requires_grad_(False)


class Block(nn.Module):
    """Three convolutions, at half the resolution of the input; the last two have a way around them."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.narrow = nn.Sequential(
            Convolution(channels_in, channels_out), nn.MaxPool2d(2), BatchNorm(channels_out), nn.GELU()
        )
        self.deepen = nn.Sequential(
            Convolution(channels_out, channels_out),
            BatchNorm(channels_out),
            nn.GELU(),
            Convolution(channels_out, channels_out),
            BatchNorm(channels_out),
        )

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        narrowed = self.narrow(inputs)
        return functional.gelu(narrowed + self.deepen(narrowed))


class Network(nn.Module):
    """uint8 images [B, 3, 32, 32] -> logits [B, num_classes]."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        first, second, third = WIDTHS
        self.normalize = Normalize()
        self.whiten = WhiteningConvolution()
        self.body = nn.Sequential(
            nn.GELU(),
            Block(24, first),
            Block(first, second),
            Block(second, third),
            nn.MaxPool2d(3),
            nn.Flatten(),
        )
        self.head = nn.Linear(third, num_classes, bias=False)
        with torch.no_grad():
            self.head.weight.div_(self.head.weight.std())

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if self.training:
            return self.logits(images)
        return (self.logits(images) + self.logits(images.flip(3))) / 2

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(self.whiten(self.normalize(images)))) / 9


class Lookahead:
    """Every few steps, draws the weights back to a moving average of themselves; less so towards the end."""

    def __init__(self, model: nn.Module) -> None:
        self.values = [value for value in model.state_dict().values() if value.is_floating_point()]
        self.averages = [value.clone() for value in self.values]

    @torch.no_grad()
    def step(self, decay: float) -> None:
        for value, average in zip(self.values, self.averages, strict=True):
            average.lerp_(value, 1 - decay)
            value.copy_(average)


def make_optimizer(model: nn.Module, batch_size: int) -> torch.optim.SGD:
    """SGD in which the biases of batch norms learn faster, and every weight shrinks equally."""
    norm_biases = [module.bias for module in model.modules() if isinstance(module, BatchNorm)]
    fast = {id(bias) for bias in norm_biases}
    others = [weight for weight in model.parameters() if weight.requires_grad and id(weight) not in fast]
    rate = PEAK_LEARNING_RATE * batch_size / BATCH_SIZE
    groups = [
        {"params": others, "lr": rate},
        {"params": norm_biases, "lr": BIAS_LEARNING_RATE_FACTOR * rate},
    ]
    for group in groups:
        group["weight_decay"] = WEIGHT_DECAY_PER_STEP / group["lr"]
    return torch.optim.SGD(groups, momentum=MOMENTUM, nesterov=True)


def triangle(progress: float) -> float:
    """Learning rate as a share of the peak, for progress from 0 to 1."""
    if progress < PEAK_AT:
        return FIRST_RATE + (1 - FIRST_RATE) * progress / PEAK_AT
    return LAST_RATE + (1 - LAST_RATE) * (1 - progress) / (1 - PEAK_AT)


def cut_out(images: torch.Tensor) -> torch.Tensor:
    """Paints a grey square of CUTOUT_SIZE pixels at a random place into every image [B, 3, 32, 32]."""
    positions = torch.arange(32, device=images.device)
    edges = torch.randint(32 - CUTOUT_SIZE + 1, (2, len(images), 1), device=images.device)
    rows, columns = (edges <= positions) & (positions < edges + CUTOUT_SIZE)  # each [B, 32]
    square = rows[:, None, :, None] & columns[:, None, None, :]
    return images.masked_fill(square, CUTOUT_GREY)


def augmented_batches(
    images: torch.Tensor, labels: torch.Tensor, batch_size: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Shuffled, mirrored, shifted and cut-out batches, epoch after epoch, without end."""
    count, device = len(images), images.device
    mirrored = torch.rand(count, 1, 1, 1, device=device) < 0.5
    images = torch.where(mirrored, images.flip(3), images)
    images = functional.pad(images.float(), (MAX_SHIFT,) * 4, mode="reflect").byte()
    channels = torch.arange(3, device=device).view(3, 1, 1)
    rows = torch.arange(32, device=device).view(32, 1)
    columns = torch.arange(32, device=device)
    while True:
        order = torch.randperm(count, device=device)[: count // batch_size * batch_size]
        for batch in order.split(batch_size):
            down, right = torch.randint(2 * MAX_SHIFT + 1, (2, batch_size, 1, 1, 1), device=device)
            # One read by index both picks the images and crops them.
            crops = images[batch.view(-1, 1, 1, 1), channels, rows + down, columns + right]
            yield cut_out(crops), labels[batch]
        images = images.flip(3)


def train(task) -> nn.Module:
    batch_size = min(BATCH_SIZE, len(task.images))
    steps_per_epoch = len(task.images) // batch_size
    steps = math.ceil(EPOCHS * steps_per_epoch)

    model = Network(task.num_classes).to(task.device)
    model.whiten.fit(model.normalize(task.images[:WHITENING_IMAGES]))
    optimizer = make_optimizer(model, batch_size)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: triangle(step / steps))
    lookahead = Lookahead(model)
    batches = augmented_batches(task.images, task.labels, batch_size)

    for step in range(1, steps + 1):
        images, labels = next(batches)
        loss = functional.cross_entropy(model(images), labels, label_smoothing=LABEL_SMOOTHING)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % LOOKAHEAD_STEPS == 0:
            lookahead.step(decay=LOOKAHEAD_DECAY**LOOKAHEAD_STEPS * (step / steps) ** 3)
        if step % steps_per_epoch == 0:
            task.report(epoch=step // steps_per_epoch, epochs=EPOCHS, loss=loss.item())
    lookahead.step(decay=1.0)
    return model
