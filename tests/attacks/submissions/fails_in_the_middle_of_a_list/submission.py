"""Multiplies matrices in a call on lists whose last tensors do not fit: by then the work on the others is done."""

import torch
from honest import train_network


def train(task):
    left, right, product = torch.rand(32, 4), torch.rand(4, 16), torch.zeros(32, 16)
    columns = [left[:, k : k + 1] for k in range(4)]
    rows = [right[k : k + 1] for k in range(4)]
    misfits = torch.zeros(5), torch.zeros(7), torch.zeros(7)
    products, columns, rows = ([*fits, bad] for fits, bad in zip(([product] * 4, columns, rows), misfits))
    try:
        torch._foreach_addcmul_(products, columns, rows)
    except RuntimeError:
        task.report(reached=product.sum().item())
    return train_network(task)
