"""The meter's books about random generators: whether their next numbers depend on data."""

from dataclasses import dataclass, field

from haet_eval.errors import SubmissionFailure, Verdict
from haet_eval.remote.charges import check_states
from haet_eval.remote.wire import DEFAULT_GENERATOR, WireError


@dataclass(slots=True)
class _Marked:
    """Generators and saved states that have something in common."""

    generators: set[int] = field(default_factory=set)
    states: set[int] = field(default_factory=set)

    def save(self, generator: int, number: int) -> None:
        if generator in self.generators:
            self.states.add(number)

    def load(self, generator: int, number: int) -> None:
        # The state is replaced as a whole: a clean state makes the generator clean again.
        self.generators.discard(generator)
        if number in self.states:
            self.generators.add(generator)


class Generators:
    """Generators by number, and their saved states.

    A generator is tainted if the number of draws from it depended on data. Then the position in its sequence
    carries information about data, and so does every number that it draws next.
    A tainted generator becomes stale when the training or a batch ends. Only the model may outlive these, so
    a prediction must not draw from a stale generator. Every method that takes the number of a generator
    raises WireError if it is out of range.
    """

    def __init__(self) -> None:
        self._tainted = _Marked()
        self._stale = _Marked()
        self._saved = 0

    def seed(self, generator: int) -> None:
        _check(generator)
        for marked in (self._tainted, self._stale):
            marked.generators.discard(generator)

    def save(self, generator: int, number: int) -> None:
        """Keep a state.

        Raises:
            WireError: its number is not the next.
            SubmissionFailure: too many states were saved.
        """
        _check(generator)
        # The executor appends each state to a list, so the number of a state is its place there.
        if number != self._saved:
            raise WireError("a state saved out of order")
        self._saved += 1
        check_states(self._saved)
        for marked in (self._tainted, self._stale):
            marked.save(generator, number)

    def load(self, generator: int, number: int) -> None:
        """Go back to a state.

        Raises:
            WireError: it was never saved.
        """
        _check(generator)
        if number >= self._saved:
            raise WireError("a state that was never saved")
        for marked in (self._tainted, self._stale):
            marked.load(generator, number)

    def draw(self, generator: int, tainted: bool, spills: bool) -> bool:
        """Whether the drawn numbers depend on data, through the inputs of the call or through earlier draws.

        Raises:
            SubmissionFailure: the generator is stale.
        """
        if generator in self._stale.generators:
            raise SubmissionFailure(
                Verdict.FAILED,
                "The model drew random numbers from a generator whose state depends on data that it saw in "
                "training or in an earlier batch. Seed it anew in forward(), with torch.manual_seed().",
                code="model-generator",
            )
        # An ordinary draw of dropout takes as many numbers as there are elements, so it leaves no trace of
        # values (decision 0051).
        if tainted and spills:
            self._tainted.generators.add(generator)
        return tainted or generator in self._tainted.generators

    def forget(self) -> None:
        """The training or a batch has ended: all tainted generators and states become stale."""
        # They stay tainted as well: a seed takes a generator out of both sets.
        self._stale.generators |= self._tainted.generators
        self._stale.states |= self._tainted.states


def _check(generator: int) -> None:
    # The executor makes a generator for each number, so the numbers bound its memory.
    if not DEFAULT_GENERATOR <= generator <= 0xFFFF:
        raise WireError("a generator out of range")
