"""Augmentation: with tensor operations, and with torchvision's transforms."""

import math
import random
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms import v2

from .networks import fit, normalized, sgd, small_cnn

Results = dict[str, Tensor]


def crop_and_flip_by_index(task: Any) -> Results:
    def change(x: Tensor) -> Tensor:
        n = len(x)
        x = F.pad(x, (4,) * 4, mode="reflect")
        top, left = torch.randint(0, 9, (n,)), torch.randint(0, 9, (n,))
        rows = (top[:, None] + torch.arange(32))[:, None, :, None]
        columns = (left[:, None] + torch.arange(32))[:, None, None, :]
        x = x[torch.arange(n)[:, None, None, None], torch.arange(3)[None, :, None, None], rows, columns]
        flipped = torch.rand(n) < 0.5
        x = torch.where(flipped[:, None, None, None], x.flip(3), x)
        mask = torch.ones_like(x)
        mask[:, :, 4:12, 4:12] = 0
        return x * mask

    model = small_cnn()
    return fit(model, sgd(model), task, change=change)


def crop_by_strided_view(task: Any) -> Results:
    """Batched random crops from `unfold`, as fast loaders write them."""
    x = F.pad(normalized(task.images[:16]), (2, 2, 2, 2), "reflect")
    shifts = torch.randint(-2, 3, (16, 2))
    out = torch.empty(16, 3, 32, 32)
    for sy in range(-2, 3):
        for sx in range(-2, 3):
            mask = (shifts[:, 0] == sy) & (shifts[:, 1] == sx)
            out[mask] = x[mask, :, 2 + sy : 34 + sy, 2 + sx : 34 + sx]
    windows = x.unfold(2, 32, 1).unfold(3, 32, 1)
    chosen = windows[torch.arange(16), :, shifts[:, 0] + 2, shifts[:, 1] + 2]
    return {"out": out, "chosen": chosen}


def crop_by_gather(task: Any) -> Results:
    x = F.pad(normalized(task.images[:8]), (4, 4, 4, 4))
    rows = (torch.randint(0, 9, (8, 1)) + torch.arange(32))[:, None, :, None].expand(-1, 3, -1, 40)
    x = x.gather(2, rows)
    columns = (torch.randint(0, 9, (8, 1)) + torch.arange(32))[:, None, None, :].expand(-1, 3, 32, -1)
    return {"out": x.gather(3, columns)}


def flip_by_mask(task: Any) -> Results:
    def change(x: Tensor) -> Tensor:
        chosen = torch.rand(len(x)) < 0.5
        x = x.clone()
        x[chosen] = x[chosen].flip(3)
        return x

    model = small_cnn()
    return fit(model, sgd(model), task, change=change)


def alternating_flip(task: Any) -> Results:
    x = normalized(task.images[:16])
    odd = torch.arange(16) % 2 == 0
    return {
        "out": torch.where(odd.view(-1, 1, 1, 1), x.flip(-1), x),
        "cat": torch.cat([x[odd].flip(-1), x[~odd]]),
    }


def one_image_at_a_time(task: Any) -> Results:
    """Python decides, with Python's and NumPy's random numbers."""
    found = []
    for image in normalized(task.images[:8]):
        if random.random() < 0.5:
            image = image.flip(2)
        top, left = np.random.randint(0, 9, 2)
        padded = F.pad(image, (4, 4, 4, 4))
        found.append(padded[:, top : top + 32, left : left + 32])
    return {"out": torch.stack(found)}


def affine_grid(task: Any) -> Results:
    x = normalized(task.images[:8])
    angle = (torch.rand(8) - 0.5) * math.pi / 6
    theta = torch.zeros(8, 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = angle.cos()
    theta[:, 0, 1], theta[:, 1, 0] = -angle.sin(), angle.sin()
    grid = F.affine_grid(theta, list(x.shape), align_corners=False)
    return {
        "bilinear": F.grid_sample(x, grid, padding_mode="reflection", align_corners=False),
        "nearest": F.grid_sample(x, grid, mode="nearest", align_corners=False),
    }


def resizing(task: Any) -> Results:
    x = normalized(task.images[:4])
    return {
        "bilinear": F.interpolate(x, 24, mode="bilinear"),
        "antialias": F.interpolate(x, size=(20, 28), mode="bilinear", antialias=True),
        "bicubic": F.interpolate(x, scale_factor=1.5, mode="bicubic"),
        "nearest": F.interpolate(x, 48),
        "area": F.interpolate(x, 16, mode="area"),
    }


def mixup_by_hand(task: Any) -> Results:
    x, y = normalized(task.images[:16]), task.labels[:16]
    weight = np.random.beta(0.2, 0.2)
    order = torch.randperm(16)
    mixed = weight * x + (1 - weight) * x[order]
    model = small_cnn()
    out = model(mixed)
    loss = weight * F.cross_entropy(out, y) + (1 - weight) * F.cross_entropy(out, y[order])
    loss.backward()  # type: ignore[no-untyped-call]
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None} | {"mixed": mixed}


