"""Record real calls of ATen operators below autograd: PyTorch's own sample inputs, forward and backward.

Usage: python scripts/record_operator_calls.py OUTPUT.json.gz [CALLS_PER_OVERLOAD]

Writes a JSON list of calls: {"operator", "arguments", "origins", "storage"}; what the fields mean is written
in tests/attacks/recorded_calls.py, which reads the file. Values are kept of small integer tensors only.
"""

import gzip
import json
import random
import sys
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch.testing._internal.common_methods_invocations import (
    foreach_binary_op_db,
    foreach_other_op_db,
    foreach_pointwise_op_db,
    foreach_reduce_op_db,
    foreach_unary_op_db,
    op_db,
)
from torch.testing._internal.common_modules import module_db
from torch.testing._internal.common_optimizers import optim_db
from torch.testing._internal.opinfo.core import OpInfo, SampleInput
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from haet_eval.operators.table import allowed_operators

# The wire has no names for these, so no submission can send them.
UNSUPPORTED = (torch.complex32, torch.uint16, torch.uint32, torch.uint64)
# Values matter only if they are places in tensors. More than this would make the file large.
SMALL_NUMEL = 64
LARGEST_NUMEL = 200_000
SAMPLES_PER_OPERATOR = 24
# One of each kind: the meter treats floats, complex numbers, integers and booleans differently.
DTYPES = (torch.float32, torch.complex64, torch.int64, torch.bool, torch.bfloat16)


def dtype_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def place(tensor: torch.Tensor) -> tuple[Any, ...]:
    """Where a tensor lies: two tensors with one place are the same elements in the same order."""
    return tensor.data_ptr(), tuple(tensor.shape), tensor.stride(), tensor.dtype


