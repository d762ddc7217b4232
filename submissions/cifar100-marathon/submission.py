"""CIFAR-100 in fourteen epochs, with Muon. haet.toml names the sources, docs/cifar100.md the measurements."""

from collections.abc import Iterator

import torch
from torch import nn
from torch.nn import functional

EPOCHS = 14
BATCH_SIZE = 1000
WIDTHS = (96, 320, 512)
MAX_SHIFT = 3
LABEL_SMOOTHING = 0.2
PRECISION = torch.bfloat16  # of the activations: no price depends on it, but the time does

FILTER_LEARNING_RATE, FILTER_MOMENTUM = 0.2, 0.6
# For losses that are summed over a batch:
BIAS_LEARNING_RATE, HEAD_LEARNING_RATE, MOMENTUM = 0.053, 0.67, 0.85
WEIGHT_DECAY_PER_IMAGE = 2e-6  # share by which biases and head shrink, for each image of a batch

MEAN, DEVIATION = (0.5071, 0.4866, 0.4409), (0.2673, 0.2564, 0.2762)  # of CIFAR-100's training images
WHITENING_IMAGES = 5000
WHITENING_EPSILON = 5e-4


class Normalize(nn.Module):
    """uint8 images -> images with mean 0 and standard deviation 1 in each channel."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("shift", 255 * torch.tensor(MEAN).view(3, 1, 1))
        self.register_buffer("scale", 1 / (255 * torch.tensor(DEVIATION).view(3, 1, 1)))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return (images - self.shift) * self.scale


class Convolution(nn.Conv2d):
    """Convolution in the precision of its inputs, with weights of float32."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return functional.conv2d(inputs, self.weight.to(inputs.dtype), padding=self.padding)


class WhiteningConvolution(Convolution):
    """2×2 convolution whose outputs over natural images have equal variance and no correlation.

    Its 24 filters are the 12 principal components of 2×2 patches, scaled, and their negatives. They are
    computed from a few images and not trained.
    """

    def __init__(self) -> None:
        super().__init__(3, 24, kernel_size=2, bias=False)
        self.weight.requires_grad_(False)

    @torch.no_grad()
    def fit(self, images: torch.Tensor) -> None:
        """Set the filters from normalized images [N, 3, 32, 32]."""
        patches = functional.unfold(images, kernel_size=2).transpose(0, 1).flatten(1)  # [12, patches]
        covariance = patches @ patches.T / patches.size(1)
        variances, components = torch.linalg.eigh(covariance)
        filters = (components / (variances + WHITENING_EPSILON).sqrt()).T.reshape(12, 3, 2, 2)
        self.weight.copy_(torch.cat([filters, -filters]))


class Filters(Convolution):
    """3×3 convolution that begins by passing its inputs on: as many of its filters are the identity."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out, kernel_size=3, padding=1, bias=False)
        with torch.no_grad():
            identity = self.weight[:channels_in].zero_()
            identity[:, :, 1, 1] = torch.eye(len(identity), channels_in)


class BatchNorm(nn.BatchNorm2d):
    """Batch norm with a fixed scale, and statistics fast enough for a short training."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, momentum=0.4)
        self.weight.requires_grad_(False)


def block(channels_in: int, channels_out: int) -> nn.Sequential:
    """Two convolutions, at half the resolution of the input."""
    return nn.Sequential(
        Filters(channels_in, channels_out),
        nn.MaxPool2d(2),
        BatchNorm(channels_out),
        nn.GELU(),
        Filters(channels_out, channels_out),
        BatchNorm(channels_out),
        nn.GELU(),
    )


