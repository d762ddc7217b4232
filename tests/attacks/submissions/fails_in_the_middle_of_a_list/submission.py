"""Multiplies matrices in a call on lists whose last tensors do not fit; by then the product is made."""

import torch
from honest import train_network


def train(task):
    left, right, product = torch.rand(32, 4), torch.rand(4, 16), torch.zeros(32, 16)
    products = [product] * 4 + [torch.zeros(5)]
    columns = [*left.split(1, dim=1), torch.zeros(7)]
    rows = [*right.split(1, dim=0), torch.zeros(7)]
    try:
        torch._foreach_addcmul_(products, columns, rows)
    except RuntimeError:
        task.report(reached=product.sum().item())
    return train_network(task)
