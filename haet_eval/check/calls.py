"""Calls that handles refuse or the sandbox cannot serve, and what to write instead.

What is said when such a call is made stands in `remote/client`; docs/porting.md has the whole list.
"""

import ast
from collections.abc import Collection, Iterator, Mapping
from posixpath import normpath
from typing import Final

from haet_eval.check.remark import Remark
from haet_eval.check.source import PythonFile, run_nodes

_ONE_PROCESS: Final = (
    "the data is in the executor, and only the process that train() runs in is connected to it: use threads,"
    " or none."
)
_NO_NETWORK: Final = "the sandbox has no network: everything must be in the submission, as text."
_NO_WEIGHTS: Final = "the sandbox has no network, and a submission holds text only: train from scratch."
_NO_DATA: Final = "the sandbox has no data files: take the images from task.images and task.labels."
_NO_CUDA: Final = "the submission's process has no GPU, the executor may: leave the call out."
_NO_EXTENSION: Final = "the data is in the executor: write the computation with torch's operators."
_NO_COMMAND_LINE: Final = "there is no command line in the sandbox: write settings into the code."
# Only calls that fail in the sandbox. Advice on code that works would teach contestants to ignore the rest.
FUNCTIONS: Final[Mapping[str, str]] = {
    "argparse.ArgumentParser": _NO_COMMAND_LINE,
    "ctypes.": _NO_EXTENSION,
    "http.client.": _NO_NETWORK,
    "input": "nobody is there to answer: write settings into the code.",
    "multiprocessing.": _ONE_PROCESS,
    "concurrent.futures.ProcessPoolExecutor": _ONE_PROCESS,
    "os.fork": _ONE_PROCESS,
    "socket.": _NO_NETWORK,
    "torch.cuda.Event": _NO_CUDA,
    "torch.cuda.Stream": _NO_CUDA,
    "torch.cuda.current_device": _NO_CUDA,
    "torch.cuda.current_stream": _NO_CUDA,
    "torch.cuda.get_device_name": _NO_CUDA,
    "torch.cuda.get_device_properties": _NO_CUDA,
    "torch.from_dlpack": _NO_EXTENSION,
    "torch.hub.": _NO_WEIGHTS,
    "torch.multiprocessing.": _ONE_PROCESS,
    "torch.distributed.": _ONE_PROCESS,
    "torch.utils.cpp_extension.": _NO_EXTENSION,
    "torch.utils.dlpack.": _NO_EXTENSION,
    "torchvision.datasets.": _NO_DATA,
    "urllib.request.": _NO_NETWORK,
}
"""By full name; one that ends in a dot is the beginning of names."""

METHODS: Final[Mapping[str, str]] = {
    "data_ptr": _NO_EXTENSION,
    "numpy": "handles give no NumPy array: stay with torch's operators; .item() and .tolist() read a few"
    " values back.",
    "share_memory": _ONE_PROCESS,
    "share_memory_": _ONE_PROCESS,
    "storage": "handles have no storage: views, clone() and copy_() do what it is mostly used for.",
    "untyped_storage": "handles have no storage: views, clone() and copy_() do what it is mostly used for.",
}
"""Without arguments, on whatever object."""

_ENDLESS: Final = ("itertools.count", "itertools.cycle")
_CLOCK: Final = {
    f"time.{name}{unit}"
    for name in ("time", "monotonic", "perf_counter", "process_time")
    for unit in ("", "_ns")
}


def check_calls(source: PythonFile, paths: Collection[str]) -> Iterator[Remark]:
    """Remarks on the calls of a file; `paths` are those of all files of the submission."""
    # Remarks need no proof (decision 0081): a call in a branch that never runs is named as well.
    for node in run_nodes(source.tree):
        if isinstance(node, ast.Call):
            yield from (source.remark(node, text) for text in _advice(source, node, paths))


def clock_places(source: PythonFile) -> Iterator[str]:
    """Where the code looks at a clock, as `submission.py:12`: what it decides by it no estimate can know."""
    for node in run_nodes(source.tree):
        looks = isinstance(node, ast.Call) and source.full_name(node.func) in _CLOCK
        # The attribute alone, whatever the object: the task may have gone through several functions.
        budget = isinstance(node, ast.Attribute) and node.attr == "time_budget_seconds"
        if looks or budget:
            yield f"{source.path}:{getattr(node, 'lineno', 1)}"


def unbounded_loops(source: PythonFile) -> Iterator[str]:
    """Loops that no number of rounds bounds, as `submission.py:12`: `while`, and `for` that counts on."""
    for node in run_nodes(source.tree):
        endless = isinstance(node, ast.For) and _never_ends(source, node.iter)
        if endless or isinstance(node, ast.While):
            yield f"{source.path}:{getattr(node, 'lineno', 1)}"


def _never_ends(source: PythonFile, node: ast.expr) -> bool:
    if not isinstance(node, ast.Call):
        return False
    name = source.full_name(node.func)
    if name == "enumerate":
        return bool(node.args) and _never_ends(source, node.args[0])
    # `itertools.repeat(x, n)` ends by itself, and so does `iter(x)`. `iter(f, end)` ends when f says so.
    alone = len(node.args) + len(node.keywords) == 1
    return (
        name in _ENDLESS or (name == "itertools.repeat" and alone) or (name == "iter" and len(node.args) == 2)
    )


def _advice(source: PythonFile, call: ast.Call, paths: Collection[str]) -> Iterator[str]:
    name = source.full_name(call.func)
    for known, text in FUNCTIONS.items():
        if name == known or (known.endswith(".") and name.startswith(known)):
            yield f"{name}(): {text}"
    # The type of the object is not known. With an argument it is hardly the method of a tensor.
    if isinstance(call.func, ast.Attribute) and not call.args and call.func.attr in METHODS:
        yield f".{call.func.attr}(): {METHODS[call.func.attr]}"
    if name == "open":
        yield from _opened(call, paths)
    if name.startswith("torchvision.models."):
        yield from _pretrained(call)


def _opened(call: ast.Call, paths: Collection[str]) -> Iterator[str]:
    mode = _constant(call.args[1] if len(call.args) > 1 else _keyword(call, "mode"))
    # Writing makes the file, so it need not be there before.
    if isinstance(mode, str) and set(mode) & set("wax"):
        return
    path = _constant(call.args[0] if call.args else _keyword(call, "file"))
    # A path that is computed is left alone: nothing can be said of it.
    if isinstance(path, str) and path.startswith(("/", "~")):
        yield (
            f"open({path!r}): on this machine the call may succeed, but the organizers' sandbox has none of "
            "its files: put what is needed into the submission, as text."
        )
    elif isinstance(path, str) and normpath(path) not in paths:
        yield f"open({path!r}): there is no such file in the submission: put it there, as text."


def _pretrained(call: ast.Call) -> Iterator[str]:
    for keyword in ("pretrained", "weights", "weights_backbone"):
        value = _keyword(call, keyword)
        # torchvision takes weights as a member of an enum, as a text, or, formerly, as True.
        if isinstance(value, ast.Attribute) or _constant(value) not in (None, False):
            yield f"{keyword}=: {_NO_WEIGHTS}"


def _keyword(call: ast.Call, name: str) -> ast.expr | None:
    return next((keyword.value for keyword in call.keywords if keyword.arg == name), None)


def _constant(node: ast.expr | None) -> object:
    return node.value if isinstance(node, ast.Constant) else None
