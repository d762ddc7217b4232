"""Reduced precision: autocast, half models."""

from typing import Any

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from .networks import SmallViT, batches, fit, normalized, sgd, small_cnn

Results = dict[str, Tensor]


def _with_autocast(model: nn.Module, task: Any, **options: Any) -> Results:
    optimizer = sgd(model)
    for images, labels in batches(task, 2):
        optimizer.zero_grad()
        with torch.autocast("cpu", **options):
            loss = F.cross_entropy(model(images), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return model.state_dict() | {"loss": loss}


def autocast_bfloat16(task: Any) -> Results:
    return _with_autocast(torchvision.models.resnet18(num_classes=10), task, dtype=torch.bfloat16)


def autocast_transformer(task: Any) -> Results:
    return _with_autocast(SmallViT(), task, dtype=torch.bfloat16)


def autocast_float16(task: Any) -> Results:
    return _with_autocast(small_cnn(), task, dtype=torch.float16)


def autocast_as_decorator_and_off(task: Any) -> Results:
    a, b = torch.randn(4, 4), torch.randn(4, 4)

    @torch.autocast("cpu", dtype=torch.bfloat16)
    def product(x: Tensor, y: Tensor) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            exact = x.float() @ y.float()
        return (x @ y) + exact

    return {"out": product(a, b)}


def model_in_bfloat16(task: Any) -> Results:
    model = small_cnn().to(torch.bfloat16)
    return fit(
        model, sgd(model), task, 2,
        change=lambda x: x.bfloat16(), loss=lambda out, labels: F.cross_entropy(out.float(), labels),
    )  # fmt: skip


def model_in_half_with_float_norms(task: Any) -> Results:
    model = small_cnn().half()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.float()
    return fit(
        model, sgd(model), task, 1, change=lambda x: x.half(), loss=lambda a, b: F.cross_entropy(a.float(), b)
    )


def master_weights(task: Any) -> Results:
    model = small_cnn(0.0).bfloat16()
    masters = [p.detach().clone().float() for p in model.parameters()]
    for images, labels in batches(task, 2):
        F.cross_entropy(model(images.bfloat16()).float(), labels).backward()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            for p, master in zip(model.parameters(), masters, strict=True):
                assert p.grad is not None
                master.sub_(p.grad.float(), alpha=0.1)
                p.copy_(master)
                p.grad = None
    return model.state_dict()


def images_in_half_memory(task: Any) -> Results:
    images = normalized(task.images).half().to(memory_format=torch.channels_last)
    return {"mean": images[:8].float().mean((2, 3)), "flip": images[:4].flip(-1)}


def precision_switches(task: Any) -> Results:
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.benchmark = True
    torch.use_deterministic_algorithms(True)
    try:
        return {"out": torch.randn(5, 5) @ torch.randn(5, 5)}
    finally:
        torch.use_deterministic_algorithms(False)
        torch.set_float32_matmul_precision("highest")
        torch.backends.cudnn.benchmark = False
