"""A client cuts its stream into frames as it likes, and a trace does not show how. A recount follows it.

Before, a question in the frame in which an inventory fell due made a trace that `verify` contradicted. A
submission that waited with it until its time was over made that the evaluator's fault: it recounts such runs.
"""

from pathlib import Path

import pytest

from haet_eval.operators.signature import TensorMeta
from haet_eval.remote import wire
from haet_eval.remote.executor.executor import Executor
from haet_eval.remote.messages import ModelTensor, Returned
from haet_eval.remote.meter import INVENTORY_RECORDS
from haet_eval.remote.recount import recount
from haet_eval.remote.trace import BrokenTrace, Kind, TraceWriter, read_trace
from haet_eval.remote.wire import Channel, Code
from tests.attacks.played import End, Play, hand_in, played, take_job
from tests.unit.remote import frames

NOTHING = wire.PHASE.pack(Code.PHASE, 1)
LOGITS = wire.encode_upload(TensorMeta((4, 10), (10, 1), 0, "float32"), bytes(160))
QUESTIONS = {
    "a value": wire.READ.pack(Code.READ, 2),
    "a new call": frames.define("aten.zeros.default", {"size": (2,)}, ()),
    "a refused name": frames.define("aten.from_file.default", {}, ()),
}


def sends(*parts: tuple[int, bytes]) -> Play:
    """A client that sends frames of so many records that do nothing, each with a question at its end."""

    def play(end: End) -> None:
        take_job(end)
        end.send(Channel.STREAM, LOGITS)
        for count, question in parts:
            end.send(Channel.STREAM, NOTHING * count + question)
            end.receive()
        hand_in(end, Returned(tensors=(ModelTensor(name="w", handle=3, role="buffer"),)), logits=3)

    return play


def executes(end: End) -> None:
    Executor(end.sock).serve()


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
@pytest.mark.parametrize("early", [0, 1, 2, 40])
def test_a_question_in_the_frame_in_which_an_inventory_falls_due(
    early: int, question: bytes, tmp_path: Path
) -> None:
    parts = (INVENTORY_RECORDS - early, question), (50, question), (50, question)
    with played(sends(*parts), executes, tmp_path) as stage:
        stage.run()
        stage.trace.close()
        found = recount(stage.trace_path)

    assert found.histogram.to_json() == stage.meter.histogram().to_json()
    assert found.training.messages > INVENTORY_RECORDS


def test_an_inventory_cannot_be_put_off_by_more_questions(tmp_path: Path) -> None:
    question = QUESTIONS["a value"]
    parts = (INVENTORY_RECORDS - 1, question), (0, question)
    with played(sends(*parts), executes, tmp_path) as stage:
        stage.run()
        stage.trace.close()

    entries = list(read_trace(stage.trace_path))
    first = next(place for place, (kind, _) in enumerate(entries) if kind is Kind.INVENTORY)
    put_off = [*entries[1:first], entries[first + 1], entries[first], *entries[first + 2 :]]
    assert entries[first + 1][0] is Kind.QUESTION
    path = tmp_path / "changed"
    writer = TraceWriter(path, {"images": [8, 3, 4, 4]})
    for kind, body in put_off:
        writer.add(kind, body)
    writer.close()

    with pytest.raises(BrokenTrace, match="an inventory is missing"):
        recount(path)
