"""Every way to work beside the counter that needs no second process. Each works on a shape of its own."""

import contextlib
import ctypes
import os
import threading

import torch
from honest import train_network
from torch.utils import _python_dispatch
from torch.utils._python_dispatch import TorchDispatchMode

CALLS = 10
INNER, COLUMNS = 41, 43


def work(left, right, calls=CALLS):
    for _ in range(calls):
        product = torch.mm(left, right)
    return product


def plainly(left, right):
    return work(left, right)


def in_a_thread(left, right):
    thread = threading.Thread(target=work, args=(left, right))
    thread.start()
    thread.join()


def with_modes_disabled(left, right):
    with _python_dispatch._disable_current_modes():
        return work(left, right)


def with_dispatch_disabled(left, right):
    guard = torch._C._DisableTorchDispatch()
    try:
        return work(left, right)
    finally:
        del guard


def with_the_mode_popped(left, right):
    mode = _python_dispatch._pop_mode()
    try:
        return work(left, right)
    finally:
        _python_dispatch._push_mode(mode)


class Swallow(TorchDispatchMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return args[0]


def swallowed_by_a_mode(left, right):
    with Swallow():
        return work(left, right)


def redispatched(left, right):
    keys = torch._C.DispatchKeySet(torch._C.DispatchKey.CPU)
    for _ in range(CALLS):
        product = torch.ops.aten.mm.default.redispatch(keys, left, right)
    return product


def below_autograd(left, right):
    with torch._C._AutoDispatchBelowAutograd():
        return work(left, right)


def through_the_operator_table(left, right):
    for _ in range(CALLS):
        product = torch.ops.aten.mm.default._op(left, right)
    return product


def in_a_fork(left, right):
    """A child that claims to be its parent talks over the same socket, and is counted like it."""
    link = type(left).dispatcher.link
    torch.mm(left, right)
    link.flush()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            link._process = os.getpid()
            work(left, right, CALLS - 1)
            link.flush()
        os._exit(0)
    os.waitpid(child, 0)
    link.next += CALLS - 1


def by_raw_records(left, right):
    """The bytes of a call, written past the client."""
    from haet_eval.remote import wire

    link = type(left).dispatcher.link
    torch.mm(left, right)
    link.flush()
    known = list(type(left).dispatcher._known.values())[-1]
    record = known.pack(wire.Code.CALL, known.number, left._handle.number, right._handle.number)
    link._socket.sendall(wire.frame(wire.Channel.STREAM, record * (CALLS - 1)))
    link.next += CALLS - 1


def by_address(left, right):
    address = torch.Tensor.data_ptr(left)
    if address:
        return ctypes.string_at(address, 4)
    raise RuntimeError("the tensor has no address")


def by_storage(left, right):
    return bytes(torch.Tensor.untyped_storage(left))[:4]


def by_dlpack(left, right):
    """The first word of what a capsule points to is the address of the data."""
    capsule = torch.utils.dlpack.to_dlpack(left)
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    if ctypes.c_void_p.from_address(pointer(capsule, b"dltensor")).value is None:
        raise RuntimeError("the tensor has no address")


def by_numpy_of_the_base_class(left, right):
    with _python_dispatch._disable_current_modes():
        return torch.Tensor.numpy(left)


def by_pickle(left, right):
    import pickle

    return pickle.dumps(left)


TRICKS = (
    plainly,
    in_a_thread,
    with_modes_disabled,
    with_dispatch_disabled,
    with_the_mode_popped,
    swallowed_by_a_mode,
    redispatched,
    below_autograd,
    through_the_operator_table,
    in_a_fork,
    by_raw_records,
    by_address,
    by_storage,
    by_dlpack,
    by_numpy_of_the_base_class,
    by_pickle,
)


def train(task):
    model = train_network(task)
    for rows, trick in enumerate(TRICKS, 101):
        left = task.images[0].flatten()[: rows * 10].float().repeat(10)[: rows * INNER].view(rows, INNER)
        right = torch.ones(INNER, COLUMNS)
        try:
            trick(left, right)
            outcome = "done"
        except BaseException as error:
            outcome = f"{type(error).__name__}: {error}"[:200]
        task.report(trick=trick.__name__, rows=rows, outcome=outcome)
    return model
