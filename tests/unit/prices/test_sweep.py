"""Everything torch's own database of operators and optimizers runs is priced, or refused with a reason."""

import itertools
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils._pytree import tree_leaves

import haet_eval.counting.prices  # noqa: F401  (binds the prices)
from haet_eval.counting.prices.evaluate import price_of
from haet_eval.counting.prices.refusals import refusal
from haet_eval.counting.prices.table import NoPrice, lookup
from haet_eval.counting.signature import Signature
from tests.oracle.recording import Recording, record

FEWEST_PRICED = 650

FLOAT_SAMPLES = 2
OTHER_DTYPES = (torch.int64, torch.bool, torch.complex64)

CUDA_ONLY = "jiterator"
SPARSE = ("sparse.", "to_sparse")  # no strides, hence no signature
PROFILER = "profiler."
WITHOUT_OUT = {"equal", "_batch_norm_with_update", "histogramdd"}
WITHOUT_IN_PLACE = {"float_power"}  # the result is float64
SPARSE_OPTIMIZERS = {"SparseAdam"}


@pytest.fixture(scope="module")
def met() -> dict[str, list[Signature]]:
    """Every overload met, with the distinct signatures it was called with."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    recording = Recording()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _sweep_operators(recording)
        _sweep_optimizers(recording)
    torch.set_num_threads(threads)
    found: dict[str, list[Signature]] = {}
    for signature in _of_tensors(recording.signatures):
        found.setdefault(signature.operator, []).append(signature)
    return found


def _of_tensors(signatures: list[Signature]) -> Iterator[Signature]:
    return (signature for signature in signatures if not signature.operator.startswith(PROFILER))


def _sweep_operators(recording: Recording) -> None:
    from torch.testing._internal.common_methods_invocations import op_db

    operator: Any
    for operator in op_db:
        if operator.name.startswith((CUDA_ONLY, *SPARSE)):
            continue
        supported = operator.supported_dtypes("cpu")
        if torch.float32 in supported:
            _run_float(recording, operator)
        for dtype in OTHER_DTYPES:
            if dtype in supported:
                for sample in itertools.islice(_samples(operator, dtype), 1):
                    with recording:
                        operator(sample.input, *sample.args, **sample.kwargs)


def _run_float(recording: Recording, operator: Any) -> None:
    samples = _samples(operator, torch.float32, requires_grad=operator.supports_autograd)
    for sample in itertools.islice(samples, FLOAT_SAMPLES):
        with recording:
            _backward(operator(sample.input, *sample.args, **sample.kwargs), sample)
    first = next(_samples(operator, torch.float32))
    if operator.inplace_variant is not None and operator.name not in WITHOUT_IN_PLACE:
        target = first.input.clone()
        with recording:
            operator.inplace_variant(target, *first.args, **first.kwargs)
    if operator.supports_out and operator.name not in WITHOUT_OUT:
        out = operator(first.input, *first.args, **first.kwargs)
        with recording:
            operator(first.input, *first.args, **first.kwargs, out=out)


def _samples(operator: Any, dtype: torch.dtype, *, requires_grad: bool = False) -> Iterator[Any]:
    """Sample inputs; `sample_inputs` itself looks through the stack of the test for each of them."""
    return iter(operator.sample_inputs_func(operator, "cpu", dtype, requires_grad))


def _backward(outputs: Any, sample: Any) -> None:
    results = _differentiable(outputs)
    inputs = _differentiable((sample.input, sample.args, sample.kwargs))
    if results and inputs:
        gradients = [torch.ones_like(result) for result in results]
        torch.autograd.grad(results, inputs, gradients, allow_unused=True)


def _differentiable(tree: Any) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor) and leaf.requires_grad]


def _sweep_optimizers(recording: Recording) -> None:
    from torch.testing._internal.common_optimizers import optim_db

    optimizer: Any
    for optimizer in optim_db:
        if optimizer.optim_cls.__name__ in SPARSE_OPTIMIZERS:
            continue
        for variant in optimizer.optim_inputs_func(device="cpu"):
            for implementation in _implementations(optimizer):
                _take_two_steps(recording, optimizer.optim_cls, {**variant.kwargs, **implementation})


def _implementations(optimizer: Any) -> Iterator[dict[str, bool]]:
    foreach = "foreach" in optimizer.supported_impls
    yield {"foreach": False} if foreach else {}
    if foreach:
        yield {"foreach": True}
    if "cpu" in optimizer.supports_fused_on:
        yield {"fused": True}


def _take_two_steps(recording: Recording, optimizer: Any, options: dict[str, Any]) -> None:
    if options.get("foreach") and isinstance(options.get("lr"), torch.Tensor):
        return  # torch wants a CUDA graph for that
    parameters = [torch.randn(3, 2, requires_grad=True) for _ in range(2)]
    for parameter in parameters:
        parameter.grad = torch.randn(3, 2)
    with recording:
        steps = optimizer(parameters, **options)
        for _ in range(2):
            steps.step(lambda: parameters[0].square().sum())


def test_every_overload_is_priced_or_refused_with_a_reason(met: dict[str, list[Signature]]) -> None:
    silent = sorted(name for name in met if lookup(name) is None and refusal(name) is None)
    assert not silent, f"neither priced nor refused: {silent}"


def test_nothing_is_both_priced_and_refused(met: dict[str, list[Signature]]) -> None:
    assert not [name for name in met if lookup(name) is not None and refusal(name) is not None]


def test_the_table_is_wide(met: dict[str, list[Signature]]) -> None:
    assert sum(lookup(name) is not None for name in met) >= FEWEST_PRICED


def test_every_price_met_is_a_whole_number(met: dict[str, list[Signature]]) -> None:
    for name, signatures in met.items():
        price = lookup(name)
        if price is None:
            continue
        for signature in signatures:
            try:
                operations = price(signature)
            except NoPrice:
                assert any("complex" in str(meta) for meta in (signature.arguments, signature.outputs)), (
                    signature
                )
                continue
            assert type(operations) is int, signature
            assert operations >= 0, signature


def _convolutional() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 8, 3, groups=2),
        nn.GroupNorm(2, 8),
        nn.SiLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.1),
        nn.Linear(8, 10),
    )


class _Transformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 4, 4)
        self.places = nn.Parameter(torch.zeros(1, 4, 16))
        self.encoder = nn.TransformerEncoderLayer(16, 2, 32, 0.1, "gelu", batch_first=True)
        self.head = nn.Linear(16, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        tokens = self.patches(images).flatten(2).transpose(1, 2) + self.places
        attended = nn.functional.scaled_dot_product_attention(tokens, tokens, tokens)
        scores: torch.Tensor = self.head(self.encoder(attended).mean(1))
        return scores


def _train(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    images = torch.randint(0, 256, (4, 3, 8, 8), dtype=torch.uint8)
    labels = torch.randint(0, 10, (4,))
    order = torch.randperm(4)
    for _ in range(2):
        batch = images[order].float().div(255).sub(0.5)
        batch = torch.where(torch.rand(4, 1, 1, 1) < 0.5, batch.flip(-1), batch)
        batch = nn.functional.pad(batch, (1, 1, 1, 1), mode="reflect")[..., 1:9, 1:9]
        loss = nn.functional.cross_entropy(model(batch), labels[order], label_smoothing=0.1)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    with torch.no_grad():
        (model.eval()(images.float()).argmax(1) == labels).float().mean()


def test_ordinary_training_meets_no_refused_operator() -> None:
    def programs() -> None:
        network, transformer = _convolutional(), _Transformer()
        _train(network, torch.optim.SGD(network.parameters(), 0.1, 0.9, weight_decay=5e-4, nesterov=True))
        _train(transformer, torch.optim.AdamW(transformer.parameters(), 1e-3))

    for signature in _of_tensors(record(programs)):
        assert refusal(signature.operator) is None, signature.operator
        assert price_of(signature) is not None, signature.operator
