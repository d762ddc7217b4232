"""The tally: every distinct call of a run, with how often it was made in each phase."""

from collections.abc import Iterator
from typing import TypeAlias

from haet_eval.counting.histogram import PHASES, Histogram, described_bytes
from haet_eval.operators.signature import Signature, TensorMeta
from haet_eval.remote.charges import check_templates
from haet_eval.remote.definitions import price_told, signature_of
from haet_eval.remote.template import PREDICTION, Template, new_calls
from haet_eval.remote.wire import Code, Outcome

_Counted: TypeAlias = tuple[Signature, int | None, list[int]]


class Tally:
    """Calls of templates, of templates whose outputs depend on data, and of `select` and `slice`.

    Methods that keep a new call raise SubmissionFailure when there are too many distinct calls.
    """

    def __init__(self) -> None:
        self.templates: list[Template] = []
        self._described_bytes = 0  # on the wire or in the histogram, where a list of tensors is far longer
        # By the bytes of the outcome: equal outcomes have equal bytes, and need no decoding to be compared.
        self._dynamic: dict[tuple[Template, bytes], _Counted] = {}
        self._views: dict[tuple[Code, TensorMeta, TensorMeta], list[int]] = {}

    def check_room(self, described_bytes: int) -> None:
        """Raises SubmissionFailure if there is no room for a template with a definition of that length."""
        check_templates(len(self.templates), self._described_bytes + described_bytes)

    def add(self, template: Template, described_bytes: int) -> None:
        """Keep a settled template; its calls are counted in `template.calls`."""
        template.number = len(self.templates)
        self.templates.append(template)
        # The larger of both: eight calls on 65,000 tensors had 26 KB in the trace, and 759 MB in the
        # histogram.
        self._described_bytes += max(described_bytes, _described(template.signature))

    def count_dynamic(self, template: Template, outcome: Outcome, payload: bytes, phase: int) -> None:
        """Count a call whose outputs depended on data; `payload` is the outcome as it came."""
        counted = self._dynamic.get((template, payload))
        if counted is None:
            signature = signature_of(template, outcome)
            self._described_bytes += max(len(payload), _described(signature))
            # Before it is kept. The outcome depends on values, so data could otherwise fill the table.
            check_templates(len(self._dynamic), self._described_bytes)
            counted = signature, price_told(signature), new_calls()
            self._dynamic[template, payload] = counted
        counted[2][phase] += 1

    def count_view(self, code: Code, base: TensorMeta, layout: TensorMeta, phase: int) -> None:
        """Count a SELECT or SLICE record."""
        calls = self._views.get((code, base, layout))
        if calls is None:
            self._described_bytes += _described(_view(code, base, layout))
            check_templates(len(self._views), self._described_bytes)
            calls = self._views[code, base, layout] = new_calls()
        calls[phase] += 1

    # Totals.

    def histogram(self) -> Histogram:
        """The calls of the training."""
        return Histogram((signature, calls[:PREDICTION]) for signature, _, calls in self._all())

    def prediction_histogram(self) -> Histogram:
        """The calls of prediction, all under the phase `forward`."""
        # A histogram has a column for each phase of a training. Prediction has no phases, so one of them
        # stands for it.
        forward = PHASES.index("forward")
        return Histogram(
            (signature, [calls[PREDICTION] if phase == forward else 0 for phase in range(len(PHASES))])
            for signature, _, calls in self._all()
        )

    @property
    def operations(self) -> int:
        """Priced operations of the training so far."""
        return sum((price or 0) * sum(calls[:PREDICTION]) for _, price, calls in self._priced())

    def operations_by_template(self) -> tuple[int, ...]:
        """Priced operations of the training, for each template in the order of their definitions."""
        by_template = {
            template: (template.price or 0) * sum(template.calls[:PREDICTION]) for template in self.templates
        }
        for (template, _), (_, price, calls) in self._dynamic.items():
            by_template[template] += (price or 0) * sum(calls[:PREDICTION])
        return tuple(by_template.values())

    @property
    def prediction_operations(self) -> int:
        """Priced operations of prediction so far."""
        return sum((price or 0) * calls[PREDICTION] for _, price, calls in self._priced())

    @property
    def unpriced_in_prediction(self) -> str | None:
        """An operator without a price that prediction has called, if there is one."""
        unpriced = (
            one.operator for one, price, calls in self._priced() if price is None and calls[PREDICTION]
        )
        return next(unpriced, None)

    def _priced(self) -> Iterator[_Counted]:
        for template in self.templates:
            if template.signature is not None:
                yield template.signature, template.price, template.calls
        yield from self._dynamic.values()

    def _all(self) -> Iterator[_Counted]:
        yield from self._priced()
        for (code, base, layout), calls in self._views.items():
            # Views move nothing, so they have no price, but the histogram shows that they were made.
            yield _view(code, base, layout), 0, calls


def _view(code: Code, base: TensorMeta, layout: TensorMeta) -> Signature:
    name = "aten.select.int" if code is Code.SELECT else "aten.slice.Tensor"
    return Signature(name, {"self": base}, (layout,))


def _described(signature: Signature | None) -> int:
    return 0 if signature is None else described_bytes(signature)