def cutmix_by_hand(task: Any) -> Results:
    x = normalized(task.images[:16]).clone()
    weight = torch.distributions.Beta(1.0, 1.0).sample().item()
    side = int(32 * math.sqrt(1 - weight))
    cx, cy = np.random.randint(32), np.random.randint(32)
    x1, x2 = np.clip([cx - side // 2, cx + side // 2], 0, 32)
    y1, y2 = np.clip([cy - side // 2, cy + side // 2], 0, 32)
    x[:, :, y1:y2, x1:x2] = x[torch.randperm(16), :, y1:y2, x1:x2]
    return {"out": x}


def cutout_batched(task: Any) -> Results:
    x = normalized(task.images[:16])
    corner = torch.randint(0, 25, (16, 2, 1, 1, 1))
    grid = torch.arange(32)
    rows = (grid.view(1, 1, 32, 1) >= corner[:, 0]) & (grid.view(1, 1, 32, 1) < corner[:, 0] + 8)
    columns = (grid.view(1, 1, 1, 32) >= corner[:, 1]) & (grid.view(1, 1, 1, 32) < corner[:, 1] + 8)
    return {"out": x.masked_fill(rows & columns, 0.0)}


def colour_by_hand(task: Any) -> Results:
    x = normalized(task.images[:8])
    x = x * (1 + 0.2 * torch.randn(8, 1, 1, 1)) + 0.1 * torch.randn(8, 1, 1, 1)
    grey = (x * torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(1, keepdim=True)
    x = torch.lerp(grey.expand_as(x), x, torch.rand(8, 1, 1, 1))
    return {"out": x.clamp(-2, 2), "noise": x + torch.randn_like(x) * 0.01}


def statistics_of_the_data(task: Any) -> Results:
    x = task.images.float() / 255
    mean, std = x.mean((0, 2, 3)), x.std((0, 2, 3))
    whitened = (x - mean.view(1, 3, 1, 1)) / std.view(1, 3, 1, 1)
    return {"mean": mean, "std": std, "out": whitened[:2], "half": whitened[:2].half()}


def v2_pipeline(task: Any) -> Results:
    change = v2.Compose(
        [
            v2.RandomCrop(32, 4),
            v2.RandomHorizontalFlip(),
            v2.ColorJitter(0.2, 0.2, 0.2),
            v2.RandomErasing(1.0),
            v2.RandomRotation(15),
            v2.Normalize([0.5] * 3, [0.2] * 3),
        ]
    )
    model = small_cnn()
    return fit(model, sgd(model), task, change=change)


def _each(task: Any, transform: Any, count: int = 12) -> Results:
    return {"out": torch.stack([transform(task.images[i]) for i in range(count)])}


def v2_trivial_augment(task: Any) -> Results:
    return _each(task, v2.TrivialAugmentWide())


def v2_auto_augment(task: Any) -> Results:
    return _each(task, v2.AutoAugment(v2.AutoAugmentPolicy.CIFAR10), 24)


def v2_rand_augment(task: Any) -> Results:
    return _each(task, v2.RandAugment())


def v2_aug_mix(task: Any) -> Results:
    return _each(task, v2.AugMix(), 4)


def v2_mixup_and_cutmix(task: Any) -> Results:
    x, y = normalized(task.images[:16]), task.labels[:16]
    found = {}
    for name, kind in {"mixup": v2.MixUp, "cutmix": v2.CutMix}.items():
        images, labels = kind(num_classes=10)(x, y)
        found |= {f"{name}.x": images, f"{name}.y": labels}
    choice, target = v2.RandomChoice([v2.MixUp(num_classes=10), v2.CutMix(num_classes=10)])(x, y)
    return found | {"choice": choice, "target": target}


def v2_geometry(task: Any) -> Results:
    x = normalized(task.images[:4])
    transforms = {
        "affine": v2.RandomAffine(10, (0.1, 0.1), (0.9, 1.1), 5),
        "perspective": v2.RandomPerspective(p=1.0),
        "resized": v2.RandomResizedCrop(32),
        "resize": v2.Resize(24),
        "elastic": v2.ElasticTransform(),
        "zoom": v2.RandomZoomOut(p=1.0),
        "vertical": v2.RandomVerticalFlip(1.0),
        "centre": v2.CenterCrop(24),
        "five": v2.Lambda(lambda t: torch.stack(v2.FiveCrop(24)(t))),
        "pad": v2.Pad(3, padding_mode="reflect"),
    }
    return {name: transform(x) for name, transform in transforms.items()}


def v2_colour(task: Any) -> Results:
    x = task.images[:4]
    transforms = {
        "grey": v2.Grayscale(3),
        "jitter": v2.ColorJitter(0.4, 0.4, 0.4, 0.1),
        "posterize": v2.RandomPosterize(3, p=1.0),
        "solarize": v2.RandomSolarize(100, p=1.0),
        "sharpness": v2.RandomAdjustSharpness(2.0, p=1.0),
        "contrast": v2.RandomAutocontrast(p=1.0),
        "equalize": v2.RandomEqualize(p=1.0),
        "invert": v2.RandomInvert(p=1.0),
        "blur": v2.GaussianBlur(3),
        "channels": v2.RandomChannelPermutation(),
        "photometric": v2.RandomPhotometricDistort(p=1.0),
        "scaled": v2.ToDtype(torch.float32, scale=True),
        "noise": v2.Compose([v2.ToDtype(torch.float32, scale=True), v2.GaussianNoise()]),
    }
    return {name: transform(x) for name, transform in transforms.items()}


def v1_transforms(task: Any) -> Results:
    from torchvision import transforms

    change = transforms.Compose(
        [
            transforms.RandomCrop(32, padding=4),
            transforms.RandomHorizontalFlip(),
            transforms.ConvertImageDtype(torch.float32),
            transforms.Normalize((0.5, 0.5, 0.5), (0.2, 0.2, 0.2)),
            transforms.RandomErasing(0.5),
        ]
    )
    return _each(task, change)


def transforms_as_modules(task: Any) -> Results:
    model = torch.nn.Sequential(
        v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.5] * 3, [0.2] * 3), small_cnn()
    )
    return {"out": model(task.images[:4])}
