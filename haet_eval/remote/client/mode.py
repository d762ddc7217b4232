"""The dispatch mode: catches the factories, so that every new tensor is a remote one."""

from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode

from haet_eval.remote.client.dispatch import Dispatcher


class RemoteMode(TorchDispatchMode):
    """Sends every ATen call below autograd to the executor."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._dispatcher = dispatcher

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func.namespace == "profiler":
            return func(*args, **(kwargs or {}))
        return self._dispatcher.dispatch(func, args, kwargs or {})
