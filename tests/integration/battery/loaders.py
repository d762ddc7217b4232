"""torch.utils.data over the tensors of the task, in one process."""

import random
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils import data

from .networks import normalized, number, sgd, small_cnn

Results = dict[str, Tensor]


def tensor_dataset(task: Any) -> Results:
    model = small_cnn()
    optimizer = sgd(model)
    loader = data.DataLoader(
        data.TensorDataset(task.images[:48], task.labels[:48]), batch_size=16, shuffle=True, drop_last=True
    )
    losses = []
    for _ in range(2):
        for images, labels in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(normalized(images)), labels)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            losses.append(loss.item())
    return model.state_dict() | {"losses": torch.tensor(losses)}


def own_dataset_with_transform(task: Any) -> Results:
    class Images(data.Dataset[tuple[Tensor, int]]):
        def __len__(self) -> int:
            return 24

        def __getitem__(self, index: int) -> tuple[Tensor, int]:
            image = task.images[index].float() / 255
            if random.random() < 0.5:
                image = image.flip(-1)
            return image, int(task.labels[index])

    loader = data.DataLoader(Images(), batch_size=8, shuffle=True, pin_memory=False)
    seen = list(loader)
    return {"images": torch.cat([x for x, _ in seen]), "labels": torch.cat([y for _, y in seen])}


def seeded_generator(task: Any) -> Results:
    generator = torch.Generator()
    generator.manual_seed(3)
    loader = data.DataLoader(
        data.TensorDataset(task.labels[:32]), batch_size=8, shuffle=True, generator=generator
    )
    return {
        "sums": torch.stack([labels.sum() for (labels,) in loader]),
        "again": torch.cat([x for (x,) in loader]),
    }


def samplers(task: Any) -> Results:
    dataset = data.TensorDataset(task.labels[:32])
    weights = (1.0 / torch.bincount(task.labels[:32], minlength=10).clamp(min=1))[task.labels[:32]]
    made = {
        "weighted": data.WeightedRandomSampler(weights, 16),  # type: ignore[arg-type]
        "subset": data.SubsetRandomSampler(range(5, 25)),
        "replacing": data.RandomSampler(dataset, replacement=True, num_samples=12),
        "sequential": data.SequentialSampler(dataset),
    }
    return {
        name: torch.cat([x for (x,) in data.DataLoader(dataset, batch_size=4, sampler=sampler)])
        for name, sampler in made.items()
    }


def batch_sampler(task: Any) -> Results:
    dataset = data.TensorDataset(task.images[:32], task.labels[:32])
    sampler = data.BatchSampler(data.RandomSampler(dataset), 8, drop_last=False)
    seen = [y for _, y in data.DataLoader(dataset, batch_sampler=sampler)]
    whole = data.DataLoader(dataset, sampler=sampler, batch_size=None)
    return {"batches": torch.cat(seen), "whole": torch.cat([y for _, y in whole])}


def subsets_and_splits(task: Any) -> Results:
    dataset = data.TensorDataset(task.images, task.labels)
    train, held_out = data.random_split(dataset, [0.8, 0.2], torch.Generator().manual_seed(1))
    both = data.ConcatDataset([data.Subset(dataset, range(4)), held_out])
    images, labels = next(iter(data.DataLoader(both, 16)))
    return {"images": images, "labels": labels, "sizes": torch.tensor([len(train), len(held_out), len(both)])}


def own_collate(task: Any) -> Results:
    def collate(items: list[tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
        return {"x": torch.stack([x for x, _ in items]).float(), "y": torch.stack([y for _, y in items]) * 2}

    loader = data.DataLoader(data.TensorDataset(task.images[:8], task.labels[:8]), 4, collate_fn=collate)
    return {f"{i}.{key}": value for i, batch in enumerate(loader) for key, value in batch.items()}


def iterable_dataset(task: Any) -> Results:
    class Stream(data.IterableDataset[Tensor]):
        def __iter__(self) -> Iterator[Tensor]:
            yield from task.images[:9].float()

    return {str(i): batch for i, batch in enumerate(data.DataLoader(Stream(), batch_size=4))}


def mixup_in_collate(task: Any) -> Results:
    from torchvision.transforms import v2

    mix = v2.CutMix(num_classes=10)
    loader = data.DataLoader(
        data.TensorDataset(task.images[:16].float(), task.labels[:16]),
        8,
        shuffle=True,
        collate_fn=lambda items: mix(*data.default_collate(items)),
    )
    return {f"{i}.{j}": part for i, batch in enumerate(loader) for j, part in enumerate(batch)}


def loader_of_permuted_slices(task: Any) -> Results:
    """The loop that fast scripts write instead of a loader."""
    found = []
    for _ in range(2):
        order = torch.randperm(len(task.images))
        for start in range(0, 64, 16):
            chosen = order[start : start + 16]
            found.append(task.images[chosen].float().mean() + task.labels[chosen].sum())
    first = [images.sum() for images in task.images[:32].split(8)]
    return {"found": torch.stack(found), "first": torch.stack(first), "length": number(len(task.labels))}
