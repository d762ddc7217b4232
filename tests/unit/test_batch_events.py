"""What a node of a cluster says of a run arrives as it was sent."""

import json

import pytest

from haet_eval.batch.cluster import _event, _message
from haet_eval.batch.judge import StageReached
from haet_eval.progress import Tick

TICKS = [
    None,
    Tick("train", 3.0, 60.0, 2**80),
    Tick("train", 3.0, None, None),
    Tick("train", 3.0, 60.0, 0, share=0.25, seconds_left=9.5),
]


@pytest.mark.parametrize("tick", TICKS)
def test_a_message_travels_as_an_event(tick: Tick | None) -> None:
    message = StageReached("key", "node", "train", tick)
    assert _message(json.loads(json.dumps(_event(message)))) == message
