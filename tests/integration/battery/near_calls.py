"""Calls that differ from another in one thing: an argument, a dtype, a layout, a lazy bit, a class of floats."""

import math
import random
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

Results = dict[str, Tensor]
_Call = Callable[[], Any]
_ROUNDS = 3


def _made_again(calls: list[_Call]) -> Results:
    """The last results of calls that are made several times, in an order that is another each time."""
    found: Results = {}
    for _ in range(_ROUNDS):
        order = list(enumerate(calls))
        random.shuffle(order)
        for number, call in order:
            made = call()
            parts = list(made) if isinstance(made, list | tuple) else [made]
            found |= {f"{number}.{part}": value for part, value in enumerate(parts)}
    return found


def numbers_beside_tensors(task: Any) -> Results:
    floats, whole, truths = torch.rand(2, 3), torch.arange(6).view(2, 3), torch.rand(2, 3) < 0.5
    numbers = (
        0,
        1,
        2,
        3,
        -1,
        True,
        False,
        0.0,
        -0.0,
        1.0,
        -1.0,
        2.0,
        3.0,
        0.1,
        math.inf,
        -math.inf,
        math.nan,
    )
    calls: list[_Call] = []
    for x in (floats, whole, truths):
        for n in numbers:
            calls += [
                lambda x=x, n=n: x + n,
                lambda x=x, n=n: x * n,
                lambda x=x, n=n: torch.where(truths, x, n),
            ]
            calls += [lambda x=x, n=n: x == n, lambda x=x, n=n: torch.full((2,), n)]
            calls += [lambda n=n: floats.clone().fill_(n), lambda n=n: floats.masked_fill(truths, n)]
    return _made_again(calls)


def optional_numbers(task: Any) -> Results:
    x, y = torch.randn(3, 4), torch.randn(3, 4)
    calls: list[_Call] = [lambda: torch.add(x, y), lambda: torch.sub(x, y)]
    for n in (1, 1.0, 2, 2.0, 0, 0.0, 0.5):
        calls += [lambda n=n: torch.add(x, y, alpha=n), lambda n=n: torch.sub(x, y, alpha=n)]
        calls += [lambda n=n: torch.add(x, 1, alpha=n), lambda n=n: torch.addcmul(x, x, y, value=n)]
        calls += [lambda n=n: torch.clamp(x, n), lambda n=n: torch.clamp(x, max=n)]
        calls += [lambda n=n: torch.clamp(x, 0, n), lambda n=n: torch.clamp(x, 0.0, n)]
        calls += [lambda n=n: torch.std(x, 1, correction=n), lambda n=n: torch.lerp(x, y, n)]
    for slope in (0.01, 0.02, 0.0, 1.0, 2.0):
        calls += [
            lambda s=slope: F.leaky_relu(x, s),
            lambda s=slope: F.elu(x, s),
            lambda s=slope: F.celu(x, s + 1),
        ]
    calls += [lambda: F.leaky_relu(x), lambda: F.elu(x), lambda: F.hardtanh(x), lambda: F.hardtanh(x, -1, 1)]
    calls += [lambda: F.hardtanh(x, -1.0, 2.0), lambda: F.softplus(x), lambda: F.softplus(x, 1, 20)]
    calls += [lambda: F.softplus(x, 1.0, 20.0), lambda: F.softplus(x, 2), lambda: F.softplus(x, threshold=1)]
    calls += [lambda: torch.std(x, 1), lambda: torch.std(x, 1, unbiased=False), lambda: torch.var_mean(x, 0)]
    calls += [lambda: torch.nan_to_num(x), lambda: torch.nan_to_num(x, 0.0), lambda: torch.nan_to_num(x, 1.0)]
    return _made_again(calls)


