"""Views, aliases, changes in place, and the corners of the tensor's own methods."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from .networks import normalized, number, small_cnn

Results = dict[str, Tensor]


def aliases_see_each_other(task: Any) -> Results:
    a = torch.zeros(4, 6)
    b, c, d = a.view(6, 4), a[1], a.t()
    c.add_(1)
    b[0, 0] = 5
    d.mul_(2)
    a.diagonal().fill_(7)
    parts = a.split(2)
    parts[1][0].zero_()
    a.unbind(1)[3].sub_(1)
    a.narrow(0, 1, 2).copy_(torch.ones(2, 6))
    a.expand(2, 4, 6)[0, 0, 0] = 9
    return {"a": a, "b": b, "c": c, "d": d}


def gradients_through_changes_in_place(task: Any) -> Results:
    w = torch.randn(3, 3, requires_grad=True)
    z = w * 2
    z[0].mul_(3)
    z.view(9)[4:6].add_(1)
    z.t()[1].mul_(0.5)
    z.diagonal().mul_(2)
    z.sum().backward()  # type: ignore[no-untyped-call]
    assert w.grad is not None
    return {"z": z, "grad": w.grad}


def metadata_in_place(task: Any) -> Results:
    a = torch.arange(6.0).reshape(2, 3)
    b = a.view(3, 2)
    a.t_()
    a.unsqueeze_(0)
    a.mul_(2)
    shapes = [*a.shape, *a.stride()]
    a.squeeze_(0)
    a.transpose_(0, 1)
    a.add_(1)
    a.swapaxes_(0, 1)
    return {"a": a * 1, "b": b, "shapes": torch.tensor(shapes), "contiguous": number(a.is_contiguous())}


def strided_views(task: Any) -> Results:
    a = torch.arange(24.0)
    b = a.as_strided((2, 3), (6, 2), 1)
    b.add_(10)
    c = torch.as_strided(a[4:], (2, 2), (1, 2))
    d = a[2:].as_strided((4, 2), (1, 1), 3)
    w = torch.randn(8, requires_grad=True)
    (w.as_strided((3, 3), (2, 1)) ** 2).sum().backward()  # type: ignore[no-untyped-call]
    assert w.grad is not None
    return {"a": a, "b": b, "c": c, "d": d, "grad": w.grad}


def output_arguments(task: Any) -> Results:
    a, b = torch.ones(3), torch.empty(0)
    torch.add(a, 1, out=a)
    torch.mul(a, 3, out=b)
    c = torch.empty(3, 3)
    torch.matmul(torch.eye(3), torch.rand(3, 3), out=c)
    d = torch.empty(2, 3)
    torch.stack([a, b], out=d)
    e = torch.empty(6)
    torch.cat([a, b], out=e)
    f = torch.empty(3)
    torch.sum(c, 0, out=f)
    g = torch.zeros(4, 3)
    torch.exp(a, out=g[1])
    return {"a": a, "b": b, "c": c, "d": d, "e": e, "f": f, "g": g}


def data_attribute(task: Any) -> Results:
    p = nn.Parameter(torch.ones(3))
    p.data = torch.randn(3)
    p.data.mul_(2)
    p.data[0] = 9
    q = nn.Parameter(torch.ones(4))
    q.data = q.data.new_zeros(2, 5)
    q.data.add_(p.data[0])
    (p * 2).sum().backward()
    assert p.grad is not None
    p.grad.data.zero_()
    r = torch.zeros(3)
    r.data = p.data
    p.data.add_(1)
    return {"p": p, "twice": p * 2, "q": q, "grad": p.grad, "r": r}


def set_to_another_tensor(task: Any) -> Results:
    a, b = torch.zeros(2, 3), torch.rand(4)
    view = a[0]
    a.set_(b)
    a.add_(1)
    return {"a": a, "b": b, "view": view}


def detached_tensors_share_memory(task: Any) -> Results:
    w = torch.ones(3, requires_grad=True)
    d = w.detach()
    with torch.no_grad():
        d.mul_(3)
        w.add_(1)
    e = (w * 2).detach_()
    return {"w": w, "d": d, "e": e, "requires": number(e.requires_grad)}


def swapped_tensors(task: Any) -> Results:
    a, b = torch.zeros(2), torch.ones(2)
    a, b = b, a
    first, second = nn.Linear(2, 2), nn.Linear(2, 2)
    first.weight, second.weight = second.weight, first.weight
    first.weight.data, second.weight.data = second.weight.data, first.weight.data
    return {"a": a, "b": b, "first": first.weight, "second": second.weight}


def copies(task: Any) -> Results:
    a = torch.rand(3, 4).t()
    p = nn.Parameter(torch.rand(2))
    (p * 3).sum().backward()
    q = copy.deepcopy(p)
    shared = {"x": a, "y": [a, a[0].clone()]}
    again = copy.deepcopy(shared)
    again["x"].add_(1)  # type: ignore[union-attr]
    shallow = copy.copy(a)
    shallow.add_(1)
    assert q.grad is None and isinstance(again["y"], list)
    return {
        "a": a, "q": q, "x": again["y"][0], "strides": torch.tensor(copy.deepcopy(a).stride()),
        "clone": a.clone(), "contiguous": a.contiguous(), "is_parameter": number(isinstance(q, nn.Parameter)),
    }  # fmt: skip


def copies_of_views_share_one_storage(task: Any) -> Results:
    a = torch.arange(6.0)
    b = copy.deepcopy({"whole": a, "part": a[2:4]})
    b["whole"].zero_()
    return b


def shapes_and_strides(task: Any) -> Results:
    x = normalized(task.images[:2])
    y = x.to(memory_format=torch.channels_last)
    z = y.permute(0, 2, 3, 1)
    kinds = [y.is_contiguous(), y.is_contiguous(memory_format=torch.channels_last), z.is_contiguous()]
    numbers = [*y.stride(), *z.stride(), *kinds, x.numel(), x.nelement(), x.dim(), x.element_size(), x.nbytes]
    return {
        "y": y, "z": z, "numbers": torch.tensor([int(n) for n in numbers]), "flat": z.reshape(2, -1),
        "view": z.view(2, 32, 96), "unflat": z.unflatten(1, (4, 8)), "ravel": y.ravel(), "like": torch.zeros_like(y),
        "sum": (y + y).contiguous(), "squeezed": x[:1].squeeze(), "as": x.view_as(x), "expanded": x[0, 0].expand_as(x),
        "swapped": x.swapdims(1, 2), "bits": x[0, 0].view(torch.int32),
    }  # fmt: skip


def types_and_conversions(task: Any) -> Results:
    x = normalized(task.images[:1])[0, 0]
    return {
        "double": x.double(), "half": x.half(), "bfloat16": x.bfloat16(), "long": (x * 9).long(), "bool": x.bool(),
        "byte": (x.abs() * 20).byte(), "type": x.type(torch.float64), "type_as": task.labels.type_as(x), "to": x.to("cpu"),
        "other": task.labels.to(x), "int": x.int(), "char": x.char(), "short": x.short(), "complex": x.to(torch.complex64),
        "cpu": x.cpu(), "names": x.type("torch.DoubleTensor"), "clone": x.to(torch.float32, copy=True),
        "new": x.new_tensor([1, 2]), "full": x.new_full((2,), 3), "tensor": torch.tensor([[1.5, 2]], dtype=torch.half),
        "as_tensor": torch.as_tensor([1, 2, 3]), "scalar": torch.tensor(3), "from_bool": torch.tensor([True, False]),
    }  # fmt: skip


def factories(task: Any) -> Results:
    return {
        "arange": torch.arange(5), "arange_float": torch.arange(0, 1, 0.25), "linspace": torch.linspace(0, 1, 7),
        "logspace": torch.logspace(0, 2, 5), "eye": torch.eye(3, 4), "full": torch.full((2, 2), 7), "ones": torch.ones(2, 3),
        "zeros": torch.zeros(3, dtype=torch.int32), "full_like": torch.full_like(torch.ones(2), 0.5), "range": torch.arange(10, 2, -3),
        "complex": torch.complex(torch.ones(2), torch.zeros(2)), "tri": torch.tril_indices(3, 3), "hann": torch.hann_window(8),
        "hamming": torch.hamming_window(8), "bool": torch.ones(2, dtype=torch.bool), "like": torch.ones_like(task.labels[:3]),
        "empty": torch.empty(3).fill_(2), "strided": torch.empty_strided((2, 2), (1, 2)).zero_(), "kron": torch.kron(torch.eye(2), torch.ones(2)),
        "legacy": torch.FloatTensor([1, 2]), "long": torch.LongTensor([3, 4]), "sized": torch.Tensor(2, 3).zero_(), "new": torch.ones(1).new(2).zero_(),
    }  # fmt: skip


def numbers_that_are_equal_but_not_alike(task: Any) -> Results:
    """1, 1.0, 1 + 0j and True as arguments are different calls."""
    x = torch.arange(3)
    return {str(n): x.new_tensor([0, 1, 2]) * n for n in (1, 1.0, 1 + 0j, True, 2, 2.0)} | {
        f"full {n}": torch.full((2,), n) for n in (1, 1.0, 1 + 0j, True, 0.0, -0.0)
    }


def default_dtype(task: Any) -> Results:
    torch.set_default_dtype(torch.float64)
    x = torch.ones(2) / 3
    found = {
        "x": x,
        "y": torch.tensor([0.1]),
        "z": torch.rand(2),
        "linspace": torch.linspace(0, 1, 3),
        "eye": torch.eye(2),
    }
    torch.set_default_dtype(torch.bfloat16)
    return found | {
        "half": torch.ones(2) / 3,
        "arange": torch.arange(3),
        "full": torch.full((2,), 7),
        "full of floats": torch.full((2,), 0.3),
        "float": torch.arange(0, 1, 0.25),
    }


def identity_and_membership(task: Any) -> Results:
    a, b = torch.ones(2), torch.ones(2)
    mapping = {a: 1, b: 2}
    checks = [
        mapping[a],
        a is a.data,
        a in [a],
        len(a),
        a.is_leaf,
        a.requires_grad,
        a.is_shared() if False else 0,
    ]
    checks += [
        isinstance(a, torch.Tensor),
        torch.is_tensor(a),
        a.is_floating_point(),
        a.is_cuda,
        a.is_sparse,
        a.ndim,
    ]
    checks += [
        a.device.type == "cpu",
        a.layout == torch.strided,
        a.dtype == torch.float32,
        a.grad is None,
        a._version,
    ]
    checks += [
        a.get_device(),
        torch.is_floating_point(a),
        torch.is_nonzero(a[0]),
        a.is_same_size(b),
    ]
    a.add_(1)
    return {"checks": torch.tensor([int(c) for c in checks]), "version": number(a._version)}


def iteration_and_unpacking(task: Any) -> Results:
    x = torch.arange(12.0).reshape(3, 4)
    first, *rest = x
    a, b, c, d = x[1]
    zipped = [p * q for p, q in zip(x, x.flip(0), strict=True)]
    return {
        "first": first,
        "rest": torch.stack(rest),
        "sum": a + b + c + d,
        "zipped": torch.stack(zipped),
        "total": sum(x),
    }  # type: ignore[dict-item]


def operators_of_python(task: Any) -> Results:
    x = torch.arange(1.0, 5)
    y = x.clone()
    y += 1
    y -= 0.5
    y *= x
    y /= 2
    y **= 2
    y //= 3
    y %= 4
    m = torch.eye(4)
    m @= torch.ones(4, 4)
    n = torch.arange(4)
    n <<= 1
    n |= 1
    n ^= 3
    n &= 6
    return {
        "y": y,
        "m": m,
        "n": n,
        "abs": abs(-x),
        "neg": -x,
        "pos": +x,
        "inv": ~n,
        "rpow": 2**x,
        "div": 1 / x,
    }  # type: ignore[call-overload]


def version_counters_guard_autograd(task: Any) -> Results:
    """Changing what backward needs is an error, as it is in plain PyTorch."""
    w = torch.ones(3, requires_grad=True)
    y = w.exp()
    y.add_(1)
    try:
        y.sum().backward()  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        return {"caught": number("modified by an inplace operation" in str(error))}
    return {"caught": number(-1)}


def errors_of_shapes_can_be_caught(task: Any) -> Results:
    found = []
    for attempt in (
        lambda: torch.ones(2, 3) @ torch.ones(2, 3),
        lambda: torch.ones(2) + torch.ones(3),
        lambda: torch.ones(4).view(3),
        lambda: torch.cat([torch.ones(2, 2), torch.ones(3, 3)]),
        lambda: torch.ones(2)[5],
        lambda: torch.ones(2)[:, 0],
        lambda: small_cnn()(torch.ones(1, 4, 32, 32)),
        lambda: torch.ones(2, 2).sum(5),
        lambda: torch.zeros(2, dtype=torch.long).mean(),
        lambda: torch.ones(3).expand(2, 4),
    ):
        try:
            attempt()
        except (RuntimeError, IndexError):
            found.append(1)
        else:
            found.append(0)
    return {"found": torch.tensor(found), "after": torch.ones(2) * 2}


def module_buffers_and_moves(task: Any) -> Results:
    class Counter(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("count", torch.zeros((), dtype=torch.long))
            self.register_buffer("hidden", torch.ones(2), persistent=False)
            self.weight = nn.Parameter(torch.ones(2))

        def forward(self, x: Tensor) -> Tensor:
            self.count += 1
            self.hidden = self.hidden * 0.5
            return x * self.weight + self.hidden

    model = Counter().to("cpu").double().float().train().eval()
    for _ in range(3):
        out = model(torch.ones(2))
    model.to(torch.bfloat16)
    return {"out": out, "count": model.count, "hidden": model.hidden, "weight": model.weight}
