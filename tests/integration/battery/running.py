"""Runs the programs of a theme one after the other, alike on plain tensors and on handles."""

import random
import traceback
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np
import torch

Case: TypeAlias = Callable[[Any], Mapping[str, torch.Tensor]]

ERROR = "error"


class Results(torch.nn.Module):
    """The model that the programs are handed in as: each result is a buffer, named by case and key."""

    def add(self, case: str, key: str, value: torch.Tensor) -> None:
        real = torch.view_as_real(value.resolve_conj()) if value.is_complex() else value
        self.register_buffer(f"{case}/{key.replace('.', '~')}", real.detach().clone())


def cases(theme: ModuleType) -> dict[str, Case]:
    """The programs of a theme: its public functions."""
    return {
        name: value
        for name, value in vars(theme).items()
        if callable(value) and not name.startswith("_") and getattr(value, "__module__", "") == theme.__name__
        if not isinstance(value, type)
    }


def run_cases(theme: ModuleType, task: Any, only: str = "") -> Results:
    """Run each program of a theme, freshly seeded; one that raises leaves its traceback as its result."""
    results = Results()
    for name, case in cases(theme).items():
        if only in ("", name):
            _run_case(results, name, case, task)
    return results


def _run_case(results: Results, name: str, case: Case, task: Any) -> None:
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    try:
        outcome = dict(case(task))
        for key, value in outcome.items():
            results.add(name, key, value)
    except Exception:
        text = traceback.format_exc()[-4000:].encode()
        results.add(name, ERROR, torch.tensor(list(text), dtype=torch.uint8))
    finally:
        torch.set_default_dtype(torch.float32)
        task.report(case=name)
