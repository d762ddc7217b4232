"""The bytes of tensors, before and after a call."""

from collections.abc import Iterable, Mapping, Sequence

import torch


def bytes_of(tensors: Iterable[torch.Tensor]) -> dict[int, bytes]:
    """The contents of each storage that one of these tensors lies in, by its identity."""
    storages = {tensor.untyped_storage()._cdata: tensor.untyped_storage() for tensor in tensors}
    return {number: _bytes(storage) for number, storage in storages.items()}


def changed_outside(
    before: Mapping[int, bytes], after: Mapping[int, bytes], written: Sequence[torch.Tensor]
) -> list[int]:
    """The storages of which bytes have changed that lie in none of the tensors `written`."""
    return [
        number
        for number, content in before.items()
        if number in after and after[number] != content and _differ(content, after[number], number, written)
    ]


def _differ(before: bytes, after: bytes, number: int, written: Sequence[torch.Tensor]) -> bool:
    if len(before) != len(after):
        return True
    old, new = (torch.frombuffer(bytearray(content), dtype=torch.uint8) for content in (before, after))
    outside = torch.ones(len(before), dtype=torch.bool)
    for tensor in written:
        if tensor.untyped_storage()._cdata == number:
            _cover(outside, tensor)
    return bool(((old != new) & outside).any())


def _cover(outside: torch.Tensor, tensor: torch.Tensor) -> None:
    """Take the bytes of a tensor's elements, gaps not included, out of a mask over its storage."""
    size = tensor.element_size()
    whole = len(outside) // size * size
    elements = outside[:whole].view(-1, size)
    place = elements.as_strided(
        (*tensor.shape, size),
        (*(step * size for step in tensor.stride()), 1),
        int(tensor.storage_offset()) * size,
    )
    place.fill_(False)


def _bytes(storage: torch.UntypedStorage) -> bytes:
    if not storage.nbytes():
        return b""
    return bytes(torch.empty(0, dtype=torch.uint8).set_(storage).numpy().tobytes())
