"""The dispatch mode: catches the factories, so that every new tensor is a remote one."""

import threading
from functools import cache
from typing import Any

from torch._ops import HigherOrderOperator
from torch.utils._python_dispatch import TorchDispatchMode

from haet_eval.remote.client.dispatch import Dispatcher
from haet_eval.remote.client.link import Refusal


class RemoteMode(TorchDispatchMode):
    """Sends every ATen call below autograd to the executor."""

    # Otherwise PyTorch raises an error of its own, which does not say what to write instead.
    supports_higher_order_operators = True

    def __init__(self, dispatcher: Dispatcher) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._dispatcher = dispatcher

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Nothing compiles here; PyTorch's guard against it would cost 2 µs for each call."""
        return False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        # The namespace first: it is a cheap test, and nearly every call is one of aten.
        if func.namespace != "aten" and _is_local(func):
            return func(*args, **(kwargs or {}))
        return self._dispatcher.dispatch(func, args, kwargs or {})


def install_in_threads(dispatcher: Dispatcher) -> None:
    """A mode belongs to one thread: threads that are started from now on enter it first."""
    # Not `run`, which subclasses of Thread override.
    inner: Any = threading.Thread._bootstrap_inner  # type: ignore[attr-defined]

    def bootstrap(thread: threading.Thread) -> None:
        with RemoteMode(dispatcher):
            inner(thread)

    threading.Thread._bootstrap_inner = bootstrap  # type: ignore[attr-defined]


@cache
def _is_local(func: Any) -> bool:
    """Neither the profiler's marks nor an operator without tensors are work on the data."""
    if isinstance(func, HigherOrderOperator):
        raise Refusal(
            f"{func} is an operator for compiled code, and nothing is compiled here: write it with ordinary "
            "ones (torch.nn.functional.scaled_dot_product_attention with attn_mask, Python's if and for).",
            code="handle-compiled",
        )
    values = (*func._schema.arguments, *func._schema.returns)
    return func.namespace == "profiler" or not any("Tensor" in str(value.type) for value in values)
