"""Programs that wait for values to be timed: ordinary PyTorch code that runs plain and through handles."""

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy, kl_div, log_softmax, one_hot, softmax

REPEATS = 3
WIDTH = 32


def network(inputs: int = 3 * 16 * 16, classes: int = 10) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(inputs, WIDTH), nn.ReLU(), nn.Linear(WIDTH, classes))


def one_number(task: Any) -> Callable[[], object]:
    """A number that no call is late with: what a read itself takes."""
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
        row, column = (int(torch.randint(0, 16, ())) for _ in range(2))
        crops.append(image[:, row : row + 16, column : column + 16])
    return torch.stack(crops)


def pseudo_labels(task: Any) -> Callable[[], object]:
    """Semi-supervised learning: confident predictions become labels, as in FixMatch."""
    images, labels = task.images[:32].float() / 255, task.labels[:8]
    model = network()
    update = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def step() -> float:
        with torch.no_grad():
            confidence, guessed = softmax(model(cropped(images)), 1).max(1)
        chosen = confidence > 0.15
        loss = cross_entropy(model(cropped(images[:8])), labels)
        if chosen.any():
            loss = loss + cross_entropy(model(cropped(images)[chosen]), guessed[chosen])
        update.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        update.step()
        return float(loss)

    return step


def mixed(task: Any) -> Callable[[], object]:
    """Semi-supervised learning: labelled and guessed images are mixed, as in MixMatch."""
    images, labels = task.images[:32].float() / 255, task.labels[:32]
    model = network()
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


def equilibrium(task: Any) -> Callable[[], object]:
    """A layer that is repeated until its output stays: a number is read in each iteration."""
    images, labels = task.images[:32].float().flatten(1)[:, :64] / 255, task.labels[:32]
    inner, outer, head = nn.Linear(WIDTH, WIDTH), nn.Linear(64, WIDTH), nn.Linear(WIDTH, 10)
    update = torch.optim.SGD([*inner.parameters(), *outer.parameters(), *head.parameters()], lr=0.1)

    def step() -> float:
        told = outer(images)
        state = torch.zeros_like(told)
        with torch.no_grad():
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


def experts(task: Any) -> Callable[[], object]:
    """A mixture of experts: each expert takes the images that the router sends to it."""
    images, labels = task.images[:64].float().flatten(1)[:, :64] / 255, task.labels[:64]
    router = nn.Linear(64, 8)
    members = nn.ModuleList(nn.Linear(64, 10) for _ in range(8))
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
