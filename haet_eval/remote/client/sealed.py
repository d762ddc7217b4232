"""The model after `train` has returned: which line of code breaks what is final, and what to write instead.

The host decides what the model may use, and its answer may come after the call that was wrong. So each call
of the prediction is looked at here as well, for the sake of the message alone.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import torch

from haet_eval.remote.advice import BEFORE, COMPUTES_IN, MADE_IN, OBSERVERS, STATISTICS, USED_IN
from haet_eval.remote.client.dispatch import Dispatcher
from haet_eval.remote.client.link import Refusal, RemoteError
from haet_eval.remote.client.own_code import OwnCode
from haet_eval.remote.client.tensor import RemoteTensor

_NOT_PART: Final = "that was not part of it"
_CHANGED: Final = "tried to change"
"""Words of the host's reasons, in haet_eval/remote/meter.py."""


class SealedModel:
    """Watches the calls of a model that was handed in.

    Args:
        dispatcher: every call goes through it.
        model: what `train` returned.
        code: of the submission.
    """

    def __init__(self, dispatcher: Dispatcher, model: torch.nn.Module, code: OwnCode) -> None:
        self._dispatcher = dispatcher
        self._dispatch = dispatcher.dispatch
        self._model = model
        self._code = code
        # Numbers and not handles: a handle that is kept here would keep the tensor alive.
        self._kept = {tensor._handle.number for _, tensor in _named(model)}
        self._alive_from = dispatcher.link.next
        self._evaluating = False
        self._made: dict[int, str] = {}
        self._computed: list[str] = []
        self._used: dict[str, tuple[str, str]] = {}

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look at each call, and add to what the host says of one.

        Raises:
            RemoteError: as the host's, with the line and what to write instead.
        """
        if self._dispatcher.hits is not None:
            # Calls that are done in C++ do not come to `_watched`.
            self._dispatcher.hits.stop()
        watched: Any = self._dispatcher
        watched.dispatch = self._watched
        try:
            yield
        except RemoteError as error:
            advice = "" if isinstance(error, Refusal) else self._advice(str(error))
            if not advice:
                raise
            # With the traceback of the first error: the record shows the submission's frames.
            raise RemoteError(f"{error} {advice}").with_traceback(error.__traceback__) from None
        finally:
            watched.dispatch = self._dispatch

    def evaluate(self) -> None:
        """Call `model.eval()`.

        Raises:
            Refusal: it gives the model another tensor than the one that was handed in.
        """
        self._evaluating = True
        self._model.eval()
        # Not in a `finally`: if eval() fails, `_advice` names the line that it failed in.
        self._evaluating = False
        for name, tensor in _named(self._model):
            if isinstance(tensor, RemoteTensor) and tensor._handle.number not in self._kept:
                place = self._made.get(tensor._handle.number, "")
                raise Refusal(
                    f"model.eval() gives the model another {name}{f' ({place})' if place else ''}, and what "
                    f"train() returned is final: {BEFORE}",
                    code="handle-eval",
                )

    def begin_batch(self) -> None:
        """What depends on data and was made before is gone now, but for the model."""
        self._alive_from = self._dispatcher.link.next

    def _watched(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not self._evaluating:
            for tensor in _tensors((*args, *kwargs.values())):
                # Only noted: such a tensor may depend on no data, and the host alone knows that.
                if tensor._handle.number < self._alive_from and tensor._handle.number not in self._kept:
                    self._note(tensor)
            return self._dispatch(func, args, kwargs)
        first, place = self._dispatcher.link.next, self._code.place()
        if place and place not in self._computed:
            self._computed.append(place)
        result = self._dispatch(func, args, kwargs)
        self._made |= dict.fromkeys(range(first, self._dispatcher.link.next), place)
        return result

    def _note(self, tensor: RemoteTensor) -> None:
        """A tensor of before is used: it may be gone, unless it depends on no data."""
        words = f"of shape {list(tensor.shape)} and dtype {tensor._layout.dtype} {_NOT_PART}"
        if words not in self._used:
            self._used[words] = self._code.place(), self._made.get(tensor._handle.number, "")

    def _advice(self, reason: str) -> str:
        if _NOT_PART in reason:
            used, made = next((at for words, at in self._used.items() if words in reason), ("", ""))
            at = USED_IN.format(place=used) if used else ""
            return f"{at} {MADE_IN.format(place=made)}".strip() if made else at
        if _CHANGED not in reason:
            return ""
        if self._computed:
            place = self._computed[-1 if self._evaluating else 0]
            return COMPUTES_IN.format(place=place)
        return self._advice_on_owner(reason)

    def _advice_on_owner(self, reason: str) -> str:
        """What to do by the module whose tensor the reason names between backticks."""
        _, _, rest = reason.partition(f"{_CHANGED} `")
        name, closed, _ = rest.partition("`")
        owner = dict(self._model.named_modules()).get(name.rpartition(".")[0]) if closed else None
        if owner is None:
            return ""
        if type(owner).__module__.startswith("torch.ao.quantization"):
            return OBSERVERS
        return STATISTICS if hasattr(owner, "running_mean") else ""


def _named(model: torch.nn.Module) -> Iterator[tuple[str, Any]]:
    yield from model.named_parameters(remove_duplicate=False)
    yield from model.named_buffers(remove_duplicate=False)


def _tensors(values: Iterable[Any]) -> Iterator[RemoteTensor]:
    for value in values:
        if isinstance(value, RemoteTensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)
