"""CIFAR-100 in forty epochs, with Muon and Winograd's convolutions. docs/cifar100.md has the measurements."""

from collections.abc import Iterator

import torch
from torch import nn
from torch.nn import functional
from winograd import Winograd

EPOCHS = 40
BATCH_SIZE = 500
WIDTHS = (96, 320, 512)
MAX_SHIFT = 3
HOLE, GREY = 10, 120  # side and value of a square in each image that is painted over
LABEL_SMOOTHING = 0.2
PRECISION = torch.bfloat16  # of the activations: no price depends on it, but the time does

FILTER_LEARNING_RATE, FILTER_MOMENTUM = 0.15, 0.6
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


class WhiteningConvolution(nn.Conv2d):
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

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """[B, 3, 32, 32] -> [B, 24, 32, 32]: the last row and column are mirrored first."""
        bordered = functional.pad(images, (0, 1, 0, 1), mode="reflect")
        bordered = bordered.to(PRECISION).contiguous(memory_format=torch.channels_last)
        return functional.conv2d(bordered, self.weight.to(PRECISION))


class Filters(nn.Module):
    """3×3 convolution that begins by passing its inputs on: as many of its filters are the identity."""

    def __init__(self, channels_in: int, channels_out: int, pooled: bool = False) -> None:
        super().__init__()
        bound = (9 * channels_in) ** -0.5
        weights = torch.empty(9, channels_out, channels_in).uniform_(-bound, bound)
        weights[:, :channels_in] = 0
        weights[4, :channels_in] = torch.eye(channels_in)[:channels_out]
        self.weights = nn.Parameter(weights)
        self.convolution = Winograd(pooled)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.convolution(inputs.permute(0, 2, 3, 1), self.weights)
        return outputs.permute(0, 3, 1, 2)


class BatchNorm(nn.BatchNorm2d):
    """Batch norm with a fixed scale, and statistics fast enough for a short training."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, momentum=0.4)
        self.weight.requires_grad_(False)


class Block(nn.Module):
    """Three convolutions, at half the resolution of the input. Two of them are also passed by."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.first = nn.Sequential(
            Filters(channels_in, channels_out, pooled=True), BatchNorm(channels_out), nn.GELU()
        )
        self.others = nn.Sequential(
            Filters(channels_out, channels_out),
            BatchNorm(channels_out),
            nn.GELU(),
            Filters(channels_out, channels_out),
            BatchNorm(channels_out),
        )

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        halved = self.first(inputs)
        return functional.gelu(halved + self.others(halved))


class Network(nn.Module):
    """uint8 images [B, 3, 32, 32] -> logits [B, num_classes]."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        first, second, third = WIDTHS
        self.normalize = Normalize()
        self.body = nn.Sequential(
            WhiteningConvolution(), nn.GELU(), Block(24, first), Block(first, second), Block(second, third)
        )
        self.head = nn.Linear(third, num_classes, bias=False)
        with torch.no_grad():
            self.head.weight.div_(self.head.weight.std())

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Average over an image, its four neighbours one pixel off diagonally, and the mirror images."""
        images = self.normalize(images)
        bordered = functional.pad(images, (1,) * 4, mode="reflect")
        logits = self.both_ways(images)
        for down, right in ((0, 0), (0, 2), (2, 0), (2, 2)):
            logits = logits + self.both_ways(bordered[:, :, down : down + 32, right : right + 32]) / 2
        return logits

    def both_ways(self, images: torch.Tensor) -> torch.Tensor:
        return self.logits(images) + self.logits(images.flip(3))

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        """Logits [B, num_classes] of normalized images [B, 3, 32, 32]."""
        features = self.body(images).amax((2, 3)).float()
        return self.head(features) / features.size(1)


class Muon(torch.optim.Optimizer):
    """Steps that are as long in every direction: Jordan et al., kellerjordan.github.io/posts/muon (2024).

    Before each step the filters [9, O, I] get the norm of an orthogonal matrix of O rows, so that the
    learning rate is the share by which they change.
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
                filters.mul_(filters.size(1) ** 0.5 / filters.norm())
                rows = orthogonalized(gradient.transpose(0, 1).flatten(1))
                filters.add_(rows.view(filters.size(1), 9, -1).transpose(0, 1), alpha=-group["lr"])


def orthogonalized(matrix: torch.Tensor) -> torch.Tensor:
    """About the nearest orthogonal matrix [R, C], R at most C: singular values between 0.3 and 1.3 or so.

    Three rounds of Newton and Schulz's iteration with Jordan's coefficients, from which it grows quickest. A
    round multiplies the matrix by a polynomial of its Gram matrix. The rounds compute with that one alone,
    because it is small, and the factors are applied together.
    """
    x = matrix / (matrix.norm() + 1e-7)
    gram = x @ x.T
    product = torch.eye(len(x), device=x.device)
    for _ in range(3):
        factor = 2.0315 * (gram @ gram) - 4.775 * gram
        factor.diagonal().add_(3.4445)
        product = factor @ product
        gram = factor @ (factor @ gram)
    return product @ x


def make_optimizers(model: nn.Module, batch_size: int) -> tuple[torch.optim.Optimizer, ...]:
    """Muon for the filters, SGD for the biases of batch norms and the head."""
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    decay = WEIGHT_DECAY_PER_IMAGE * batch_size
    rates = {1: BIAS_LEARNING_RATE, 2: HEAD_LEARNING_RATE}  # by dimensions
    groups = [
        {"params": [one for one in trained if one.dim() == dims], "lr": rate, "weight_decay": decay / rate}
        for dims, rate in rates.items()
    ]
    filters = [weight for weight in trained if weight.dim() == 3]
    return (
        Muon(filters, {"lr": FILTER_LEARNING_RATE, "momentum": FILTER_MOMENTUM}),
        torch.optim.SGD(groups, momentum=MOMENTUM, nesterov=True),
    )


def augmented_batches(
    images: torch.Tensor, labels: torch.Tensor, batch_size: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Shuffled batches, mirrored, shifted and with a hole in each image, epoch after epoch, without end."""
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
            top, left = torch.randint(1 - HOLE, 32, (2, batch_size, 1, 1, 1), device=device)
            hole = inside(rows, top) & inside(columns, left)
            yield crops.masked_fill(hole, GREY), labels[batch]
        images = images.flip(3)


def inside(positions: torch.Tensor, start: torch.Tensor) -> torch.Tensor:
    return (positions >= start) & (positions < start + HOLE)


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
