"""RemoteTensor: a handle that PyTorch takes for an ordinary CPU tensor."""

from __future__ import annotations

from copy import deepcopy
from itertools import count
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import torch
from torch.utils._mode_utils import no_dispatch

from haet_eval.operators.dtypes import name_of
from haet_eval.operators.signature import CONJUGATE, NEGATIVE, TensorMeta
from haet_eval.remote.client.gpu_scripts import here, moved
from haet_eval.remote.client.link import NO_EXTENSION, ONE_PROCESS, Refusal
from haet_eval.remote.client.made_up import Decisions, marked
from haet_eval.remote.handles import intern_layout

if TYPE_CHECKING:
    from haet_eval.remote.client.dispatch import Dispatcher

_CPU = torch.device("cpu")
_IMAGES = ("Image", "Video")
_numbers = count(1)
_wrap: Any = torch.Tensor._make_wrapper_subclass
_data: Any = torch.Tensor.data
_item: Any = torch.Tensor.item
_to: Any = torch.Tensor.to
_bool: Any = torch.Tensor.__bool__
_index: Any = torch.Tensor.__index__
_float: Any = torch.Tensor.__float__
_int: Any = torch.Tensor.__int__


class Handle:
    """Keeps one tensor of the executor alive. Several RemoteTensors share it after `detach`."""

    __slots__ = ("freed", "number", "shared")

    def __init__(self, number: int, freed: list[int]) -> None:
        self.number = number
        self.freed = freed
        self.shared = False

    def __del__(self) -> None:
        # Without a lock: this may run in any thread, and in the middle of a record. An append is one step to
        # Python.
        self.freed.append(self.number)