def dimensions_and_switches(task: Any) -> Results:
    x = torch.randn(2, 3, 4)
    calls: list[_Call] = [
        lambda: x.sum(),
        lambda: x.mean(),
        lambda: torch.cat([x]),
        lambda: torch.cat([x, x]),
    ]
    for dims in (0, 1, -1, 2, (), (0,), (1,), (0, 1), (1, 0), (0, 1, 2)):
        for keep in (False, True):
            calls += [lambda d=dims, k=keep: x.sum(d, k), lambda d=dims, k=keep: x.amax(d, k)]
            calls += [lambda d=dims, k=keep: torch.linalg.vector_norm(x, 2, d or None, k)]
    for order in (1, 1.0, 2, 2.0, 3, 3.0, 0.5, math.inf, -math.inf, 0):
        calls += [lambda p=order: torch.linalg.vector_norm(x, p), lambda p=order: x.norm(p, 1)]
    for dtype in (None, torch.float32, torch.float64, torch.int64):
        calls += [lambda t=dtype: x.sum(dtype=t), lambda t=dtype: torch.cumsum(x, 1, dtype=t)]
        calls += [lambda t=dtype: torch.zeros(2, dtype=t), lambda t=dtype: torch.arange(3, dtype=t)]
        calls += [lambda t=dtype: x.to(t or torch.float16), lambda t=dtype: torch.zeros_like(x, dtype=t)]
    calls += [
        lambda: torch.arange(3),
        lambda: torch.arange(3.0),
        lambda: torch.arange(0, 3),
        lambda: torch.arange(0, 3, 2),
    ]
    calls += [
        lambda: x.split(1),
        lambda: x.split([1, 1]),
        lambda: x.chunk(2, 1),
        lambda: x.unbind(0),
        lambda: x.unbind(2),
    ]
    calls += [lambda: torch.cat([x, x], 1), lambda: torch.stack([x, x]), lambda: torch.stack([x, x], 3)]
    calls += [lambda: F.gelu(x), lambda: F.gelu(x, approximate="none"), lambda: F.gelu(x, approximate="tanh")]
    calls += [lambda m=mode: torch.div(x, 0.3, rounding_mode=m) for mode in (None, "floor", "trunc")]
    calls += [
        lambda: x.flip(0),
        lambda: x.flip([0, 1]),
        lambda: x.roll(1),
        lambda: x.roll(1, 0),
        lambda: x.roll([1], [1]),
    ]
    calls += [
        lambda: x.sort(1),
        lambda: x.sort(1, descending=True),
        lambda: x.sort(stable=True),
        lambda: x.topk(2),
    ]
    calls += [
        lambda: x.max(1),
        lambda: x.max(1, True),
        lambda: x.max(),
        lambda: x.argmax(),
        lambda: x.argmax(1),
    ]
    calls += [lambda: F.pad(x, (1, 1)), lambda: F.pad(x, (1, 0)), lambda: F.pad(x, (1, 1), value=1.0)]
    calls += [
        lambda: x.cumsum(0),
        lambda: x.cumsum(1),
        lambda: x.clone(),
        lambda: x.contiguous(),
        lambda: x.to("cpu"),
    ]
    return _made_again(calls)


def layouts_and_bits(task: Any) -> Results:
    x, z = torch.randn(4, 4), torch.randn(4, 4, dtype=torch.complex64)
    kinds = [
        x,
        x.t(),
        x[::2].repeat(2, 1),
        x[:, 1:],
        x.expand(2, 4, 4)[0],
        x.double(),
        x.half(),
        x.long(),
        x > 0,
    ]
    lazy = [z, z.conj(), z.t(), z.conj().t(), z.resolve_conj(), z.imag, z.conj().imag, z.real, z.conj().real]
    calls: list[_Call] = []
    for one in kinds:
        calls += [lambda a=one: a * 2, lambda a=one: a + a, lambda a=one: a.sum(), lambda a=one: a.view_as(a)]
        calls += [
            lambda a=one: a[0],
            lambda a=one: a[1:],
            lambda a=one: a.reshape(-1),
            lambda a=one: a.transpose(0, 1),
        ]
    for one in lazy:
        calls += [lambda a=one: a * 2, lambda a=one: a + a, lambda a=one: a.sum(), lambda a=one: a.detach()]
        calls += [
            lambda a=one: a.t(),
            lambda a=one: a.clone(),
            lambda a=one: a.view(-1) if a.is_contiguous() else a,
        ]
    calls += [
        lambda: z.conj().detach() * 1,
        lambda: z.conj().imag.detach() * 1,
        lambda: (z * 1j).conj(),
        lambda: z @ z.mH,
    ]
    return _made_again(calls)


