"""Programs that wait for values to be timed: ordinary PyTorch code that runs plain and through handles.

Each of the four runs on tensors of a few numbers, for which a read costs most, and at the size of a
small training.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy, kl_div, log_softmax, one_hot, softmax

REPEATS = 3
WIDTH = 32


def network() -> nn.Module:
    """Images [B, 3, 16, 16] -> logits [B, 10]."""
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 10))


def convolutional_network() -> nn.Module:
    """Images [B, 3, 16, 16] -> logits [B, 10]."""
    return nn.Sequential(
        *(nn.Conv2d(3, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU()),
        *(nn.Conv2d(64, 128, 3, padding=1), nn.BatchNorm2d(128), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(128, 128, 3, padding=1), nn.BatchNorm2d(128), nn.ReLU(), nn.AdaptiveAvgPool2d(1)),
        *(nn.Flatten(), nn.Linear(128, 10)),
    )


def one_number(task: Any) -> Callable[[], object]:
    """A number that no call is late with: what a read itself takes."""
    # Made once, so that each call below is the read and one small sum.
    values = task.images[:4].float()
    return lambda: values.sum().item()


def by_a_mask(task: Any) -> Callable[[], object]:
    """A result whose shape depends on data."""
    values = task.labels[:64].float()
    mask = values > 4
    return lambda: values[mask]


def sharpened(logits: torch.Tensor) -> torch.Tensor:
    powers = softmax(logits, 1) ** 2
    return powers / powers.sum(1, keepdim=True)


def cropped(images: torch.Tensor) -> torch.Tensor:
    """A crop of each image at a place of its own."""
    crops = []
    for image in images:
        # Drawn one by one as users write it. These numbers depend on no data, so a read of them is free of
        # charge.
        row, column = (int(torch.randint(0, 16, ())) for _ in range(2))
        crops.append(image[:, row : row + 16, column : column + 16])
    return torch.stack(crops)


def pseudo_labels(
    task: Any, batch: int = 32, make: Callable[[], nn.Module] = network
) -> Callable[[], object]:
    """Semi-supervised learning: confident predictions become labels, as in FixMatch."""
    images, labels = task.images[:batch].float() / 255, task.labels[: batch // 4]
    model = make()
    update = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def step() -> float:
        with torch.no_grad():
            confidence, guessed = softmax(model(cropped(images)), 1).max(1)
        chosen = confidence > 0.15
        loss = cross_entropy(model(cropped(images[: len(labels)])), labels)
        if chosen.any():
            loss = loss + cross_entropy(model(cropped(images)[chosen]), guessed[chosen])
        update.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        update.step()
        return float(loss)

    return step


def mixed(task: Any, batch: int = 32, make: Callable[[], nn.Module] = network) -> Callable[[], object]:
    """Semi-supervised learning: labelled and guessed images are mixed, as in MixMatch."""
    images, labels = task.images[:batch].float() / 255, task.labels[:batch]
    model = make()
    update = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step() -> float:
        with torch.no_grad():
            guesses = sharpened(model(cropped(images)) + model(cropped(images)))
        crops, targets = torch.cat([cropped(images)] * 2), torch.cat([one_hot(labels, 10).float(), guesses])
        order = torch.randperm(len(crops))
        share = torch.distributions.Beta(0.75, 0.75).sample().item()
        share = max(share, 1 - share)
        logits = model(share * crops + (1 - share) * crops[order])
        loss = kl_div(log_softmax(logits, 1), share * targets + (1 - share) * targets[order])
        update.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        update.step()
        return float(loss)

    return step


def equilibrium(task: Any, batch: int = 32, width: int = WIDTH) -> Callable[[], object]:
    """A layer that is repeated until its output stays: a number is read in each iteration."""
    images, labels = task.images[:batch].float().flatten(1)[:, :64] / 255, task.labels[:batch]
    inner, outer, head = nn.Linear(width, width), nn.Linear(64, width), nn.Linear(width, 10)
    update = torch.optim.SGD([*inner.parameters(), *outer.parameters(), *head.parameters()], lr=0.1)

    def step() -> float:
        told = outer(images)
        state = torch.zeros_like(told)
        with torch.no_grad():
            # A limit, since the weights change and the layer need not come to rest.
            for _ in range(30):
                after = torch.tanh(inner(state) + told)
                change = (after - state).norm() / after.norm()
                state = after
                if change.item() < 1e-4:
                    break
        loss = cross_entropy(head(torch.tanh(inner(state) + told)), labels)
        update.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        update.step()
        return float(loss)

    return step


def experts(task: Any, batch: int = 64, inputs: int = 64, width: int = 10) -> Callable[[], object]:
    """A mixture of experts: each expert takes the images that the router sends to it."""
    images, labels = task.images[:batch].float().flatten(1)[:, :inputs] / 255, task.labels[:batch]
    router = nn.Linear(inputs, 8)
    members = nn.ModuleList(
        nn.Sequential(nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, 10)) for _ in range(8)
    )
    update = torch.optim.SGD([*router.parameters(), *members.parameters()], lr=0.1)

    def step() -> float:
        weights, chosen = softmax(router(images), 1).max(1)
        logits = torch.zeros(len(images), 10)
        for number, member in enumerate(members):
            places = (chosen == number).nonzero().flatten()
            if len(places):
                logits = logits.index_add(0, places, member(images[places]) * weights[places, None])
        loss = cross_entropy(logits, labels)
        update.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        update.step()
        return float(loss)

    return step


CONFIGURATIONS: dict[str, tuple[Callable[[Any], Callable[[], object]], int]] = {
    "read of one number": (one_number, 300),
    "read by a mask": (by_a_mask, 300),
    "pseudo labels": (pseudo_labels, 3),
    "mixed images": (mixed, 3),
    "deep equilibrium": (equilibrium, 6),
    "mixture of experts": (experts, 6),
    "pseudo labels, 64 images, convolutions": (
        partial(pseudo_labels, batch=64, make=convolutional_network),
        3,
    ),
    "mixed images, 64 images, convolutions": (partial(mixed, batch=64, make=convolutional_network), 3),
    "deep equilibrium, 128 images, width 512": (partial(equilibrium, batch=128, width=512), 3),
    "mixture of experts, 256 images, width 512": (partial(experts, batch=256, inputs=3072, width=512), 3),
}


def time_step(task: Any, name: str) -> float:
    """Least milliseconds of a step, over REPEATS runs of some steps each."""
    make, steps = CONFIGURATIONS[name]
    step = make(task)
    for _ in range(3):
        step()
    best = float("inf")
    for _ in range(REPEATS):
        start = time.perf_counter()
        for _ in range(steps):
            step()
        best = min(best, time.perf_counter() - start)
    return best / steps * 1e3


def train(task: Any) -> nn.Module:
    """Entry point of the run through handles; reports each configuration's milliseconds."""
    for name in CONFIGURATIONS:
        task.report(name=name, milliseconds=time_step(task, name))
    return network()
