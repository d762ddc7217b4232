"""What describes the calls of a run is bounded as the histogram has it, not only as the wire has it.

On the wire a tensor of a call is its number, and in the histogram it is its dtype, shape and strides.
Before, 32 MiB of the one could become gigabytes of the other, in the memory of the host and after the
training's time.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from haet_eval.errors import SubmissionFailure
from haet_eval.operators.signature import TensorMeta
from haet_eval.remote import charges, wire
from haet_eval.remote.wire import Code, Fresh, Value
from tests.unit.remote import frames
from tests.unit.remote.bench import Bench
from tests.unit.remote.frames import TENSOR

MOST = 1 << 20
ONES = TensorMeta((1,) * 64, (1 << 62,) * 64, 0, "float32")


def _made(bench: Bench, meta: TensorMeta) -> int:
    arguments = {"size": meta.shape, "stride": meta.stride}
    return bench.define("aten.empty_strided.default", arguments, answer=frames.outcome(Fresh(meta, -1)))


def lists(bench: Bench) -> Iterator[None]:
    """New calls on lists of 500 tensors."""
    tensor = _made(bench, ONES)
    joined = Fresh(TensorMeta((500, *ONES.shape[1:]), (1,) * 64, 0, "float32"), -1)
    for dimension in range(64):
        arguments: dict[str, Value] = {"tensors": (TENSOR,) * 500, "dim": dimension}
        bench.define("aten.cat.default", arguments, (tensor,) * 500, answer=frames.outcome(joined))
        yield


def sizes(bench: Bench) -> Iterator[None]:
    """Other sizes of one call, which data decide."""
    tensor = _made(bench, ONES)
    truths = Fresh(replace(ONES, dtype="bool"), -1)
    mask = bench.define(
        "aten.logical_not.default", {"self": TENSOR}, (tensor,), answer=frames.outcome(truths)
    )
    arguments = {"self": TENSOR, "mask": TENSOR}
    found = frames.outcome(frames.fresh(0))
    bench.define("aten.masked_select.default", arguments, (tensor, mask), answer=found)
    for size in range(1, 2000):
        bench.ask_again(bench.templates - 1, tensor, mask, answer=frames.outcome(frames.fresh(size)))
        yield


def views(bench: Bench) -> Iterator[None]:
    """Views of a tensor of many dimensions."""
    tensor = _made(bench, TensorMeta((1 << 20, *ONES.shape[1:]), (1, *ONES.stride[1:]), 0, "float32"))
    for end in range(2000):
        bench.send(wire.SLICE.pack(Code.SLICE, tensor, 0, 0, end, 1))
        yield


@pytest.mark.parametrize("calls", [lists, sizes, views])
def test_a_run_ends_before_its_histogram_is_large(
    calls: Callable[[Bench], Iterator[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(charges, "MAX_DESCRIBED_BYTES", MOST)
    bench = Bench()
    with pytest.raises(SubmissionFailure) as ended:
        for _ in calls(bench):
            pass

    assert ended.value.code == "limit-signatures"
    assert MOST / 3 < len(bench.meter.histogram().to_json()) < 2 * MOST
