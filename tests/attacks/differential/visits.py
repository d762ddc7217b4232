"""One visit to an operator: calls of it are tried, recorded ones as they are and others."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Final, TypeAlias

from tests.attacks.differential.generation import any_call
from tests.attacks.differential.honest import OUT_OF_MEMORY, HonestTrial
from tests.attacks.differential.report import Note, Outcome, Visit
from tests.attacks.differential.trial import Trial
from tests.attacks.differential.twins import FILLINGS, memory_filled, told_apart
from tests.attacks.recorded_calls import RecordedCall, recorded_calls

PLAIN_TRIALS: Final = 12
HONEST_TRIALS: Final = 2

Visitor: TypeAlias = Callable[[str, int, int, Note], Visit]


def hostile(name: str, seed: int, trials: int, note: Note) -> Visit:
    """Records as a hostile client may send them; recorded calls as they are until one is repeated."""
    chance = Random(seed)
    seen = Visit(name, seed, "hostile")
    recorded = recorded_calls().get(name, ())
    for call in chance.sample(recorded, min(len(recorded), PLAIN_TRIALS)):
        Trial(call, chance, seen, note, tame=True).run()
        if seen.outcomes[Outcome.CACHED]:
            break
    for _ in range(trials):
        with _memory_may_run_out():
            _try_twice(any_call(name, recorded, chance), chance.getrandbits(64), seen, note)
    return seen


def honest(name: str, seed: int, trials: int, note: Note) -> Visit:
    """Calls through the real client, and plainly."""
    chance = Random(seed)
    seen = Visit(name, seed, "honest")
    recorded = recorded_calls().get(name, ())
    for call in chance.sample(recorded, min(len(recorded), HONEST_TRIALS)):
        HonestTrial(call, chance, seen, note, tame=True).run()
    for _ in range(trials):
        with _memory_may_run_out():
            HonestTrial(any_call(name, recorded, chance), chance, seen, note).run()
    return seen


VISITORS: Final[dict[str, Visitor]] = {"hostile": hostile, "honest": honest}


@contextmanager
def _memory_may_run_out() -> Iterator[None]:
    """What a kernel could make, the comparison may not be able to hold as well."""
    try:
        yield
    except MemoryError:
        return
    except RuntimeError as error:
        if OUT_OF_MEMORY not in str(error):
            raise


def _try_twice(call: RecordedCall, seed: int, seen: Visit, note: Note) -> None:
    """With other data, and other memory: what is not data must be the same."""
    steps = []
    for secret, filling in enumerate(FILLINGS):
        trial = Trial(call, Random(seed), seen, note, secret=secret)
        with memory_filled(filling):
            trial.run()
        steps.append(trial.steps)
    apart = told_apart(*steps)
    if apart is not None:
        seen.find("data shows", apart, call)