def tensors_that_may_be_missing(task: Any) -> Results:
    x, one, scale = torch.randn(4, 3), torch.ones(3), torch.rand(3)
    mean, var = torch.zeros(3), torch.ones(3)
    calls: list[_Call] = []
    for weight in (None, one, scale):
        for bias in (None, one, scale):
            calls += [lambda w=weight, b=bias: F.layer_norm(x, (3,), w, b)]
            calls += [lambda w=weight, b=bias: F.batch_norm(x, mean, var, w, b, False)]
            calls += [lambda w=weight, b=bias: F.batch_norm(x, None, None, w, b, True)]
            calls += [lambda w=weight, b=bias: F.batch_norm(x, mean, var, w, b, True, 0.1, 1e-5)]
            calls += [lambda w=weight, b=bias: F.batch_norm(x, mean, var, w, b, True, 0.2, 1e-3)]
        calls += [lambda w=weight: F.cross_entropy(x, torch.tensor([0, 1, 2, 0]), w)]
        calls += [lambda w=weight: F.linear(x, torch.ones(3, 3), w)]
    rows, columns = torch.tensor([0, 1]), torch.tensor([1, 2])
    calls += [
        lambda: x[rows],
        lambda: x[:, columns],
        lambda: x[rows, columns],
        lambda: x[None, rows],
        lambda: x[x > 0],
    ]
    calls += [lambda: x[rows].clone().index_put_((rows,), one), lambda: x.index_select(0, rows)]
    for list_ in ([x], [x, x * 2], [x, one]):
        calls += [lambda v=list_: torch._foreach_add(v, 1), lambda v=list_: torch._foreach_add(v, 1.0)]
        calls += [
            lambda v=list_: torch._foreach_mul(v, [0.5] * len(v)),
            lambda v=list_: torch._foreach_mul(v, v),
        ]
        calls += [lambda v=list_: torch._foreach_norm(v), lambda v=list_: torch._foreach_norm(v, 1)]
    return _made_again(calls)


def draws(task: Any) -> Results:
    x, own = torch.rand(3, 4), torch.Generator().manual_seed(3)
    calls: list[_Call] = []
    for generator in (None, own):
        calls += [
            lambda g=generator: torch.randn(3, generator=g),
            lambda g=generator: torch.randperm(5, generator=g),
        ]
        calls += [
            lambda g=generator: torch.bernoulli(x, generator=g),
            lambda g=generator: torch.randint(3, (2,), generator=g),
        ]
        calls += [lambda g=generator: torch.empty(3).normal_(0, 1, generator=g)]
        calls += [lambda g=generator: torch.empty(3).normal_(0.5, 2.0, generator=g)]
        calls += [lambda g=generator: torch.empty(3).uniform_(generator=g)]
        calls += [lambda g=generator: torch.empty(3).uniform_(-1, 1, generator=g)]
    for p in (0.0, 0.1, 0.5, 1.0):
        calls += [
            lambda p=p: F.dropout(x, p),
            lambda p=p: F.dropout(x, p, False),
            lambda p=p: torch.empty(3).bernoulli_(p),
        ]
    return _made_again(calls)