class RemoteTensor(torch.Tensor):
    """A tensor without data.

    `_layout` is its interned shape, stride and dtype; `_mirror` a local copy of its value where that is known
    because it depends on no data (the step counter of an optimizer).
    """

    __slots__ = ("_handle", "_layout", "_mirror", "_number")
    _layout: TensorMeta
    _handle: Handle
    _mirror: torch.Tensor | None
    dispatcher: Dispatcher
    _number: int

    # Otherwise each call would go through Python twice: once by its name, and once below autograd.
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return cls.dispatcher.dispatch(func, args, kwargs or {})

    def __hash__(self) -> int:
        """Sets of tensors are in the order in which these were first put into any, not of addresses."""
        try:
            return self._number
        except AttributeError:
            self._number = next(_numbers)
            return self._number

    def tolist(self) -> Any:
        """The values, read back from the executor."""
        value = self._value().tolist()
        return self._marked(value) if self.dispatcher.link.made_up else value

    def item(self) -> Any:
        """The value of a tensor of one element, read back from the executor."""
        value = _item(self)
        return self._marked(value) if self.dispatcher.link.made_up else value

    def __bool__(self) -> bool:
        # The read comes first, because it sets `made_up`.
        value: bool = _bool(self)
        if self.dispatcher.link.made_up:
            Decisions.current.decide()
        return value

    def __index__(self) -> int:
        value: int = _index(self)
        if self.dispatcher.link.made_up:
            Decisions.current.decide()
        return value

    def __float__(self) -> float:
        value: float = _float(self)
        if self.dispatcher.link.made_up:
            Decisions.current.read()
        return value

    def __int__(self) -> int:
        value: int = _int(self)
        if self.dispatcher.link.made_up:
            Decisions.current.read()
        return value

    def _marked(self, value: Any) -> Any:
        """A value that the check made up, marked as such."""
        # Python's bool has no subclass, so a truth value cannot carry a mark. Whoever reads one decides by
        # it.
        if self.dtype is torch.bool:
            Decisions.current.decide()
        else:
            Decisions.current.read()
        return marked(value)

    def _value(self) -> torch.Tensor:
        return self.dispatcher.fetch(self)

    def __repr__(self, **_: Any) -> str:  # type: ignore[override]
        # What is printed is read back and charged. A print of the training set would use up the budget.
        if self.numel() > _SHOWN_ELEMENTS:
            return f"tensor(..., size={tuple(self.shape)}, dtype={self.dtype})"
        with no_dispatch():
            text = repr(self._value())
        if self.grad_fn is not None:
            text = f"{text[:-1]}, grad_fn=<{type(self.grad_fn).__name__}>)"
        elif self.requires_grad:
            text = f"{text[:-1]}, requires_grad=True)"
        return f"Parameter containing:\n{text}" if getattr(self, "_is_param", False) else text

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if self.dim() == 0 else object.__format__(self, spec)

    def __deepcopy__(self, memo: dict[int, Any]) -> RemoteTensor:
        if id(self) in memo:
            known: RemoteTensor = memo[id(self)]
            return known
        with torch.no_grad():
            copy: Any = self._copied_view(memo) if self._is_view() else self.detach().clone()
        copy.requires_grad_(self.requires_grad)
        # nn.Parameter makes no object of its own of a handle, but sets this mark, which isinstance asks for.
        if getattr(self, "_is_param", False):
            copy._is_param = True
            copy.__class__ = type(self)
        else:
            # Only here: PyTorch's copies of parameters have no gradient, and those of other tensors do.
            copy.grad = deepcopy(self.grad, memo)
            vars(copy).update(deepcopy(vars(self), memo))
        memo[id(self)] = copy
        return copy  # type: ignore[no-any-return]

    def _copied_view(self, memo: dict[int, Any]) -> torch.Tensor:
        """What shares memory goes on sharing it in the copy."""
        base: Any = self._base
        # The copy of the base is contiguous and begins at 0. Only of such a base does a place mean the same
        # there.
        if not base.is_leaf or not base.is_contiguous() or base.storage_offset():
            return self.detach().clone()
        place = (self.shape, self.stride(), self.storage_offset())
        whole: torch.Tensor = deepcopy(base, memo)
        return whole.detach().as_strided(*place)

    def __copy__(self) -> RemoteTensor:
        copy: Any = self.detach().requires_grad_(self.requires_grad)
        if getattr(self, "_is_param", False):
            copy._is_param = True
        return copy  # type: ignore[no-any-return]

    @property
    def data(self) -> Any:
        """As `torch.Tensor.data`."""
        return _data.__get__(self)

    @data.setter
    def data(self, value: torch.Tensor) -> None:
        remote = value if isinstance(value, RemoteTensor) else self.dispatcher.upload(value)
        _data.__set__(self, remote)
        self._handle, self._layout, self._mirror = remote._handle, remote._layout, None
        # Both wrappers have this handle now, so a change of metadata in place must give one its own.
        remote._handle.shared = True

    def to(self, *args: Any, **options: Any) -> Any:
        """As `torch.Tensor.to`; a GPU is taken for the task's device."""
        args, options = moved(args, options)
        return _to(self, *args, **options)

    def cuda(self, device: Any = None, **_: Any) -> Any:  # type: ignore[override]
        """The tensor itself: the executor decides on which device it is."""
        here(device if isinstance(device, torch.device) else "cuda")
        return self

    def pin_memory(self, *_: Any) -> Any:
        """The tensor itself."""
        return self

    def numpy(self, **_: Any) -> NoReturn:
        raise Refusal(
            "This tensor's data is in the executor, so there is no NumPy array of it. Do the work with "
            "torch's operators; read single values with .item() or .tolist(), within the read-back budget.",
            code="handle-numpy",
        )

    def __array__(self, *args: Any, **kwargs: Any) -> NoReturn:
        self.numpy()

    def __array_function__(
        self, function: Any, types: Any, args: tuple[Any, ...], options: dict[str, Any]
    ) -> Any:
        """NumPy asks this for each of its functions: those of shapes have all that they need."""
        if function in (np.shape, np.ndim, np.size):
            # The function without NumPy's dispatch, which would come back to this method.
            return function.__wrapped__(*args, **options)
        return self.numpy()

    def as_subclass(self, cls: Any) -> Any:
        """The tensor itself as an image of torchvision, whose transforms take every tensor for one.

        Raises:
            Refusal: it is another class.
        """
        # By name, because torchvision is imported only if the submission does so.
        if cls is torch.Tensor or (cls.__module__.startswith("torchvision.") and cls.__name__ in _IMAGES):
            return self
        raise Refusal(
            f"A tensor of the task cannot become a {cls.__name__}: its data is in the executor, and the "
            "class of a tensor says so. Keep the tensor, and write functions that take it.",
            code="handle-subclass",
        )

    def data_ptr(self) -> NoReturn:
        raise Refusal(
            f"This tensor's data is in the executor, so it has no address here. {NO_EXTENSION}",
            code="handle-address",
        )

    def __dlpack__(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise Refusal(
            "This tensor's data is in the executor, so it cannot be given to another library by DLPack. Do "
            "the work with torch's operators.",
            code="handle-dlpack",
        )

    def __dlpack_device__(self) -> NoReturn:
        self.__dlpack__()

    def untyped_storage(self) -> NoReturn:
        raise Refusal(
            "This tensor's data is in the executor, so there is no storage here. Views, clone() and copy_() "
            "do what a storage is mostly used for.",
            code="handle-storage",
        )

    def storage(self) -> NoReturn:
        self.untyped_storage()

    _typed_storage = storage

    def share_memory_(self) -> NoReturn:
        raise Refusal(ONE_PROCESS, code="handle-process")

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise Refusal(
            "This tensor's data is in the executor, so it cannot be pickled. torch.save(state, path) and "
            "torch.load(path) work within a run; copy.deepcopy(model) is a copy as well. The evaluator keeps "
            "the weights of the model that train() returns.",
            code="handle-pickle",
        )


_SHOWN_ELEMENTS = 32


def make(
    layout: TensorMeta, dtype: torch.dtype, offset: int, handle: Handle, mirror: torch.Tensor | None
) -> RemoteTensor:
    """A RemoteTensor of that layout, which is interned, at that offset (in elements)."""
    tensor: RemoteTensor = _wrap(
        RemoteTensor, layout.shape, layout.stride, offset, None, dtype, torch.strided, _CPU, False, False
    )
    tensor._layout = layout
    tensor._handle = handle
    tensor._mirror = mirror
    # `_wrap` takes no lazy bits.
    if layout.bits:
        torch._C._set_conj(tensor, bool(layout.bits & CONJUGATE))
        torch._C._set_neg(tensor, bool(layout.bits & NEGATIVE))
    return tensor


def make_view(
    base: RemoteTensor, layout: TensorMeta, dtype: torch.dtype, offset: int, handle: Handle
) -> RemoteTensor:
    """As `make`, for a tensor that shares the memory of another, and torch's marks with it."""
    inference = base.is_inference()
    if inference is torch.is_inference_mode_enabled():
        return make(layout, dtype, offset, handle, None)
    # The mark is set when a tensor is made. PyTorch refuses to save an inference tensor for backward.
    with torch.inference_mode(inference):
        return make(layout, dtype, offset, handle, None)


def layout_of(tensor: torch.Tensor) -> TensorMeta:
    """The interned layout of any tensor."""
    bits = tensor.is_conj() * CONJUGATE | tensor.is_neg() * NEGATIVE
    return intern_layout(
        TensorMeta(tuple(tensor.shape), tuple(tensor.stride()), 0, name_of(tensor.dtype), bits)
    )