class Network(nn.Module):
    """uint8 images [B, 3, 32, 32] -> logits [B, num_classes]."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        first, second, third = WIDTHS
        self.normalize = Normalize()
        self.body = nn.Sequential(
            WhiteningConvolution(), nn.GELU(), block(24, first), block(first, second), block(second, third)
        )
        self.head = nn.Linear(third, num_classes, bias=False)
        with torch.no_grad():
            self.head.weight.div_(self.head.weight.std())

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Average over an image, its neighbours one pixel up-left and down-right, and the mirror images."""
        images = self.normalize(images)
        bordered = functional.pad(images, (1,) * 4, mode="reflect")
        moved = self.both_ways(bordered[:, :, :-2, :-2]) + self.both_ways(bordered[:, :, 2:, 2:])
        return self.both_ways(images) + moved / 2

    def both_ways(self, images: torch.Tensor) -> torch.Tensor:
        return self.logits(images) + self.logits(images.flip(3))

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        """Logits [B, num_classes] of normalized images [B, 3, 32, 32]."""
        images = images.to(PRECISION).contiguous(memory_format=torch.channels_last)
        features = self.body(images).amax((2, 3)).float()
        return self.head(features) / features.size(1)


class Muon(torch.optim.Optimizer):
    """Steps that are as long in every direction: Jordan et al., kellerjordan.github.io/posts/muon (2024).

    Before each step the filters get the norm of an orthogonal matrix of their shape, so that the learning
    rate is the share by which they change.
    """

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            for filters in group["params"]:
                state = self.state[filters]
                if not state:
                    state["momentum"] = torch.zeros_like(filters)
                gradient = state["momentum"].mul_(group["momentum"]).add_(filters.grad)
                gradient = filters.grad.add(gradient, alpha=group["momentum"])
                filters.mul_(len(filters) ** 0.5 / filters.norm())
                direction = orthogonalized(gradient.flatten(1)).view(filters.shape)
                filters.add_(direction, alpha=-group["lr"])


def orthogonalized(matrix: torch.Tensor) -> torch.Tensor:
    """About the nearest orthogonal matrix [R, C], R at most C: singular values between 0.3 and 1.3 or so.

    Three rounds of Newton and Schulz's iteration with Jordan's coefficients, from which it grows quickest.
    """
    x = (matrix / (matrix.norm() + 1e-7)).to(PRECISION)
    for _ in range(3):
        gram = x @ x.T
        x = 3.4445 * x + (2.0315 * gram @ gram - 4.775 * gram) @ x
    return x.float()


def make_optimizers(model: nn.Module, batch_size: int) -> tuple[torch.optim.Optimizer, ...]:
    """Muon for the filters, SGD for the biases of batch norms and the head."""
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    decay = WEIGHT_DECAY_PER_IMAGE * batch_size
    rates = {1: BIAS_LEARNING_RATE, 2: HEAD_LEARNING_RATE}  # by dimensions
    groups = [
        {"params": [one for one in trained if one.dim() == dims], "lr": rate, "weight_decay": decay / rate}
        for dims, rate in rates.items()
    ]
    filters = [weight for weight in trained if weight.dim() == 4]
    return (
        Muon(filters, {"lr": FILTER_LEARNING_RATE, "momentum": FILTER_MOMENTUM}),
        torch.optim.SGD(groups, momentum=MOMENTUM, nesterov=True),
    )


def augmented_batches(
    images: torch.Tensor, labels: torch.Tensor, batch_size: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Shuffled, mirrored and shifted batches, epoch after epoch, without end."""
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
            yield crops, labels[batch]
        images = images.flip(3)


def train(task) -> nn.Module:
    batch_size = min(BATCH_SIZE, len(task.images))
    steps_per_epoch = len(task.images) // batch_size
    steps = EPOCHS * steps_per_epoch

    model = Network(task.num_classes).to(task.device, memory_format=torch.channels_last)
    model.body[0].fit(model.normalize(task.images[:WHITENING_IMAGES]))
    optimizers = make_optimizers(model, batch_size)
    schedules = [
        torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)
        for optimizer in optimizers
    ]
    batches = augmented_batches(task.images, task.labels, batch_size)

    for step in range(steps):
        images, labels = next(batches)
        logits = model.logits(model.normalize(images))
        loss = functional.cross_entropy(logits, labels, label_smoothing=LABEL_SMOOTHING, reduction="sum")
        loss.backward()
        for optimizer, schedule in zip(optimizers, schedules, strict=True):
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        if (step + 1) % steps_per_epoch == 0:
            epoch = (step + 1) // steps_per_epoch
            task.report(epoch=epoch, epochs=EPOCHS, loss=loss.item() / batch_size)
    return model
