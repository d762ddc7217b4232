"""One run in small: define a template, call it again with tensors that lie otherwise, compare each time."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Final

import torch

from haet_eval.remote.handles import Storage
from haet_eval.remote.messages import ModelTensor
from haet_eval.remote.template import Template
from tests.attacks.differential.arrangement import APART, PADDED, Pattern, Wanted, any_pattern, arranged
from tests.attacks.differential.memory import bytes_of, changed_outside
from tests.attacks.differential.report import Note, Outcome, Visit
from tests.attacks.differential.sending import Sent, Unsendable, sent
from tests.attacks.differential.strolls import stroll
from tests.attacks.differential.twins import Numbers, Step
from tests.attacks.differential.values import fill_tamely, fill_wildly
from tests.attacks.differential.world import OVER, Answer, Kind, World
from tests.attacks.recorded_calls import RecordedCall

REPETITIONS: Final = 3
MAX_NUMEL: Final = 1 << 17
NAMES: Final = ("weight", "größe", 'a "quoted" \\ name', "")
_OUTCOMES: Final = {
    Kind.REFUSED: Outcome.REFUSED,
    Kind.FAILED: Outcome.FAILED,
    Kind.MISMATCHED: Outcome.MISMATCHED,
    Kind.CLOSED: Outcome.CLOSED,
    Kind.FAULTY: Outcome.FAILED,
}


@dataclass(slots=True)
class Trial:
    """A call, the chance that decides how it is tried, and where to write what was seen.

    `tame`: all values are small, and the tensors that define the template lie apart, those of the first
    repetition as well. `secret`: tensors that are tainted hold other values for another. `steps`: what each
    record left.
    """

    call: RecordedCall
    chance: Random
    visit: Visit
    note: Note
    tame: bool = False
    secret: int = 0
    steps: list[Step] = field(default_factory=list)
    world: World = field(default_factory=World)
    _numbers: Numbers = field(default_factory=lambda: Numbers(0))
    _secrets: Numbers = field(default_factory=lambda: Numbers(0))

    def run(self) -> None:
        torch.manual_seed(self.chance.getrandbits(32))
        self._numbers = Numbers(self.chance.getrandbits(32))
        self._secrets = Numbers(self.secret)
        try:
            form = sent(self.call, self.chance)
        except Unsendable:
            return
        if sum(one.meta.numel for one in form.wanted) > MAX_NUMEL:
            return
        handles = self._handles(form, None, APART if self.tame else any_pattern(self.chance))
        answer = self._record("define", form, handles, None)
        template = answer.asked
        if answer.kind is not Kind.OK or template is None:
            return
        for repetition in range(REPETITIONS):
            if not self._stroll():
                return
            pattern = PADDED if self.tame and not repetition else any_pattern(self.chance)
            handles = self._handles(form, template, pattern)
            if self.chance.random() < 0.1:
                self._call_with_other_layouts(form, handles, template)
            answer = self._record("call", form, handles, template)
            if answer.kind in OVER:
                return
        self._seal()

    # Tensors.

    def _handles(self, form: Sent, template: Template | None, pattern: Pattern) -> list[int]:
        """The tensors of a call in both worlds. A template that is exact needs its offsets again."""
        wanted = list(form.wanted)
        if template is not None and template.exact:
            pairs = zip(wanted, template.offsets, strict=True)
            wanted = [replace(one, offset=offset) for one, offset in pairs]
        if template is not None and self.chance.random() < 0.2:
            wanted = [replace(one, storage_bytes=0) for one in wanted]
        made = self._made()
        numbers = self._put(wanted, pattern)
        numbers = [made.get(name, number) for name, number in zip(form.names, numbers, strict=True)]
        return [number if number in made.values() else self._or_another(number) for number in numbers]

    def _or_another(self, number: int) -> int:
        """Now and then a tensor of the same layout that is there already: what an earlier call returned."""
        if self.chance.random() < 0.8:
            return number
        known = self.world.handles[number]
        exact = self.call.schema().facts.exact
        alike = [
            other
            for other, handle in self.world.handles.items()
            if handle.layout == known.layout and (handle.offset == known.offset or not exact)
        ]
        return self.chance.choice(alike)

    def _put(self, wanted: Sequence[Wanted], pattern: Pattern) -> list[int]:
        with self._numbers.drawn():
            tensors = arranged(wanted, pattern, self._fill, self.chance)
        share = self.chance.choice((0.0, 0.5, 1.0))
        tainted = {t.untyped_storage()._cdata: self.chance.random() < share for t in tensors}
        numbers: dict[int, int] = {}
        for one, tensor in zip(wanted, tensors, strict=True):
            held = tensor.untyped_storage()
            if self.secret and tainted[held._cdata]:
                with self._secrets.drawn():
                    fill_tamely(tensor, one)
            if id(tensor) not in numbers:
                numbers[id(tensor)] = self.world.put(tensor, tainted=tainted[held._cdata])
            if self.chance.random() < 0.2:
                # A tensor that nobody names, over all of the storage: what happens to that shows in it.
                length = held.nbytes() // tensor.element_size()
                whole = torch.empty(0, dtype=tensor.dtype).set_(held, 0, (length,), (1,))
                self.world.put(whole, tainted=tainted[held._cdata])
        return [numbers[id(tensor)] for tensor in tensors]

    def _fill(self, tensor: torch.Tensor, one: Wanted) -> None:
        if self.tame or self.chance.random() < 0.5:
            fill_tamely(tensor, one)
        else:
            fill_wildly(tensor, one, self.chance)

    def _made(self) -> dict[str, int]:
        """By parameter, tensors that other operators make: the meter asks where some tensors come from."""
        made: dict[str, int] = {}
        if not self.call.schema().facts.by_origin:
            return made
        for name, origin in self.call.origins.items():
            try:
                form = sent(RecordedCall(origin.operator, origin.arguments), self.chance)
            except Unsendable:
                continue
            handles = self._put(form.wanted, APART)
            number = self.world.meter.next_handle + origin.output
            answer = self.world.define(form.definition, handles, form.floats)
            handle = self.world.handles.get(number)
            if answer.kind is Kind.OK and handle is not None and handle.meta == self.call.arguments[name]:
                made[name] = number
        return made

    # Records, and the checks after each.

    def _record(self, step: str, form: Sent, handles: Sequence[int], template: Template | None) -> Answer:
        world = self.world
        self.note.write(f"{step} {self.call}")
        before = bytes_of(world.executor.tensors.values())
        storages = [world.handles[number].storage for number in handles]
        inputs = [world.executor.tensors[number] for number in handles]
        tainted = any(storage.tainted for storage in storages)
        first = world.meter.next_handle
        if template is None:
            answer = world.define(form.definition, handles, form.floats)
        else:
            answer = world.call(template, handles, form.floats)
        self._count(answer, template is None)
        known = template or answer.asked
        ended = f"{step} {answer.kind}"
        if answer.kind in {Kind.FAULTY, Kind.MISMATCHED}:
            self.visit.find(f"{step} {answer.kind}", answer.text, self.call)
        if answer.kind in OVER:
            self._check_that_it_is_over(step)
            return answer
        self._compare(ended)
        written = known.written if known is not None and answer.kind is Kind.OK else ()
        places = [inputs[position] for position in written]
        after = bytes_of(world.executor.tensors.values())
        if changed_outside(before, after, places):
            self.visit.find(f"{ended}: bytes", "bytes changed that the call does not write", self.call)
        self._keep(answer, tainted, known, after)
        if answer.kind is Kind.OK and tainted:
            self._check_taint(step, first, [storages[position] for position in written])
        return answer

    def _keep(
        self, answer: Answer, tainted: bool, template: Template | None, contents: dict[int, bytes]
    ) -> None:
        handles, tensors = self.world.handles, self.world.executor.tensors
        metas = {number: handle.meta for number, handle in handles.items()}
        untainted = {
            number: contents[tensors[number].untyped_storage()._cdata]
            for number, handle in handles.items()
            if not handle.storage.tainted and number in tensors
        }
        dynamic = template is not None and template.dynamic
        self.steps.append(Step(answer.kind, tainted, dynamic, metas, untainted))

    def _count(self, answer: Answer, defines: bool) -> None:
        accepted = Outcome.ACCEPTED if defines else Outcome.CACHED
        self.visit.outcomes[_OUTCOMES.get(answer.kind, accepted)] += 1

    def _compare(self, step: str) -> None:
        for difference in self.world.differences():
            self.visit.find(f"{step}: difference", difference, self.call)

    def _check_taint(self, step: str, first: int, written: Sequence[Storage]) -> None:
        handles = self.world.handles
        made = [handles[number].storage for number in handles if number >= first]
        if not all(storage.tainted for storage in (*made, *written)):
            self.visit.find(f"{step}: taint", "an output of tainted inputs is not tainted", self.call)

    def _check_that_it_is_over(self, step: str) -> None:
        """After a failure the executor does nothing more, and says so."""
        executor = self.world.executor
        tensors = dict(executor.tensors)
        executor.inventory()
        if executor.failed is not None and not executor.refuses_all:
            self.visit.find(f"{step}: failure", "a question after it was answered", self.call)
        if executor.tensors != tensors:
            self.visit.find(f"{step}: failure", "it has made tensors", self.call)

    def _seal(self) -> None:
        """Now and then the training ends, with any of the tensors as its model."""
        if self.chance.random() < 0.8 or not self.world.handles:
            return
        numbers = self.chance.choices(list(self.world.handles), k=self.chance.choice((1, 2, 5)))
        model = tuple(
            ModelTensor(name=f"{place}.{self.chance.choice(NAMES)}", handle=number, role="buffer")
            for place, number in enumerate(numbers)
        )
        self.note.write(f"seal {self.call}")
        answer = self.world.seal(model)
        if answer.kind is not Kind.OK:
            self.visit.find("seal", answer.text, self.call)
        self._compare("seal")

    def _stroll(self) -> bool:
        """A few other records between the calls; whether the run goes on."""
        for answer in stroll(self.world, self.chance):
            if answer.kind is not Kind.OK:
                self.visit.find("other record", answer.text, self.call)
                return False
            self._compare("other record")
        return True

    def _call_with_other_layouts(self, form: Sent, handles: Sequence[int], template: Template) -> None:
        """A hostile client repeats a template with other layouts: the meter passes none of it on."""
        other = [self.chance.choice(list(self.world.handles)) for _ in handles]
        pairs = zip(other, template.layouts, strict=True)
        if all(self.world.handles[number].layout is layout for number, layout in pairs):
            return
        answer = self.world.call(template, other, form.floats)
        if answer.kind is not Kind.CLOSED:
            self.visit.find("other layouts", f"{answer.kind} {answer.text}", self.call)
        self._compare("other layouts")