class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Keeps distinct calls per overload, and where each tensor argument came from."""

    def __init__(self, calls_per_overload: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls_per_overload = calls_per_overload
        self.calls: dict[str, dict[str, Any]] = {}
        self.made: dict[tuple[Any, ...], tuple[torch.Tensor, int, dict[str, Any]]] = {}
        self.chance = random.Random(0)
        self.seen: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        call = None
        if func.namespace == "aten" and not any(unusual(x) for x in tree_leaves((args, kwargs))):
            # Before the call, because an operator that writes in place changes its arguments.
            call = self.describe(func, args, kwargs)
        result = func(*args, **kwargs)
        if call is not None:
            self.keep(call)
            outputs = result if isinstance(result, (tuple, list)) else (result,)
            # Some checks of the meter depend on where an argument came from, such as indices that a pooling
            # has made.
            for position, output in enumerate(outputs):
                if isinstance(output, torch.Tensor) and not unusual(output) and not func._schema.is_mutable:
                    made = {"operator": call["operator"], "output": position, "arguments": call["arguments"]}
                    # The tensor is kept too: otherwise its memory could be used again, and another tensor
                    # would have its place.
                    self.made[place(output)] = (output, output._version, made)
        return result

    def describe(self, func: Any, args: Any, kwargs: Any) -> dict[str, Any]:
        given = {p.name: v for p, v in zip(func._schema.arguments, args, strict=False)} | kwargs
        tensors = {n: v for n, v in given.items() if isinstance(v, torch.Tensor)}
        return {
            "operator": str(func),
            "arguments": {n: encode(v) for n, v in given.items()},
            "origins": {n: o for n, v in tensors.items() if (o := self.origin(v)) is not None},
            "storage": {n: v.untyped_storage().nbytes() for n, v in tensors.items()},
        }

    def origin(self, tensor: torch.Tensor) -> dict[str, Any] | None:
        found = self.made.get(place(tensor))
        # A tensor that was written to since is no longer the result of that call.
        return None if found is None or found[0]._version != found[1] else found[2]

    def keep(self, call: dict[str, Any]) -> None:
        """A fair sample of the distinct calls of each overload."""
        name = call["operator"]
        text = json.dumps(call)
        known = self.calls.setdefault(name, {})
        if text in known:
            return
        self.seen[name] += 1
        if len(known) >= self.calls_per_overload:
            # A reservoir: a late call has about the same chance to stay as an early one.
            if self.chance.random() > self.calls_per_overload / self.seen[name]:
                return
            del known[self.chance.choice(list(known))]
        known[text] = call


def unusual(value: Any) -> bool:
    if not isinstance(value, torch.Tensor):
        return False
    return (
        type(value) not in (torch.Tensor, torch.nn.Parameter)
        or value.layout is not torch.strided
        or value.is_quantized
        or value.device.type != "cpu"
        or value.dtype in UNSUPPORTED
        or value.numel() > LARGEST_NUMEL
    )


def encode(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        meta = {
            "shape": list(value.shape),
            "stride": list(value.stride()),
            "offset": value.storage_offset(),
            "dtype": dtype_name(value.dtype),
        }
        whole = not value.is_floating_point() and not value.is_complex()
        # Tests execute many of these calls: an integer may be an index, which must be valid there.
        if whole and value.numel() <= SMALL_NUMEL:
            meta["values"] = value.reshape(-1).to(torch.int64).tolist()
        return {"tensor": meta}
    if isinstance(value, (torch.dtype, torch.memory_format, torch.layout)):
        return {"word": dtype_name(value)}  # type: ignore[arg-type]
    if isinstance(value, torch.device):
        return {"word": str(value)}
    if isinstance(value, torch.Generator):
        return {"word": "generator"}
    if isinstance(value, complex):
        return {"complex": [value.real, value.imag]}
    if isinstance(value, (list, tuple)):
        return [encode(item) for item in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"cannot encode {type(value)}")


def backward(output: Any) -> None:
    leaves = [x for x in tree_leaves(output) if isinstance(x, torch.Tensor) and x.requires_grad]
    if leaves:
        # A backward pass needs a real number.
        total = sum((x.abs() if x.is_complex() else x).sum() for x in leaves)
        total.backward()  # type: ignore[union-attr]


def samples(info: OpInfo, dtype: torch.dtype) -> Iterable[SampleInput]:
    gradient = info.supports_autograd and (dtype.is_floating_point or dtype.is_complex)
    # The samples of PyTorch's own tests, which nearly every operator has.
    found = info.sample_inputs("cpu", dtype, requires_grad=gradient)  # type: ignore[no-untyped-call]
    return islice(found, SAMPLES_PER_OPERATOR)


def call_forms(info: OpInfo, sample: SampleInput, recorder: Recorder) -> None:
    for form in (info.op, info.inplace_variant):
        if form is None:
            continue  # type: ignore[unreachable]
        first = sample.input
        if form is info.inplace_variant and isinstance(first, torch.Tensor):
            # A leaf that requires a gradient must not be written in place.
            first = first.detach().clone()
        try:
            with recorder:
                backward(form(first, *sample.args, **sample.kwargs))
        # Some samples are meant to fail, and some operators lack a kernel for a dtype. The calls up to there
        # are recorded.
        except (RuntimeError, TypeError, ValueError, NotImplementedError, IndexError):
            continue


def record_operators(recorder: Recorder) -> None:
    for info in op_db:
        for dtype in DTYPES:
            if not info.supports_dtype(dtype, "cpu"):
                continue
            try:
                for sample in samples(info, dtype):
                    call_forms(info, sample, recorder)
            # PyTorch's generators of samples are internal and fail in many ways; one operator must not end
            # the recording.
            except Exception as problem:
                print(f"{info.name} {dtype}: {type(problem).__name__}: {str(problem)[:80]}", file=sys.stderr)
            # It holds every result, so without this the memory would grow with each operator.
            recorder.made.clear()


def record_lists(recorder: Recorder) -> None:
    """The operators on lists of tensors, that the optimizers use."""
    lists = foreach_unary_op_db + foreach_binary_op_db + foreach_pointwise_op_db
    for info in lists + foreach_reduce_op_db + foreach_other_op_db:
        for form in (info.method_variant, info.inplace_variant):
            for sample in islice(info.sample_inputs("cpu", torch.float32, noncontiguous=False), 0, 40, 4):  # type: ignore[no-untyped-call]
                attempt(recorder, form, sample)
        recorder.made.clear()


def attempt(recorder: Recorder, form: Any, sample: SampleInput) -> None:
    if form is None:
        return
    try:
        with recorder, torch.no_grad():
            form(sample.input, *sample.args, **sample.kwargs)
    except (RuntimeError, TypeError, ValueError, NotImplementedError, IndexError):
        return


def record_modules(recorder: Recorder) -> None:
    """Every module of torch.nn, in training and in evaluation."""
    for info in module_db:
        for training in (True, False):
            for given in info.module_inputs_func(info, "cpu", torch.float32, True, training):
                if given.forward_input is None:
                    continue
                try:
                    made = info.module_cls(*given.constructor_input.args, **given.constructor_input.kwargs)
                    with recorder:
                        made.train(training)
                        backward(made(*given.forward_input.args, **given.forward_input.kwargs))
                except (RuntimeError, TypeError, ValueError, NotImplementedError, IndexError):
                    continue
            recorder.made.clear()


def record_optimizers(recorder: Recorder) -> None:
    """Three steps of every optimizer, for-loop, foreach and fused, on tensors of several ranks."""
    for info in optim_db:
        for given in info.optim_inputs_func("cpu", torch.float32):
            # Each of the three uses other operators.
            for way in ({"foreach": False}, {"foreach": True}, {"fused": True}):
                parameters = [
                    torch.nn.Parameter(torch.randn(shape)) for shape in ((3, 5), (7,), (2, 3, 3, 3))
                ]
                for parameter in parameters:
                    parameter.grad = torch.randn_like(parameter)
                try:
                    with recorder:
                        optimizer = info.optim_cls(parameters, **{**given.kwargs, **way})  # type: ignore[operator]
                        for _ in range(3):
                            optimizer.step(lambda: torch.tensor(1.0))
                except (RuntimeError, TypeError, ValueError, NotImplementedError, IndexError):
                    continue
            recorder.made.clear()


def each(
    names: str, given: tuple[Any, ...], named: dict[str, Any]
) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """The same arguments for several overloads; tensors are copied, since some of these write."""
    for name in names.split():
        yield name, tuple(x.clone() if isinstance(x, torch.Tensor) else x for x in given), named


def rarities() -> list[tuple[str, tuple[Any, ...], dict[str, Any]]]:
    """Calls that no sample makes: overload, arguments, keywords."""
    x, y, i = torch.randn(4, 6), torch.rand(4, 6), torch.randint(0, 6, (4, 6))
    generator, scalar, flags = torch.Generator(), torch.tensor(0.5), torch.zeros(())
    v, g = torch.randn(8, 3, 3, 3), torch.rand(8, 1, 1, 1)
    norm = torch.rand(8, 1, 1, 1)
    query, key, rows = torch.randn(2, 8, 16, 8), torch.randn(2, 2, 16, 8), torch.randn(2, 8, 16)
    image, vector = torch.randn(2, 3, 8, 8), torch.rand(3)
    adam = [[torch.randn(3, 5)] for _ in range(4)]
    fused = {
        "beta1": 0.9,
        "beta2": 0.99,
        "weight_decay": 0.1,
        "eps": 1e-8,
        "amsgrad": False,
        "maximize": False,
    }
    seeded = {"generator": generator}
    size = [2, 3]
    whole = (
        "bitwise_and.Scalar bitwise_and_.Scalar bitwise_or.Scalar bitwise_or_.Scalar bitwise_xor.Scalar "
        "bitwise_xor_.Scalar bitwise_left_shift.Tensor_Scalar bitwise_right_shift.Tensor_Scalar "
        "floor_divide.Scalar floor_divide_.Scalar fmod.Scalar fmod_.Scalar remainder_.Scalar eq_.Scalar "
        "ne_.Scalar ge_.Scalar gt_.Scalar le_.Scalar lt_.Scalar sub_.Scalar clamp_max clamp_max_ "
        "isin.Tensor_Scalar"
    )
    return [
        *each(whole, (i, 3), {}),
        *each("__lshift__.Scalar __rshift__.Scalar __ilshift__.Scalar __irshift__.Scalar", (i, 3), {}),
        *each("__lshift__.Tensor __rshift__.Tensor __ilshift__.Tensor __irshift__.Tensor", (i, i), {}),
        *each("xlogy.Scalar_Other xlogy_.Scalar_Other sub_.Scalar", (x.clone(), 2.5), {}),
        *each("div.Scalar_mode div_.Scalar_mode", (x.clone(), 2.5), {"rounding_mode": "floor"}),
        *each("xlogy.Scalar_Self remainder.Scalar_Tensor", (2.5, y), {}),
        *each("add.out sub.out minimum.out", (x, y), {"out": torch.empty(4, 6)}),
        *each("gelu_ hardswish_ hardtanh_ lift _neg_view", (x,), {}),
        *each("random_ poisson _standard_gamma _sample_dirichlet", (y,), seeded),
        *each("rand.generator randn.generator", (size,), seeded),
        *each("rand_like.generator randn_like.generator", (x,), seeded),
        *each("_is_all_true _is_any_true", (x > 0,), {}),
        *each("is_same_size _has_same_storage_numel set_.source_Tensor", (x, y), {}),
        ("_scaled_dot_product_flash_attention_for_cpu", (query, key, key), {}),
        (
            "_scaled_dot_product_flash_attention_for_cpu_backward",
            (query, query, key, key, query, rows, 0.0, True),
            {},
        ),
        ("bmm.out", (torch.randn(2, 3, 4), torch.randn(2, 4, 5)), {"out": torch.empty(2, 3, 5)}),
        ("pow.Tensor_Scalar_out", (y, 2.0), {"out": torch.empty(4, 6)}),
        ("sqrt.out", (y,), {"out": torch.empty(4, 6)}),
        ("fill.Tensor", (x, scalar), {}),
        ("fill_.Tensor", (x.clone(), scalar), {}),
        ("isin.Scalar_Tensor", (3, i), {}),
        ("norm.Scalar", (x, 2.0), {}),
        ("norm.ScalarOpt_dtype", (x, 2.0), {"dtype": torch.float64}),
        ("norm.ScalarOpt_dim_dtype", (x, 2.0, [1], True), {"dtype": torch.float64}),
        ("bernoulli.p", (x, 0.3), seeded),
        ("bernoulli_.Tensor", (x.clone(), y), seeded),
        ("binomial", (torch.full((4, 6), 5.0), y), seeded),
        ("normal.float_Tensor", (0.5, y), seeded),
        ("randint.generator", (9, size), seeded),
        ("randint.low_generator", (2, 9, size), seeded),
        ("random_.from", (i.clone(), 2, 9), seeded),
        ("random_.to", (i.clone(), 9), seeded),
        ("randperm", (12,), {}),
        ("randint_like.generator", (i, 9), seeded),
        ("randint_like.low_generator_dtype", (i, 2, 9), seeded),
        ("unique_dim_consecutive", (i, 0, True, True), {}),
        *each("hann_window hamming_window blackman_window bartlett_window", (9,), {}),
        *each("fft_fftfreq fft_rfftfreq", (9, 0.5), {}),
        *each("hann_window.periodic hamming_window.periodic", (9, True), {}),
        *each("blackman_window.periodic bartlett_window.periodic", (9, False), {}),
        ("hamming_window.periodic_alpha", (9, True, 0.5), {}),
        ("hamming_window.periodic_alpha_beta", (9, True, 0.5, 0.4), {}),
        ("randperm.generator", (12,), seeded),
        ("_dirichlet_grad", (y / y.sum(1, True), y, y.sum(1, True).expand_as(y)), {}),
        ("_standard_gamma_grad", (y, y), {}),
        ("native_dropout", (x, 0.3, True), {}),
        ("bucketize.Scalar", (0.5, torch.arange(5.0)), {}),
        ("searchsorted.Scalar", (torch.arange(5.0), 0.5), {}),
        ("embedding_renorm_", (torch.randn(6, 4), torch.tensor([0, 3, 3]), 1.0, 2.0), {}),
        ("unique_dim", (i, 0, True, True, True), {}),
        ("select_copy.int", (x, 0, 1), {}),
        ("slice_copy.Tensor", (x, 0, 1, 3), {}),
        ("unsafe_split_with_sizes", (x, [1, 3]), {}),
        ("view.dtype", (x, torch.int32), {}),
        ("affine_grid_generator", (torch.randn(2, 2, 3), [2, 3, 4, 5], False), {}),
        ("_upsample_bicubic2d_aa", (image, [4, 5], False), {}),
        ("_upsample_bicubic2d_aa_backward", (torch.randn(2, 3, 4, 5), [4, 5], [2, 3, 8, 8], False), {}),
        ("_weight_norm_interface", (v, g, 0), {}),
        ("_weight_norm_interface", (torch.randn(4, 6), torch.rand(1, 6), 1), {}),
        ("_weight_norm_interface_backward", (torch.randn_like(v), v, g, norm, 0), {}),
        ("_native_batch_norm_legit_no_training", (image, vector, vector, vector, vector, 0.1, 1e-5), {}),
        ("_batch_norm_no_update", (image, vector, vector, vector, vector, 0.1, 1e-5), {}),
        ("_addmm_activation", (torch.randn(5), torch.randn(4, 6), torch.randn(6, 5)), {}),
        ("_foreach_copy", ([x], [y]), {}),
        ("_foreach_pow.ScalarAndTensor", (2.0, [x]), {}),
        *((f"_foreach_{name}.Tensor", ([x, y], scalar), {}) for name in ("add", "mul", "div")),
        *((f"_foreach_{name}_.Tensor", ([x.clone(), y.clone()], scalar), {}) for name in ("mul", "div")),
        *(
            (f"_foreach_{name}.Tensor", ([x.clone()], [y], [y + 1], torch.ones(1)), {})
            for name in ("addcmul", "addcmul_", "addcdiv", "addcdiv_")
        ),
        *(
            (f"{name}.tensor_lr", (*adam, [], [torch.ones(())]), {**fused, "lr": torch.tensor(0.1)})
            for name in ("_fused_adam_", "_fused_adamw_")
        ),
        ("_amp_foreach_non_finite_check_and_unscale_", ([x.clone()], flags.clone(), scalar), {}),
        (
            "_amp_update_scale_",
            (torch.tensor(8.0), torch.zeros((), dtype=torch.int32), flags.clone(), 2.0, 0.5, 2000),
            {},
        ),
    ]  # fmt: skip


def record_rarities(recorder: Recorder) -> None:
    for name, arguments, named in rarities():
        # Called below the Python functions, because these never choose such overloads.
        base, _, overload = name.partition(".")
        operator = getattr(getattr(torch.ops.aten, base), overload or "default")
        with recorder, torch.no_grad():
            operator(*arguments, **named)


def main() -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    # Samples are drawn at random: the same seed gives the same file again.
    torch.manual_seed(0)
    recorder = Recorder(int(sys.argv[2]) if len(sys.argv) > 2 else 12)
    for record in (record_operators, record_lists, record_modules, record_optimizers, record_rarities):
        record(recorder)
    # What may not be called needs no example.
    names = sorted(recorder.calls.keys() & allowed_operators())
    calls = [call for name in names for call in recorder.calls[name].values()]
    # Without a time in the header, so that equal calls give an equal file.
    Path(sys.argv[1]).write_bytes(gzip.compress(json.dumps(calls, separators=(",", ":")).encode(), mtime=0))
    print(f"{len(calls)} calls of {len(names)} overloads")


if __name__ == "__main__":
    main()
