"""Every program of the battery does through handles what it does without them, to the last bit."""

import importlib
import re
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec

import pytest
import torch
from _pytest.mark.structures import ParameterSet

from tests.fixtures.compiled import client, compiled_or_skip
from tests.integration.battery.pair import (
    FORGETFUL_CLIENT,
    ThemeRun,
    run_remotely,
    run_theme,
    whole_theme,
)
from tests.integration.battery.running import ERROR, Case, cases

THEMES = (
    "augmentation",
    "autocast",
    "functional",
    "indexing",
    "linalg",
    "loaders",
    "loops",
    "models",
    "near_calls",
    "optimizers",
    "quantization",
    "randomness",
    "reading",
    "threads",
    "views",
)
THIRD_PARTY = "third_party"
_ALL_THEMES = (*THEMES, *([THIRD_PARTY] if find_spec("timm") else []))
_ORDERED_BY_CHANCE = "threads"
"""The theme whose calls may come in another order in each run."""

_ROUNDING = 1e-5


def _cases() -> Iterator[tuple[str, str, Case]]:
    for theme in _ALL_THEMES:
        module = importlib.import_module(f"tests.integration.battery.{theme}")
        for name, case in cases(module).items():
            yield theme, name, case


def _parameters() -> list[ParameterSet]:
    return [
        pytest.param(
            theme, name, case, id=f"{theme}-{name}", marks=pytest.mark.slow if theme == THIRD_PARTY else ()
        )
        for theme, name, case in _cases()
    ]


@cache
def run_once(theme: str) -> ThemeRun:
    return run_theme(theme)


@pytest.mark.parametrize(("theme", "name", "case"), _parameters())
def test_bit_identical(theme: str, name: str, case: Case) -> None:
    run = run_once(theme)
    plain, remote = run.of(run.plain, name), run.of(run.remote, name)
    assert ERROR not in plain, _text(plain[ERROR])
    assert ERROR not in remote, _text(remote[ERROR])
    assert plain
    assert plain.keys() == remote.keys()
    rounded = (case.__doc__ or "").startswith("ROUNDED")
    different = [_difference(key, plain[key], remote[key], rounded) for key in plain]
    assert not any(different), "; ".join(filter(None, different))


@pytest.mark.parametrize("theme", THEMES)
def test_every_operator_has_a_price(theme: str) -> None:
    assert run_once(theme).unpriced == frozenset()


@pytest.mark.parametrize("theme", ["near_calls", "views"])
def test_a_table_of_layouts_that_is_cleared_changes_no_result(theme: str) -> None:
    often, seldom = run_remotely(theme, client=FORGETFUL_CLIENT).results, whole_theme(theme).results
    assert often.keys() == seldom.keys()
    assert [key for key in seldom if not _same_bits(seldom[key], often[key])] == []


@pytest.mark.slow
@pytest.mark.parametrize("theme", _ALL_THEMES)
def test_the_compiled_client_sends_the_same_bytes(theme: str) -> None:
    compiled_or_skip()
    python = whole_theme(theme)
    with client("1"):
        compiled = run_remotely(theme)
    assert compiled.results.keys() == python.results.keys()
    assert [key for key in python.results if not _same_bits(python.results[key], compiled.results[key])] == []
    if theme != _ORDERED_BY_CHANCE:
        assert compiled.trace_sha256 == python.trace_sha256
        assert compiled.operations == python.operations
        assert compiled.memory == python.memory
        assert compiled.labels.to_json() == python.labels.to_json()
        assert compiled.output == python.output


def _same_bits(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.dtype == other.dtype and one.shape == other.shape and torch.equal(_bits(one), _bits(other))


def _difference(key: str, plain: torch.Tensor, remote: torch.Tensor, rounded: bool) -> str:
    if plain.dtype != remote.dtype or plain.shape != remote.shape:
        return f"{key}: {plain.dtype} {tuple(plain.shape)} is {remote.dtype} {tuple(remote.shape)}"
    if rounded:
        close = torch.allclose(plain, remote, rtol=_ROUNDING, atol=_ROUNDING)
        return "" if close else f"{key} differs by more than rounding"
    if torch.equal(_bits(plain), _bits(remote)):
        return ""
    return f"{key} differs by up to {(plain.double() - remote.double()).abs().max().item():.2e}"


def _bits(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.clone(memory_format=torch.contiguous_format).view(-1).view(torch.uint8)


def _text(error: torch.Tensor) -> str:
    return re.sub(r"\s+\^+\n", "\n", bytes(error.tolist()).decode(errors="replace"))
