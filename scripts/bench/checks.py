"""What the executor's check of each call costs: one line for each kind of call.

Each kind runs with and without the check, turn by turn in one process, on tiny tensors. Usage:
`python -m scripts.bench.checks`
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch

from haet_eval.remote.executor.expectation import Expectation, places
from haet_eval.remote.executor.kernel import overload

_ROUNDS: Final = 30
_CALLS: Final = 1000
_LIST: Final = 40


@dataclass(frozen=True, slots=True)
class Kind:
    """An operator with arguments: `inputs` are its tensors, `run` calls it on them."""

    name: str
    operator: str
    inputs: Sequence[torch.Tensor]
    run: Callable[[Sequence[torch.Tensor]], Any]


def _kinds() -> list[Kind]:
    a, b, square = torch.ones(4, 5), torch.ones(4, 5), torch.ones(4, 4)
    many = [torch.ones(4) for _ in range(2 * _LIST)]
    aten = torch.ops.aten
    return [
        Kind("new tensor, 1 input", "aten.relu.default", [a], lambda t: aten.relu(t[0])),
        Kind("new tensor, 2 inputs", "aten.add.Tensor", [a, b], lambda t: aten.add(t[0], t[1])),
        Kind("new tensor, one input twice", "aten.mul.Tensor", [a, a], lambda t: aten.mul(t[0], t[1])),
        Kind("view", "aten.t.default", [square], lambda t: aten.t(t[0])),
        Kind("in place, 2 inputs", "aten.add_.Tensor", [a, b], lambda t: aten.add_(t[0], t[1])),
        Kind("list in place, 2", "aten._foreach_add_.List", many[:2], _add_lists),
        Kind(f"list in place, {2 * _LIST}", "aten._foreach_add_.List", many, _add_lists),
    ]


def _add_lists(tensors: Sequence[torch.Tensor]) -> None:
    half = len(tensors) // 2
    torch.ops.aten._foreach_add_.List(list(tensors[:half]), list(tensors[half:]))


def _microseconds(call: Callable[[], None]) -> float:
    began = time.process_time()
    for _ in range(_CALLS):
        call()
    return (time.process_time() - began) / _CALLS * 1e6


def measure(kind: Kind) -> tuple[float, float]:
    """CPU time of the kernel and of its check in microseconds: the least of many rounds."""
    inputs = list(kind.inputs)
    # Where the inputs lie must be noted before the first call, which the expectation describes.
    before = places(inputs)
    expected = Expectation(overload(kind.operator), kind.run(inputs), inputs, before)
    run, look, settle = kind.run, expected.look, expected.settle

    def alone() -> None:
        run(inputs)

    def checked() -> None:
        seen = look(inputs)
        settle(run(inputs), inputs, seen)

    # Turn by turn: a difference of two times from different minutes would show the machine.
    pairs = [(_microseconds(alone), _microseconds(checked)) for _ in range(_ROUNDS)]
    kernel = min(pair[0] for pair in pairs)
    return kernel, min(pair[1] for pair in pairs) - kernel


def main() -> None:
    torch.set_num_threads(1)
    # As in the executor, which never records a graph.
    torch.set_grad_enabled(False)
    print(f"{'call':32} {'kernel, µs':>10} {'check, µs':>10}")
    for kind in _kinds():
        kernel, check = measure(kind)
        print(f"{kind.name:32} {kernel:10.2f} {check:10.2f}")


if __name__ == "__main__":
    main()
