"""Values that the program reads: numbers, texts, decisions."""

import io
import math
from contextlib import redirect_stdout
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .networks import normalized, number

Results = dict[str, Tensor]


def numbers(task: Any) -> Results:
    x = normalized(task.images[:8])
    total = torch.tensor(0.0)
    total += x.mean()
    values = [
        x.mean().item(), *x[0, 0, 0, :4].tolist(), bool((x > 0).any()), int(task.labels[0]), float(x.std()),
        (x.flatten(1).argmax(1) == task.labels[:8]).float().mean().item(), torch.equal(x, x), torch.allclose(x, x + 1e-9),
        total.item(), x.max().item() > 0, round(x.sum().item(), 3), int(x.argmax()), math.sqrt(x.var()), complex(x.sum()).real,
        len(x), x.shape[1], x.sum() > 0, max(task.labels[:5]),
    ]  # fmt: skip
    return {"values": torch.tensor([float(v) for v in values], dtype=torch.float64), "total": total}


def numbers_of_every_dtype(task: Any) -> Results:
    """The kind of number, and the extremes of its dtype."""
    x = normalized(task.images[:8]).sum()
    floats = (torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64, torch.complex128)
    integers = (torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
    values = [
        value.item() for dtype in (*floats, *integers) for value in (x.to(dtype), -x.to(dtype).real.float())
    ]
    values += [(x / zero).item() for zero in (0.0, -0.0)] + [
        (x * math.inf * 0).item(),
        (x.long() * 0 + torch.iinfo(torch.int64).min).item(),
    ]
    values += [torch.view_as_real(x + 1j * x)[1].item(), torch.complex(x, x).conj().imag.item()]
    return {f"{place}{type(value).__name__}": torch.tensor(value) for place, value in enumerate(values)}


def texts(task: Any) -> Results:
    x = normalized(task.images[:2])
    lines = [
        repr(x.std()), f"{x.sum():.4f}", str(x[0, 0, 0, :3]), f"{task.labels[0]}", "{:.3f}".format(x.mean()), f"{x.mean().item():6.2f}",
        str(x.shape), str(x.dtype), repr(torch.Size([1, 2])), str(torch.tensor([1, 2])), repr(torch.nn.Parameter(torch.ones(2))),
        repr(torch.ones(1, requires_grad=True) * 2), f"{x.mean():>10.3e}", str(torch.tensor(True)), format(x.max(), ".2f"),
    ]  # fmt: skip
    return {str(i): torch.tensor(list(line.encode())) for i, line in enumerate(lines)}


def printing(task: Any) -> Results:
    stream = io.StringIO()
    with redirect_stdout(stream):
        print("loss", torch.tensor(0.25), torch.ones(3) / 3)
    return {"text": torch.tensor(list(stream.getvalue().encode()))}


def decisions(task: Any) -> Results:
    x = torch.ones(())
    steps = 0
    while x < 100:
        x = x * 1.7
        steps += 1
    best = None
    for value in torch.rand(5):
        if best is None or value > best:
            best = value
    assert best is not None
    if task.labels[0] == task.labels[1]:
        x = -x
    return {"x": x, "steps": number(steps), "best": best, "any": number(any(v > 0.5 for v in torch.rand(3)))}


def counters(task: Any) -> Results:
    """Numbers in tensors that depend on no data."""
    n = torch.zeros(())
    for _ in range(5):
        n += 1
    m = torch.tensor(3)
    lr = torch.tensor(0.1, dtype=torch.float64)
    lr.mul_(0.5)
    view = n.view(1)
    view.mul_(2)
    copied = torch.tensor(1.0)
    copied.copy_(n)
    other = copied.detach()
    other += 1
    filled = torch.zeros(())
    torch._foreach_add_([filled, n], 1)
    values = [
        n.item(),
        m.item(),
        lr.item(),
        copied.item(),
        other.item(),
        filled.item(),
        (m**2).item(),
        int(m),
    ]
    return {"values": torch.tensor(values, dtype=torch.float64), "n": n, "copied": copied}


def early_stopping(task: Any) -> Results:
    best, patience, history = math.inf, 0, []
    for epoch in range(10):
        loss = (task.images[epoch].float().mean() / 255).item()
        history.append(loss)
        if loss < best:
            best, patience = loss, 0
        else:
            patience += 1
        if patience == 2:
            break
    return {"history": torch.tensor(history), "best": number(best)}


def values_from_numpy(task: Any) -> Results:
    a = torch.from_numpy(np.arange(6, dtype=np.float32))
    b = torch.tensor(np.float64(0.5))
    c = torch.as_tensor(np.array([[1, 2], [3, 4]]).T)
    d = torch.ones(2) * np.float32(2.5)
    return {
        "sum": normalized(task.images[0, 0, :6, 0]) + a, "a": a + 1, "b": b * 2, "c": c, "d": d, "list": torch.tensor([1, 2, 3]) * 2,
        "product": torch.ones(3) * np.float64(0.3), "index": torch.arange(9)[np.array([1, 4])], "int": torch.zeros(np.int64(3)),
        "strided": torch.from_numpy(np.arange(10.0)[::3].copy()), "mask": torch.arange(3)[torch.from_numpy(np.array([True, False, True]))],
    }  # fmt: skip


def confusion_matrix(task: Any) -> Results:
    predicted = (task.labels + torch.arange(len(task.labels))) % 10
    matrix = torch.zeros(10, 10, dtype=torch.long)
    matrix.index_put_((task.labels, predicted), torch.ones_like(predicted), accumulate=True)
    accuracy = matrix.diag().sum() / matrix.sum()
    return {"matrix": matrix, "accuracy": accuracy, "recall": matrix.diag() / matrix.sum(1).clamp(min=1)}


def top_k_accuracy(task: Any) -> Results:
    scores = torch.randn(64, 10)
    _, places = scores.topk(5, 1)
    hits = places.t().eq(task.labels[:64].view(1, -1).expand(5, -1))
    return {f"top{k}": hits[:k].reshape(-1).float().sum() * (100 / 64) for k in (1, 3, 5)}
