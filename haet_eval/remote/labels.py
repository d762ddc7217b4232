"""Labels of calls: which line of the submission first made a call of a template, and in which module.

The submission's own process gives them, and nobody vouches for them. They decide nothing, and the trace has
none.
"""

import json
from collections.abc import Iterable
from typing import Annotated, Final, NamedTuple

from pydantic import Field, TypeAdapter

from haet_eval.remote.messages import LABEL_CHARACTERS

MOST_LABELS: Final = 1 << 14
"""As many are kept, so that a submission that sends them on and on fills no memory."""


class Label(NamedTuple):
    """A line, as in `submission.py:12`, and the module that ran, as in `Net.layers.0`; "" if unknown."""

    line: str
    module: str

    def __str__(self) -> str:
        return " in ".join(filter(None, self))


NO_LABEL: Final = Label("", "")

_LabelText = Annotated[str, Field(max_length=LABEL_CHARACTERS)]
_KEPT: Final[TypeAdapter[list[tuple[int, _LabelText, _LabelText]]]] = TypeAdapter(
    Annotated[list[tuple[int, _LabelText, _LabelText]], Field(max_length=MOST_LABELS)]
)


class TemplateLabels:
    """Labels by the number of their template. The last one of a number stands: those before were refused."""

    def __init__(self, known: Iterable[tuple[int, Label]] = ()) -> None:
        self._known = dict(known)

    def __len__(self) -> int:
        return len(self._known)

    def add(self, template: int, label: Label) -> None:
        """Keep a label, unless there are too many."""
        # A label may be sent again: a call that was refused had the number that the next one gets.
        if len(self._known) < MOST_LABELS or template in self._known:
            self._known[template] = label

    def of(self, template: int | None) -> Label:
        """The label of a template, or one without words."""
        return NO_LABEL if template is None else self._known.get(template, NO_LABEL)

    def to_json(self) -> bytes:
        """As an artefact of a record has them."""
        return json.dumps([[number, *label] for number, label in sorted(self._known.items())]).encode()

    @classmethod
    def from_json(cls, data: bytes) -> "TemplateLabels":
        """Read such an artefact.

        Raises:
            ValueError: it is not such an artefact.
        """
        return cls((number, Label(line, module)) for number, line, module in _KEPT.validate_json(data))
