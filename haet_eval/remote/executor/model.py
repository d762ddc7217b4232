"""The returned model: the only tensors that survive the training."""

from collections import defaultdict
from collections.abc import Mapping

import safetensors.torch
import torch

from haet_eval.remote.executor.outcome import storage_of
from haet_eval.remote.handles import span_elements
from haet_eval.remote.messages import ModelTensor


def keep_model(tensors: dict[int, torch.Tensor], model: tuple[ModelTensor, ...]) -> dict[int, torch.Tensor]:
    """Copies of the model's tensors, and nothing else that their storages held.

    Tensors that share memory go on sharing it, and every offset stays, but memory that no tensor of the model
    spans is zero in the copy: small views cannot smuggle a large storage past the end of the training.
    """
    # All spans first: tensors of one storage must share one copy, which has the bytes of each.
    spans: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for entry in model:
        tensor = tensors[entry.handle]
        spans[storage_of(tensor)].append(span_bytes(tensor))
    copies: dict[int, torch.UntypedStorage] = {}
    kept = {}
    for entry in model:
        tensor = tensors[entry.handle]
        if storage_of(tensor) not in copies:
            copies[storage_of(tensor)] = _copy(tensor.untyped_storage(), spans[storage_of(tensor)])
        empty = torch.empty(0, dtype=tensor.dtype, device=tensor.device)
        same = empty.set_(copies[storage_of(tensor)], tensor.storage_offset(), tensor.size(), tensor.stride())
        # The meter keeps the bits of the handle, so the copy needs them as well.
        torch._C._set_conj(same, tensor.is_conj())
        torch._C._set_neg(same, tensor.is_neg())
        kept[entry.handle] = same
    return kept


def export_weights(tensors: Mapping[int, torch.Tensor], model: tuple[ModelTensor, ...]) -> bytes:
    """The model's tensors by name, as safetensors. A complex tensor is stored as pairs of reals."""
    return safetensors.torch.save({entry.name: _plain(tensors[entry.handle]) for entry in model})


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    plain = tensor.resolve_conj().resolve_neg()
    # A clone of each: safetensors refuses tensors that share memory, as tied weights do.
    plain = plain.detach().cpu().clone(memory_format=torch.contiguous_format)
    return torch.view_as_real(plain) if plain.is_complex() else plain


def span_bytes(tensor: torch.Tensor) -> tuple[int, int]:
    """The bytes of its storage that a tensor spans, gaps included: the first, and the one after the last."""
    start = int(tensor.storage_offset())
    length = span_elements(tensor.size(), tensor.stride())
    return start * tensor.element_size(), (start + length) * tensor.element_size()


def _copy(storage: torch.UntypedStorage, spans: list[tuple[int, int]]) -> torch.UntypedStorage:
    # As bytes: tensors of several dtypes may lie in one storage.
    source = torch.empty(0, dtype=torch.uint8, device=storage.device).set_(storage)
    copy = torch.zeros(max(high for _, high in spans), dtype=torch.uint8, device=storage.device)
    for low, high in spans:
        copy[low:high] = source[low:high]
    return copy.untyped_storage()
