"""OperationCounter: what it counts, where it puts it, and that nothing is silently zero."""

import multiprocessing
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from queue import Queue
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, TensorDataset

import haet_eval
from haet_eval import OperationCounter, Uncounted
from haet_eval.operators.table import priced_operators

IMAGES = torch.rand(4, 3, 8, 8)
LABELS = torch.tensor([0, 1, 2, 3])


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(10, 10)

    def forward(self, values: Tensor) -> Tensor:
        activated: Tensor = self.inner(values).relu()
        return activated


class Net(nn.Module):
    """Enters one of its parts three times, and a block twice."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 10, 8)
        self.block = Block()

    def forward(self, images: Tensor) -> Tensor:
        features = self.stem(images).flatten(1)
        again: Tensor = self.block(self.block.inner(self.block(features)))
        return again


def trained(model: nn.Module, steps: int = 2) -> None:
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    for _ in range(steps):
        loss = nn.functional.cross_entropy(model(IMAGES), LABELS)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()


def count(program: Callable[[], Any], **options: Any) -> OperationCounter:
    with OperationCounter(**options) as counter:
        program()
    return counter


def test_linear_layer_costs_what_the_standard_says() -> None:
    layer = nn.Linear(10, 7)
    counter = count(lambda: layer(torch.zeros(5, 10)))
    assert counter.total == 5 * 7 * (2 * 10 - 1) + 5 * 7
    assert counter.multiply_adds == 5 * 7 * 10
    assert set(counter.by_module) == {"Linear"}


def test_phases_modules_operators_and_histogram_add_up_to_the_total() -> None:
    model = Net()
    counter = count(lambda: trained(model))
    total = counter.total
    assert total > 0
    assert sum(counter.by_phase.values()) == total
    assert sum(counter.by_module.values()) == total
    assert sum(line.operations for line in counter.by_operator.values()) == total
    assert haet_eval.price(counter.histogram).total == total
    assert haet_eval.price(counter.histogram.to_json()).total == total


def test_each_phase_has_its_operations() -> None:
    found = count(lambda: trained(Net(), steps=1)).by_phase
    assert found["initialisation"] == sum(parameter.numel() for parameter in Net().parameters())
    assert min(found["forward"], found["backward"], found["optimizer"], found["other"]) > 0


def in_the_place_of(former: int, make: Callable[[], Any]) -> Any:
    """A new object that has got the identity of one that is gone."""
    others = []
    while id(made := make()) != former:
        others.append(made)
        assert len(others) < 10_000
    return made


def test_operations_of_a_new_parameter_are_not_those_of_a_former_ones_module() -> None:
    model = nn.Sequential(nn.Linear(3, 3))
    data, counter = torch.rand(3), OperationCounter()
    with counter, torch.no_grad():
        model(torch.rand(2, 3))
    before, former = counter.by_module, id(model[0].bias)
    model[0].register_parameter("bias", None)
    new = in_the_place_of(former, lambda: nn.Parameter(data))
    with counter:
        for _ in range(2):  # the second gradient is added to the first
            new.sum().backward()
    assert counter.by_module["Sequential.0"] == before["Sequential.0"]


def test_operations_of_a_new_module_are_not_those_of_a_former_one() -> None:
    model = nn.Sequential(nn.ReLU(), nn.Identity())
    with OperationCounter() as counter:
        model(torch.rand(2, 3))
        before, former = counter.by_module, id(model[0])
        model[0] = nn.Identity()
        model[1] = in_the_place_of(former, lambda: nn.Sigmoid())
        model(torch.rand(2, 3))
    assert counter.by_module["Sequential.0"] == before["Sequential.0"]


def test_a_new_generator_for_each_step_makes_no_new_call() -> None:
    def run() -> None:
        for step in range(50):
            torch.rand(3, generator=torch.Generator().manual_seed(step))

    counter = count(run)
    (mode,) = counter._modes
    assert len(list(mode.calls())) == 1


def test_modules_that_are_entered_again_have_all_their_operations_forward_and_backward() -> None:
    model = Net()
    counter = count(lambda: model(IMAGES).sum().backward())
    linear = 4 * 10 * (2 * 10 - 1) + 4 * 10
    weight, bias, through = 100 * (2 * 4 - 1), 40 - 10, 4 * 10 * (2 * 10 - 1)
    summed = 2 * (100 + 10)  # the gradients of three uses of one layer
    assert counter.by_module["Net.block.inner"] == 3 * (linear + weight + bias + through) + summed
    assert counter.by_module["Net.block"] == 2 * (40 + 40)
    assert counter.by_module["Net.stem"] > 0


@pytest.mark.parametrize("reentrant", [True, False])
def test_recomputed_parts_count_again_and_belong_to_their_module(reentrant: bool) -> None:
    model = Block()
    values = torch.rand(4, 10, requires_grad=True)

    def run() -> None:
        result: Any = checkpoint(model, values, use_reentrant=reentrant)
        result.sum().backward()

    once = count(lambda: model(values).sum().backward())
    values.grad = None
    model.zero_grad()
    again = count(run)
    forward = count(lambda: model(values)).total
    assert again.total == once.total + forward
    assert again.by_module["Block.inner"] > once.by_module["Block.inner"]


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_without_gradients_forward_costs_the_same(mode: Callable[[], Any]) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.SiLU(), nn.Flatten(), nn.Linear(144, 8))
    attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def run() -> None:
        features = model(IMAGES)[None]
        attention(features, features, features, need_weights=False)
        torch.einsum("bij,bkj->bik", features, features).softmax(-1).sum()

    def without() -> None:
        with mode():
            run()

    assert count(without).total == count(run).total > 0


def steps(values: Tensor) -> Tensor:
    return (values.sin() * 2 + values.cos()).relu().sum()


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("fullgraph", [True, False])
def test_compiled_code_costs_what_eager_code_costs(backend: str, before: bool, fullgraph: bool) -> None:
    compiled = torch.compile(steps, backend=backend, fullgraph=fullgraph)
    values = torch.rand(50)
    if before:
        compiled(values)
    assert count(lambda: compiled(values)).total == count(lambda: steps(values)).total > 0


def test_compilation_goes_on_after_the_count() -> None:
    graphs = []

    def backend(graph: Any, _: Any) -> Any:
        graphs.append(graph)
        return graph

    compiled = torch.compile(steps, backend=backend)
    count(lambda: compiled(torch.rand(7)))
    assert not graphs
    compiled(torch.rand(7))
    assert len(graphs) == 1


@pytest.mark.filterwarnings("ignore:.torch.jit:FutureWarning")
def test_scripted_code_costs_what_eager_code_costs() -> None:
    scripted = torch.jit.script(steps)
    values = torch.rand(50)
    for _ in range(3):
        scripted(values)
    assert count(lambda: [scripted(values) for _ in range(3)]).total == 3 * count(lambda: steps(values)).total


def test_operator_without_a_price_is_listed_and_makes_the_total_raise() -> None:
    def run() -> None:
        nn.functional.ctc_loss(
            torch.rand(5, 2, 4).log_softmax(2),
            torch.tensor([[1, 2], [3, 1]]),
            torch.tensor([5, 5]),
            torch.tensor([2, 2]),
        )

    counter = count(run)
    with pytest.raises(Uncounted, match=r"aten\._ctc_loss\.\w+ \(1 call, as in float32\[5, 2, 4\]") as caught:
        _ = counter.total
    ((name, line),) = caught.value.lines.items()
    assert name.startswith("aten._ctc_loss")
    assert line.calls == 1
    assert name in counter.table()
    assert count(run, allow_uncounted=True).total > 0


@pytest.mark.filterwarnings("ignore:Sparse:UserWarning")
@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.eye(3).to_sparse() * 2,
        lambda: torch.sparse.mm(torch.eye(3).to_sparse(), torch.rand(3, 3)),
        lambda: torch.nested.nested_tensor([torch.rand(2), torch.rand(3)]) * 2,
        lambda: torch.rand(3).to(torch.float8_e4m3fn).to(torch.float32),
    ],
)
@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")
def test_unusual_tensors_are_never_free(make: Callable[[], Any]) -> None:
    with pytest.raises(Uncounted):
        _ = count(make).total


@torch.library.custom_op("haet_eval_tests::doubled", mutates_args=())
def doubled(values: Tensor) -> Tensor:
    return values * 2


FIVE = torch.rand(5)
NAME = "haet_eval_tests.doubled.default"


def test_operator_made_in_python_is_counted_by_its_parts() -> None:
    assert count(lambda: doubled(FIVE)).total == 5


@torch.library.custom_op("haet_eval_tests::outside", mutates_args=())
def outside(values: Tensor) -> Tensor:
    return torch.from_numpy(values.detach().numpy() * 2)


def test_operator_made_in_python_that_computes_elsewhere_makes_the_total_raise() -> None:
    name = "haet_eval_tests.outside.default"
    counter = count(lambda: [outside(FIVE) for _ in range(3)])
    with pytest.raises(Uncounted, match=rf"{name} \(3 calls, "):
        _ = counter.total
    assert count(lambda: [outside(FIVE) for _ in range(3)], prices={name: 5}).total == 15


def test_price_of_ones_own_is_used_and_shown_as_not_of_the_standard() -> None:
    counter = count(lambda: doubled(FIVE), prices={NAME: lambda call: 3 * call.out.numel})
    assert counter.total == 15
    assert counter.nonstandard[NAME].operations == 15
    assert "priced by you" in counter.table()
    assert count(lambda: [doubled(FIVE) for _ in range(3)], prices={NAME: 100}).total == 300


@pytest.mark.parametrize("name", ["haet_eval_tests.outside.default", "triton.kernel"])
@pytest.mark.parametrize("price", [-1, 2.5, "10", None])
def test_price_that_is_no_number_of_operations_is_refused(name: str, price: Any) -> None:
    with pytest.raises(ValueError, match=f"price of {name} is .*: give a whole number"):
        OperationCounter(prices={name: price})


@pytest.mark.parametrize("price", [-1, 2.5, "10", None])
def test_function_that_returns_no_number_of_operations_is_refused(price: Any) -> None:
    name = "haet_eval_tests.outside.default"
    counter = count(lambda: outside(torch.rand(3)), prices={name: lambda _: price})
    for figure in ("total", "by_module", "by_operator", "bill"):
        with pytest.raises(ValueError, match=f"price of {name} is .*: give a whole number"):
            getattr(counter, figure)


@pytest.mark.parametrize("name", ["triton.kernel", "graphs of CUDA that were replayed"])
def test_kernel_is_not_priced_by_a_function_of_arguments_that_nobody_sees(name: str) -> None:
    with pytest.raises(ValueError, match=f"price of {name} is a function.*: give a number"):
        OperationCounter(prices={name: lambda call: call.out.numel})


def test_operator_of_a_library_named_triton_may_be_priced_by_a_function() -> None:
    OperationCounter(prices={"triton.scan.default": lambda call: call.out.numel})


def test_price_of_what_is_no_operator_is_in_every_figure() -> None:
    counter = OperationCounter(prices={"processes that were started": 7})
    process = multiprocessing.get_context("spawn").Process(target=print)
    with counter:
        torch.zeros(3) + 1
        process.start()
    process.join()
    assert counter.total == sum(counter.by_module.values()) == sum(counter.by_phase.values()) == 3 + 7
    assert "10 operations" in repr(counter)
    assert "10 operations" in counter.table()


def test_standard_prices_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="stays as it is"):
        OperationCounter(prices={"aten.mm.default": 0})


def test_threads_that_are_started_are_counted() -> None:
    values = torch.rand(50)

    def run() -> None:
        threads = [threading.Thread(target=lambda: steps(values)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert count(run).total == 3 * count(lambda: steps(values)).total


def test_a_thread_that_outlives_the_count_is_not_counted_any_more() -> None:
    steps_asked, steps_done = Queue[bool](), Queue[bool]()

    def work() -> None:
        while steps_asked.get():
            steps(torch.rand(3))
            steps_done.put(True)

    def step() -> None:
        steps_asked.put(True)
        steps_done.get()

    thread, counter = threading.Thread(target=work, daemon=True), OperationCounter()
    with counter:
        thread.start()
        step()
    counted = counter.total
    step()
    assert counter.total == counted > 0
    steps_asked.put(False)
    thread.join()


def test_work_in_other_processes_makes_the_total_raise() -> None:
    def run() -> None:
        data = TensorDataset(torch.rand(4, 2))
        for _ in DataLoader(data, batch_size=2, num_workers=1, multiprocessing_context="forkserver"):
            pass

    counter = count(run)
    with pytest.raises(Uncounted, match=r"processes that were started \(1 call\): .*num_workers=0"):
        _ = counter.total


def test_shapes_without_data_count_when_that_is_asked_for() -> None:
    model = Net().to("meta")

    def run() -> None:
        model(IMAGES.to("meta")).sum().backward()

    with pytest.raises(Uncounted, match="OperationCounter\\(meta=True\\)"):
        _ = count(run).total
    assert (
        count(run, meta=True).total
        == count(lambda: Net()(IMAGES).sum().backward()).by_phase["forward"]
        + (count(run, meta=True).by_phase["backward"])
    )


def test_model_that_is_made_on_meta_first_draws_its_weights_once() -> None:
    def run() -> None:
        with torch.device("meta"):
            layer = nn.Linear(10, 10)
        layer.to_empty(device="cpu").reset_parameters()

    assert count(run).total == count(lambda: nn.Linear(10, 10)).total


@pytest.mark.filterwarnings("ignore:Sparse:UserWarning")
@pytest.mark.parametrize(
    "call",
    [
        lambda values: values * values,
        lambda values: torch.pow(2.0, values),
        lambda values: torch.normal(1.0, values),
        lambda values: torch.ops.aten.add.out(1.0 * values, values, out=torch.empty_like(values)),
        lambda values: torch.ops.aten._foreach_add.Scalar([values, values], 1.0),
        lambda values: torch.ops.aten._foreach_mul_.Scalar([values], 2.0),
        lambda values: torch.stack([values, values]),
        lambda values: values[torch.zeros(3, dtype=torch.long, device=values.device)],
        lambda values: torch.zeros(9, device=values.device),
        lambda values: torch.where(values > 0.5, 1.0, values),
        lambda values: torch.empty(9, layout=torch.sparse_coo, device=values.device).clone(),
    ],
)
def test_calls_on_data_count_after_equal_calls_about_shapes(call: Callable[[Tensor], Any]) -> None:
    def run() -> None:
        call(torch.rand(9, device="meta"))
        call(values)

    values = torch.rand(9)
    alone, after = count(lambda: call(values)).histogram, count(run).histogram
    assert len(alone) > 0
    assert after.to_json() == alone.to_json()


def test_counters_inside_of_each_other_and_entered_again() -> None:
    values = torch.rand(50)
    each = count(lambda: steps(values)).total
    outer, inner = OperationCounter(), OperationCounter()
    with outer:
        steps(values)
        with inner:
            steps(values)
    with inner:
        steps(values)
    assert (outer.total, inner.total) == (2 * each, 2 * each)
    with outer, pytest.raises(RuntimeError, match="entered already"):
        outer.__enter__()


def test_nothing_of_the_counter_is_left_after_an_error() -> None:
    call, start = nn.Module.__call__, threading.Thread._bootstrap_inner  # type: ignore[attr-defined]
    counter = OperationCounter()

    def fail() -> None:
        with counter:
            steps(torch.rand(3))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    total = counter.total
    steps(torch.rand(3))
    assert counter.total == total
    assert nn.Module.__call__ is call
    assert threading.Thread._bootstrap_inner is start  # type: ignore[attr-defined]


def test_nothing_of_the_counter_is_left_if_it_cannot_be_entered(monkeypatch: pytest.MonkeyPatch) -> None:
    call, graph = nn.Module.__call__, torch.cuda.CUDAGraph.replay
    counter = OperationCounter()
    # Triton as it may be one day, without the class that is watched.
    monkeypatch.setitem(sys.modules, "triton.runtime.jit", ModuleType("triton.runtime.jit"))
    with pytest.raises(AttributeError, match="JITFunction"), counter:
        pass
    assert (nn.Module.__call__, torch.cuda.CUDAGraph.replay) == (call, graph)
    monkeypatch.undo()
    with counter:
        torch.zeros(3) + 1
    assert counter.total == 3


def test_lazily_conjugated_and_negated_tensors_are_distinguished() -> None:
    plain = torch.rand(9, dtype=torch.complex64)
    conjugated, negated = plain.conj(), torch._neg_view(plain)

    def run() -> None:
        for values in (plain, conjugated, negated, plain):
            values * plain

    each = [count(partial(torch.mul, one, plain)).total for one in (plain, conjugated, negated)]
    assert len(set(each)) == 3
    assert count(run).total == sum(each) + each[0]


def test_outputs_whose_size_depends_on_data_are_priced_each() -> None:
    values = torch.arange(10.0)
    masks = [values > 3, values > 7, values > 3]
    each = [count(partial(values.__getitem__, mask)).total for mask in masks]
    assert each[0] == each[2] != each[1]
    assert count(lambda: [values[mask] for mask in masks]).total == sum(each)


def test_backend_operators_of_plain_pytorch_have_prices() -> None:
    wanted = (
        *("_scaled_dot_product_efficient_attention", "_scaled_dot_product_flash_attention"),
        *("_scaled_dot_product_cudnn_attention", "_scaled_dot_product_flash_attention_for_cpu"),
        *("cudnn_batch_norm", "cudnn_batch_norm_backward", "mkldnn_rnn_layer", "mkldnn_rnn_layer_backward"),
        *("cudnn_convolution", "mkldnn_convolution", "_transformer_encoder_layer_fwd"),
    )
    assert {f"aten.{name}.default" for name in wanted} <= priced_operators()


def test_fused_layers_cost_what_their_parts_cost() -> None:
    layer = nn.TransformerEncoderLayer(16, 2, 32, activation="gelu", batch_first=True).eval()
    recurrent = nn.LSTM(6, 5, num_layers=2, batch_first=True)
    values, sequence = torch.rand(3, 7, 16), torch.rand(2, 4, 6)

    def run() -> None:
        with torch.inference_mode():
            layer(values)
            recurrent(sequence)

    fused = count(run)
    assert any("mkldnn_rnn_layer" in name or "_transformer_encoder" in name for name in fused.by_operator)
    fastpath = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        torch._C._set_mkldnn_enabled(False)
        written_out = count(run)
    finally:
        torch._C._set_mkldnn_enabled(True)
        torch.backends.mha.set_fastpath_enabled(fastpath)
    assert fused.total == written_out.total


def test_table_says_what_it_counts_and_what_it_does_not_prove() -> None:
    shown = count(lambda: trained(Net())).table(depth=1, rows=3)
    for words in (
        "operations, under counting standard 2",
        "multiply-adds",
        "phase",
        "Net ",
        "proves nothing",
    ):
        assert words in shown
    assert "more)" in shown


def test_importing_the_package_does_not_import_torch() -> None:
    code = "import haet_eval, sys; assert 'torch' not in sys.modules and 'pydantic' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert {"OperationCounter", "load_records", "price"} <= set(dir(haet_eval))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = haet_eval.nothing  # type: ignore[attr-defined]