def inside_other_settings(task: Any) -> Results:
    x = torch.randn(3, 3)
    grown = torch.randn(3, 3, requires_grad=True)

    def under(context: Any, call: _Call) -> Any:
        with context:
            return call()

    def in_double(call: _Call) -> Any:
        torch.set_default_dtype(torch.float64)
        try:
            return call()
        finally:
            torch.set_default_dtype(torch.float32)

    calls: list[_Call] = []
    for make in (
        lambda: x * 2,
        lambda: x.view(9),
        lambda: x.t() + 1,
        lambda: torch.zeros(2),
        lambda: grown * x,
    ):
        calls += [
            make,
            lambda f=make: under(torch.inference_mode(), f),
            lambda f=make: under(torch.no_grad(), f),
        ]
        calls += [lambda f=make: in_double(f), lambda f=make: under(torch.inference_mode(False), f)]
        calls += [lambda f=make: under(torch.autocast("cpu", torch.bfloat16), f)]
    with torch.inference_mode():
        inside = torch.randn(3, 3)
        whole = inside.t()
    calls += [lambda: inside * 2, lambda: inside.t() * 2, lambda: whole[0] * 1, lambda: inside.detach() * 1]
    calls += [
        lambda: under(torch.inference_mode(), lambda: inside.t()) * 2,
        lambda: in_double(lambda: torch.arange(3.0)),
    ]
    calls += [
        lambda: torch.autograd.grad((grown * grown).sum(), grown),
        lambda: torch.func.vmap(torch.dot)(x, x),
    ]
    return _made_again(calls)


def values_that_are_known(task: Any) -> Results:
    found: Results = {}
    for start in (0, 0.0, 1, 1.0, True):
        step = torch.tensor(start)
        for _ in range(_ROUNDS):
            step = step + 1
            step += 1
            step.mul_(2)
        other = torch.tensor(0.5) * step
        torch._foreach_add_([step, other], 1)
        found |= {f"{start!r}.step": step, f"{start!r}.number": torch.tensor(step.item() + other.item())}
    plain = torch.zeros(())
    for _ in range(_ROUNDS):
        view = plain.view(1)
        view += 1
        plain += plain.item()
    return found | {"seen": plain, "length": torch.tensor(len(found))}


def errors_in_between(task: Any) -> Results:
    x = torch.randn(2, 3)
    wrong: list[Callable[[Tensor], Tensor]] = [
        lambda x: x @ x,
        lambda x: x.view(5),
        lambda x: x[:, 7],
        lambda x: torch.cat([x, x.long().t()]),
        lambda x: x.sum(5),
        lambda x: torch.ops.aten.slice.Tensor(x, 0, 0, 2, 0),
        lambda x: torch.ops.aten.slice.Tensor(x, 0, 0, 2, -1),
    ]
    said = 0
    for _ in range(_ROUNDS):
        for call in wrong:
            x = x + 1
            try:
                call(x)
            except (RuntimeError, IndexError) as error:
                said += len(str(error)) > 0
    return {"x": x, "said": torch.tensor(said)}


def calls_drawn_at_random(task: Any) -> Results:
    """Each with arguments from a short list, so that near ones follow each other in every order."""
    numbers: list[Any] = [0, 1, 2, True, 0.0, 1.0, 2.0, 0.25, -1.0, None]
    tensors = [
        torch.rand(2, 2),
        torch.rand(2, 2).t(),
        torch.arange(4).view(2, 2),
        torch.rand(1, 2),
        torch.rand(2, 2) < 0.5,
    ]
    kinds: list[Callable[[Any, Any, Any], Any]] = [
        lambda a, b, n: a + b,
        lambda a, b, n: torch.add(a.float(), b, alpha=1 if n is None else n * 1),
        lambda a, b, n: a.clamp(n, 1),
        lambda a, b, n: a.sum() if n is None else a * n,
        lambda a, b, n: a.double().std(-1, correction=0.5 if n is None else n * 0.25),
        lambda a, b, n: F.leaky_relu(a.float()) if n is None else F.leaky_relu(a.float(), n),
        lambda a, b, n: torch.where(a > 0, b, 0 if n is None else n),
        lambda a, b, n: a.masked_fill(b > 0, 0 if n is None else n),
    ]
    total = torch.zeros((), dtype=torch.float64)
    failed = 0
    for _ in range(600):
        one, two = random.choice(tensors), random.choice(tensors)
        try:
            made = random.choice(kinds)(one, two, random.choice(numbers))
        except (RuntimeError, TypeError):
            failed += 1
            continue
        total += made.nan_to_num().double().sum()
    return {"total": total, "failed": torch.tensor(failed)}
