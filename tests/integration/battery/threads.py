"""Programs with threads of their own. The order of their calls may be another in each run."""

import threading
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .networks import batches, linear_model, small_cnn

Results = dict[str, Tensor]


def backward_in_threads(task: Any) -> Results:
    models = [small_cnn(0.0), linear_model()]
    losses: dict[int, Tensor] = {}

    def work(place: int) -> None:
        for images, labels in batches(task, 2, 8):
            losses[place] = F.cross_entropy(models[place](images), labels)
            losses[place].backward()  # type: ignore[no-untyped-call]

    threads = [threading.Thread(target=work, args=(place,)) for place in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    grads = {
        f"{i}{k}": p.grad for i, m in enumerate(models) for k, p in m.named_parameters() if p.grad is not None
    }
    return grads | {f"loss{place}": loss for place, loss in losses.items()}


def tensors_made_in_a_thread(task: Any) -> Results:
    found: Results = {}

    def work() -> None:
        found["out"] = torch.ones(2, 2) @ torch.arange(4.0).reshape(2, 2) + torch.rand(2)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return found
