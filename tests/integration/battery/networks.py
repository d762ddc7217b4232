"""Networks and the training loop that the programs share."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def normalized(images: Tensor) -> Tensor:
    return (images.float() / 255 - 0.5) / 0.25


def small_cnn(dropout: float = 0.2) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Dropout(dropout),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.BatchNorm2d(32),
        nn.GELU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, 10),
    )


def linear_model() -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 10))


class SmallViT(nn.Module):
    def __init__(self, width: int = 48, depth: int = 2) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 8, 8)
        self.positions = nn.Parameter(torch.randn(1, 17, width) * 0.02)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        layer = nn.TransformerEncoderLayer(
            width, 4, 2 * width, 0.1, "gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 10)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.patches(images).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(len(tokens), -1, -1), tokens], 1) + self.positions
        logits: Tensor = self.head(self.norm(self.encoder(tokens))[:, 0])
        return logits


def batches(task: Any, steps: int, size: int = 16) -> Iterable[tuple[Tensor, Tensor]]:
    for step in range(steps):
        part = slice(step * size, (step + 1) * size)
        yield normalized(task.images[part]), task.labels[part]


def number(value: float) -> Tensor:
    """A value that was read back, as a result."""
    return torch.tensor(float(value), dtype=torch.float64)


def fit(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    task: Any,
    steps: int = 3,
    *,
    loss: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy,
    change: Callable[[Tensor], Tensor] = lambda images: images,
    before_step: Callable[[], object] = lambda: None,
    after_step: Callable[[], object] = lambda: None,
) -> dict[str, Tensor]:
    """Train for a few steps; returns the state of the model and the losses that were read back."""
    losses = []
    for images, labels in batches(task, steps):
        optimizer.zero_grad()
        value = loss(model(change(images)), labels)
        value.backward()  # type: ignore[no-untyped-call]
        before_step()
        optimizer.step()
        after_step()
        losses.append(value.item())
    return model.state_dict() | {"losses": torch.tensor(losses, dtype=torch.float64)}


def sgd(model: nn.Module, **options: Any) -> torch.optim.SGD:
    settings: dict[str, Any] = {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 5e-4}
    return torch.optim.SGD(model.parameters(), **settings | options)
