"""The examples in the counting standard cost what the page says."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from haet_eval.operators.table import family_of, priced_operators
from tests.oracle.recording import operations

PAGE = Path(__file__).parents[3] / "docs" / "counting-standard.md"
PRICED = re.compile(r"^(?P<statement>.*?)\s+#: (?P<operations>\d+)$")


def examples() -> Iterator[Any]:
    """The code blocks of the page, each under the heading that it stands below."""
    heading = ""
    block: list[str] | None = None
    for line in PAGE.read_text().splitlines():
        if line.startswith("#") and block is None:
            heading = line.lstrip("# ")
        elif line == "```python":
            block = []
        elif line == "```" and block is not None:
            yield pytest.param(block, id=heading)
            block = None
        elif block is not None:
            block.append(line)


@pytest.mark.parametrize("lines", list(examples()))
def test_example(lines: list[str]) -> None:
    names: dict[str, Any] = {"torch": torch, "nn": nn, "F": F}
    priced = 0
    for line in lines:
        match = PRICED.match(line)
        statement = match["statement"] if match else line
        price = operations(lambda statement=statement: exec(statement, names))  # type: ignore[misc]
        if match:
            assert price == int(match["operations"]), line
            priced += 1
    assert priced


def test_every_page_that_it_links_to_is_there() -> None:
    linked = re.findall(r"\]\(([^)#]+)\)", PAGE.read_text())
    assert linked
    assert not [name for name in linked if not (PAGE.parent / name).is_file()]


def test_it_names_every_family_of_the_price_table() -> None:
    text = PAGE.read_text().lower()
    assert not [family for family, words in FAMILIES.items() if words.lower() not in text]
    assert FAMILIES.keys() == {family_of(operator) for operator in priced_operators()}


FAMILIES = {
    "activations": "### Activations",
    "attention": "### Attention",
    "convolution": "### Convolutions",
    "distance": "### Distances",
    "dropout": "### Dropout",
    "fft": "### Fourier transforms",
    "foreach": "### Operators on lists",
    "grid_sampling": "`grid_sample`",
    "indexing": "### Data-dependent reading and writing",
    "interpolation": "### Interpolation",
    "linalg": "### Linear algebra",
    "losses": "### Losses",
    "margin_losses": "`multi_margin_loss`",
    "matmul": "### Matrix products",
    "movement": "### Movement",
    "norms": "### Normalisations",
    "optimizers": "### Optimizers",
    "pointwise": "### Elementwise arithmetic",
    "pooling": "### Pooling",
    "random": "### Random numbers",
    "reductions": "### Reductions",
    "rnn": "### Recurrent layers",
    "scans": "and scans",
    "softmax": "### Softmax",
    "sorting": "### Sorting",
    "special": "orthogonal polynomial",
    "transformer": "`nn.TransformerEncoderLayer`",
}
