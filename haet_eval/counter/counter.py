"""OperationCounter: how many operations one's own training takes, under the counting standard."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from haet_eval.counter.elsewhere import META, Elsewhere, hint, is_elsewhere
from haet_eval.counter.mode import CountedCall, CountingMode
from haet_eval.counter.places import Places
from haet_eval.counter.table import table
from haet_eval.counting.bill import Bill, BillLine, OwnPrice, UncountedLine, bill, own_price, price_with
from haet_eval.counting.histogram import PHASES, Histogram
from haet_eval.counting.multiply_adds import multiply_adds
from haet_eval.operators.signature import Signature

# An error message has to stay readable if a training has hundreds of calls without a price.
_SHOWN = 5


class Uncounted(LookupError):
    """A total was asked for, and something that ran has no price; `lines` has each of these by name."""

    def __init__(self, lines: Mapping[str, UncountedLine]) -> None:
        self.lines = dict(lines)
        shown = [
            f"{name} ({_calls_of(line)}{f', as in {line.shapes[0]}' if line.shapes else ''}): {line.hint}"
            for name, line in list(lines.items())[:_SHOWN]
        ]
        more = f"\n  and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
        super().__init__(
            "The total is not known: some of what ran has no price.\n  "
            + "\n  ".join(shown)
            + more
            + "\nGive a price with OperationCounter(prices={name: operations}), or leave it out of the total "
            "with OperationCounter(allow_uncounted=True)."
        )


class OperationCounter:
    """Counts the operations of ordinary PyTorch in this process, on any device.

        with OperationCounter() as ops:
            train()
        print(ops.total)
        print(ops.table())

    The prices are those of the counting standard, and the total is what haet-eval counts when it judges the
    same calls. It is for your own work: code that is counted in its own process can change the count, so it
    proves nothing about code of somebody else. `haet-eval` judges that.

    A counter may be entered several times; what it counts adds up. While it is entered, compiled code runs
    eagerly, and threads that are started are counted as well.

    Args:
        prices: prices for operators that the standard has none for, by overload (`"mylib.scan.default"`) or
            by kernel (`"triton.my_kernel"`): a number of operations for each call, or a function from the
            call's `haet_eval.operators.signature.Signature` to such a number. Nobody sees the arguments of a
            kernel, so its price is a number. These prices are not of the standard, and `nonstandard` shows
            what they come to.
        allow_uncounted: let `total` leave out what has no price; `uncounted` lists it in any case.
        meta: count calls on the device `meta`, which have shapes and compute nothing: a whole training there
            gives its count at no cost. Otherwise they count nothing, as for the judge, since models are
            often made there before they get memory.

    Raises:
        ValueError: the standard has a price for an operator of `prices`, or one of these is no number of
            operations. Functions of an operator's call are asked when the count is read.
    """

    def __init__(
        self,
        *,
        prices: Mapping[str, OwnPrice] | None = None,
        allow_uncounted: bool = False,
        meta: bool = False,
    ) -> None:
        self._own = dict(prices or {})
        for name, price in self._own.items():
            if callable(price) and is_elsewhere(name):
                raise ValueError(f"the price of {name} is a function, but it shows no call: give a number")
        # The result is not used here: the call raises for a name that has a price, before a training has run
        # for hours.
        price_with(self._own)
        self._allowed = allow_uncounted
        self._meta = meta
        self._places = Places()
        # Modes of threads that have ended stay here, and so do those of former entries: their counts are part
        # of the total.
        self._modes: list[CountingMode] = []
        self._entered: list[tuple[ExitStack, Elsewhere]] = []
        self._kernels: defaultdict[str, int] = defaultdict(int)

    def __enter__(self) -> Self:
        if self._entered:
            raise RuntimeError("This OperationCounter is entered already: use a second one inside of it.")
        elsewhere = Elsewhere(self._new_mode)
        # It is undone in the reverse order: a counter inside of another one puts back the other's patches. If
        # a step fails, those before it are undone at once.
        with ExitStack() as undo:
            undo.callback(self._places.remove)
            self._places.install()
            undo.callback(elsewhere.remove)
            elsewhere.install()
            undo.enter_context(self._new_mode())
            self._entered.append((undo.pop_all(), elsewhere))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        undo, elsewhere = self._entered[-1]
        undo.__exit__(kind, error, trace)
        self._entered.pop()
        # After the pop: `_noted` adds what entered counters have noted, and would count the same calls twice.
        for name, count in elsewhere.noted.items():
            self._kernels[name] += count

    def _new_mode(self) -> CountingMode:
        mode = CountingMode(self._places, self._own.keys())
        self._modes.append(mode)
        return mode

    # What was counted.

    @property
    def total(self) -> int:
        """Operations in all.

        Raises:
            Uncounted: something has no price, and `allow_uncounted` was not given.
        """
        uncounted = self.uncounted
        if uncounted and not self._allowed:
            raise Uncounted(uncounted)
        return self.bill.total + self._operations_of_kernels()

    @property
    def bill(self) -> Bill:
        """The dispatched calls, priced: total, by phase, by operator, and those without a price."""
        return bill(self.histogram, self._own)

    @property
    def by_phase(self) -> dict[str, int]:
        """Operations by phase: initialisation, input, forward, backward, optimizer, other."""
        found = self.bill.by_phase
        found["other"] += self._operations_of_kernels()
        return found

    @property
    def by_operator(self) -> dict[str, BillLine]:
        """Calls and operations by overload, as in `aten.mm.default`; the dearest first."""
        lines = self.bill.by_operator | self._kernel_lines()
        return dict(sorted(lines.items(), key=lambda item: (-item[1].operations, item[0])))

    @property
    def by_module(self) -> dict[str, int]:
        """Operations by module, forward and backward; "" for those that no module made.

        Each operation belongs to the innermost module that made it, so that the values add up to the total,
        however often a module is entered. Paths begin with the class of the outermost module, as in
        `ResNet.layer1.0.conv1`.
        """
        found: defaultdict[str, int] = defaultdict(int)
        price_one = price_with(self._own)
        for call, signature in self._signed():
            price = price_one(signature) or 0
            for place, count in call.counts.items():
                found[place.module] += price * count
        # A kernel that is not an operator has no place, but the values must add up to the total.
        found[""] += self._operations_of_kernels()
        return {path: count for path, count in sorted(found.items()) if count}

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of matrix products, convolutions and attention, which other counters call MACs.

        A product and its addition are one multiply-add and two operations, and `total` counts everything
        else as well: normalisation, activations, losses, optimizers, augmentation, random numbers.
        """
        return sum(multiply_adds(signature) * sum(call.counts.values()) for call, signature in self._signed())

    @property
    def uncounted(self) -> dict[str, UncountedLine]:
        """What has no price: its calls, some of the shapes it ran with, and what to do about it."""
        lines = dict(self.bill.uncounted)
        for name, count in self._noted().items():
            if name not in self._own:
                lines[name] = UncountedLine(count, [], hint(name))
        # Models are often made on `meta` before they get memory, so such calls are reported only if there was
        # nothing else.
        on_meta = sum(sum(call.counts.values()) for call in self._calls() if call.meta)
        if on_meta and not self._meta and not any(True for _ in self._signed()):
            lines[META] = UncountedLine(on_meta, [], hint(META))
        return lines

    @property
    def nonstandard(self) -> dict[str, BillLine]:
        """Calls and operations of what was priced by `prices` and not by the standard."""
        return {name: line for name, line in self.by_operator.items() if name in self._own}

    @property
    def histogram(self) -> Histogram:
        """How often each distinct call was made in each phase, in the form that records keep."""
        return Histogram((signature, _by_phase(call)) for call, signature in self._signed())

    def table(self, *, depth: int = 2, rows: int = 15) -> str:
        """Phases, modules and operators with their shares, as text.

        Args:
            depth: how many parts of a module's path are distinguished.
            rows: how many modules and operators are shown, the dearest first.
        """
        return table(self, depth, rows)

    def __repr__(self) -> str:
        known = self.bill.total + self._operations_of_kernels()
        return f"<OperationCounter: {known:,} operations, {len(self.uncounted)} operators uncounted>"

    # Parts.

    def _signed(self) -> Iterator[tuple[CountedCall, Signature]]:
        for call in self._calls():
            if call.signature is not None and (self._meta or not call.meta):
                yield call, call.signature

    def _calls(self) -> Iterator[CountedCall]:
        for mode in self._modes:
            yield from mode.calls()

    def _noted(self) -> dict[str, int]:
        noted = dict(self._kernels)
        for _, elsewhere in self._entered:
            for name, count in elsewhere.noted.items():
                noted[name] = noted.get(name, 0) + count
        return noted

    def _kernel_lines(self) -> dict[str, BillLine]:
        """Kernels that are no operators and that have a price of their own."""
        return {
            name: BillLine(count, count * own_price(name, self._own[name]))
            for name, count in self._noted().items()
            if name in self._own
        }

    def _operations_of_kernels(self) -> int:
        return sum(line.operations for line in self._kernel_lines().values())


def _calls_of(line: UncountedLine) -> str:
    return "1 call" if line.calls == 1 else f"{line.calls:,} calls"


def _by_phase(call: CountedCall) -> list[int]:
    calls = [0] * len(PHASES)
    # A copy: the counter may be read while another thread counts, and that may add a place.
    for place, count in list(call.counts.items()):
        calls[place.phase] += count
    return calls
