"""What a fuzz saw: how calls ended, and what should not have been."""

import json
import mmap
import re
import struct
from collections import Counter
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Final

_DIGITS: Final = re.compile(r"\d+")


class Outcome(StrEnum):
    """How a call ended."""

    ACCEPTED = "accepted"  # it defined a template
    CACHED = "cached"  # it repeated one
    REFUSED = "refused"
    FAILED = "failed"
    MISMATCHED = "mismatched"
    CLOSED = "closed"  # the meter ended the run: the repetition is not one, or its validator says no


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that should not have been: `kind` in a word, the operator, what it was, and the call.

    `visit` is the seed of the operator's visit, and `calls` says whose calls were tried in it.
    """

    kind: str
    operator: str
    text: str
    call: str
    visit: int
    calls: str

    @property
    def key(self) -> tuple[str, str, str]:
        """Equal for findings that differ in numbers only."""
        return self.kind, self.operator, _DIGITS.sub("#", self.text)[:120]

    def shown(self) -> str:
        """In one line, with the command that shows it again."""
        again = f"python -m tests.attacks.differential.fuzzer --only {self.operator} --visit {self.visit}"
        again += f" --calls {self.calls} --trials 20"
        return f"{self.operator}: {self.kind}: {self.text}; {again}; {self.call}"


@dataclass(slots=True)
class Visit:
    """What one visit to an operator saw."""

    operator: str
    seed: int
    calls: str
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    findings: dict[tuple[str, str, str], Finding] = field(default_factory=dict)

    def find(self, kind: str, text: str, call: object) -> None:
        finding = Finding(kind, self.operator, text[:1000], str(call)[:2000], self.seed, self.calls)
        self.findings.setdefault(finding.key, finding)

    def encode(self) -> str:
        """One line for `Report.add`."""
        findings = [asdict(finding) for finding in self.findings.values()]
        return json.dumps({"operator": self.operator, "outcomes": self.outcomes, "findings": findings})


@dataclass(slots=True)
class Report:
    """What all visits saw."""

    outcomes: dict[str, Counter[Outcome]] = field(default_factory=dict)
    findings: dict[tuple[str, str, str], Finding] = field(default_factory=dict)
    seconds: float = 0.0
    rounds: int = 0
    timeouts: Counter[str] = field(default_factory=Counter)

    def add(self, line: str) -> str:
        """Take in what `Visit.encode` wrote; returns the operator."""
        seen = json.loads(line)
        operator: str = seen["operator"]
        counts = self.outcomes.setdefault(operator, Counter())
        counts.update({Outcome(name): count for name, count in seen["outcomes"].items()})
        for entry in seen["findings"]:
            self.find(Finding(**entry))
        return operator

    def find(self, finding: Finding) -> None:
        self.findings.setdefault(finding.key, finding)

    def encode(self) -> str:
        """All of it as JSON."""
        facts = {"outcomes": self.outcomes, "seconds": self.seconds, "rounds": self.rounds}
        findings = [asdict(finding) for finding in self.findings.values()]
        return json.dumps({**facts, "timeouts": self.timeouts, "findings": findings})

    @classmethod
    def decode(cls, text: str) -> "Report":
        """Inverse of `encode`."""
        facts = json.loads(text)
        report = cls(seconds=facts["seconds"], rounds=facts["rounds"], timeouts=Counter(facts["timeouts"]))
        for name, counts in facts["outcomes"].items():
            report.outcomes[name] = Counter({Outcome(key): count for key, count in counts.items()})
        for entry in facts["findings"]:
            report.find(Finding(**entry))
        return report

    def never(self, outcome: Outcome) -> frozenset[str]:
        """The operators of which no call ended so."""
        return frozenset(name for name, counts in self.outcomes.items() if not counts[outcome])

    def table(self) -> str:
        """For each overload how its calls ended, and the totals."""
        total: Counter[Outcome] = Counter()
        lines = [_HEAD]
        for name, counts in sorted(self.outcomes.items()):
            total.update(counts)
            lines.append(_row(name, counts))
        lines.append(_row(f"{len(self.outcomes)} overloads", total))
        lines.append(f"{self.rounds} rounds in {self.seconds:.0f} s; visits cut short: {dict(self.timeouts)}")
        return "\n".join(lines)


_HEAD: Final = f"{'':58}" + "".join(f"{outcome:>12}" for outcome in Outcome)


def _row(name: str, counts: Counter[Outcome]) -> str:
    return f"{name:58}" + "".join(f"{counts[outcome]:12,}" for outcome in Outcome)


_LENGTH: Final = struct.Struct("<I")
_NOTE_BYTES: Final = 1 << 16


class Note:
    """What a child does at the moment, in memory that outlives it."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _NOTE_BYTES)

    def write(self, text: str) -> None:
        data = text.encode()[: _NOTE_BYTES - _LENGTH.size]
        self._memory[: _LENGTH.size + len(data)] = _LENGTH.pack(len(data)) + data

    def read(self) -> str:
        (length,) = _LENGTH.unpack(self._memory[: _LENGTH.size])
        return self._memory[_LENGTH.size : _LENGTH.size + length].decode(errors="replace")
