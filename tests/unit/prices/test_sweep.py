"""Everything torch's own database of operators and optimizers runs is priced, or refused with a reason."""

import pytest
import torch
from torch import nn

from haet_eval.operators.pricing.evaluate import price_of
from haet_eval.operators.refusals import unpriced
from haet_eval.operators.signature import Signature
from haet_eval.operators.table import NoPrice, price_function
from tests.oracle.recording import record
from tests.unit.prices.sweep import of_tensors, swept

FEWEST_PRICED = 650


@pytest.fixture(scope="module")
def met() -> dict[str, list[Signature]]:
    return swept()


def test_every_overload_is_priced_or_refused_with_a_reason(met: dict[str, list[Signature]]) -> None:
    silent = sorted(name for name in met if price_function(name) is None and unpriced(name) is None)
    assert not silent, f"neither priced nor refused: {silent}"


def test_nothing_is_both_priced_and_refused(met: dict[str, list[Signature]]) -> None:
    assert not [name for name in met if price_function(name) is not None and unpriced(name) is not None]


def test_the_table_is_wide(met: dict[str, list[Signature]]) -> None:
    assert sum(price_function(name) is not None for name in met) >= FEWEST_PRICED


def test_every_price_is_a_whole_number(met: dict[str, list[Signature]]) -> None:
    for name, signatures in met.items():
        price = price_function(name)
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

    for signature in of_tensors(record(programs)):
        assert unpriced(signature.operator) is None, signature.operator
        assert price_of(signature) is not None, signature.operator
