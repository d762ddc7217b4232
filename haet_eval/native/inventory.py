"""The numbers that a module on plain tensors stores, and its weights, exported as in a counted run."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch.nn.parallel import DistributedDataParallel

from haet_eval.counting.parameters import StoredTensor, count_parameters
from haet_eval.native.messages import ModelOffered
from haet_eval.remote.client.returned import module_or_mistake
from haet_eval.remote.executor.model import export_weights, span_bytes
from haet_eval.remote.executor.outcome import storage_of
from haet_eval.remote.messages import ModelTensor

ModelOrigin = Literal["checkpoint", "returned", "last_checkpoint"]


@dataclass(frozen=True, slots=True)
class Weights:
    """A module's weights as safetensors, and how many numbers of each role it stores."""

    content: bytes
    trainable: int
    frozen: int
    buffers: int

    def described(self, origin: ModelOrigin) -> ModelOffered:
        """The message that announces them."""
        return ModelOffered(
            origin=origin,
            sha256=hashlib.sha256(self.content).hexdigest(),
            weights_bytes=len(self.content),
            trainable=self.trainable,
            frozen=self.frozen,
            buffers=self.buffers,
        )


def bare_module(model: Any) -> torch.nn.Module:
    """The module itself, without the wrapper of distributed training; raises as `module_or_mistake` does."""
    if isinstance(model, DistributedDataParallel):
        return bare_module(model.module)
    return module_or_mistake(model)


def weights_of(model: torch.nn.Module) -> Weights:
    """Export the module's parameters and buffers, and count them, each stored number once."""
    found = list(_tensors(model))
    count = count_parameters(_stored(tensor, entry.role) for entry, tensor in found)
    content = export_weights(
        {entry.handle: tensor for entry, tensor in found}, tuple(entry for entry, _ in found)
    )
    return Weights(content, count.trainable, count.frozen, count.buffers)


def _tensors(model: torch.nn.Module) -> Iterator[tuple[ModelTensor, torch.Tensor]]:
    # A tensor with two names has both in the file, as in a counted run. `count_parameters` counts its numbers
    # once.
    parameters = model.named_parameters(remove_duplicate=False)
    buffers = model.named_buffers(remove_duplicate=False)
    roles: list[tuple[Any, Callable[[torch.Tensor], str]]] = [
        (parameters, lambda parameter: "trainable" if parameter.requires_grad else "frozen"),
        (buffers, lambda _: "buffer"),
    ]
    number = 0
    for named, role in roles:
        for name, tensor in named:
            number += 1
            yield ModelTensor.model_validate({"name": name, "handle": number, "role": role(tensor)}), tensor


def _stored(tensor: torch.Tensor, role: str) -> StoredTensor:
    start, end = span_bytes(tensor)
    # A complex number is two stored numbers.
    item_bytes = tensor.element_size() // (2 if tensor.is_complex() else 1)
    return StoredTensor(storage_of(tensor), start, end, item_bytes, role)
