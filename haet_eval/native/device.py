"""The device of a node, set up so that it computes the same results as the executor of a counted run."""

from typing import Any, Self

import torch


def missing_device(name: str) -> str:
    """Why a node cannot train on `cpu` or `cuda`; empty if it can."""
    return "it sees no CUDA device" if name == "cuda" and not torch.cuda.is_available() else ""


def live_on_cuda() -> None:
    """Make the GPU the default device of tensors and generators.

    A counted run draws all its random numbers on its one device. A native run must do so, too, to draw the
    same.
    """
    torch.cuda.init()  # type: ignore[no-untyped-call]
    torch.set_default_device("cuda")
    replaced: Any = torch
    # `torch.set_default_device` does not reach generators: without a device they would be on the CPU.
    replaced.Generator = _CudaGenerator
    # Code may name the default generator, and would then draw from that of the CPU.
    replaced.default_generator = replaced.random.default_generator = torch.cuda.default_generators[0]


def leave_lstm_unfused() -> None:
    """Run nn.LSTM as matrix products, as the counted runner must: oneDNN's own LSTM rounds differently."""
    functions: Any = torch._VF
    fused = functions.lstm

    def lstm(*args: Any) -> Any:
        with torch.backends.mkldnn.flags(enabled=False):
            return fused(*args)

    functions.lstm = lstm


class _CudaGenerator(torch._C.Generator):
    """A torch.Generator that is on the GPU if no device is named."""

    def __new__(cls, device: Any = None) -> Self:
        return super().__new__(cls, "cuda" if device is None else device)  # type: ignore[call-arg]
