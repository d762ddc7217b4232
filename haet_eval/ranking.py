"""Who is ahead. Pure functions on summaries of records: the order of the input never matters."""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Final, Literal, NamedTuple, TypeAlias

from haet_eval.competition import Counts, Ranking, Runner, builtin_competitions, load_competition
from haet_eval.errors import Verdict
from haet_eval.record import PHASE_OF_RANKING, EnergyKind, Rank, Record, Sandbox
from haet_eval.spelling import same_name

DEFAULT_AWARDS: Final = 3
"""Where neither the records nor the caller say how many are awarded."""

_WIDEST_BITS: Final = 64

Untimely: TypeAlias = Literal["early", "late"]


@dataclass(frozen=True, slots=True)
class Entry:
    """What ranking and leaderboards need of a record. Texts are untrusted; None: not reached.

    Attributes:
        ranking: what the entry's rules rank by.
        accuracy_intervals: bounds between the intervals of accuracy that are ranked apart, ascending.
        awards: how many its rules award; None if the record does not say.
        charged_operations: of the prediction; they are part of the complexity.
        rules_digest: of all of its rules.
        judging_digest: of those that judge its task (`Competition.judging_digest`).
        counts: which of several evaluations of one submission takes its place.
        entries_per_team: how many submissions of a team may rank; None if there is no such limit.
        received_at: when the organizer received the submission; None if the record does not say.
        archive_name, archive_sha256: of the file that was handed in; None in older records.
        opens, closes: when the competition receives entries; None if it has no such bound.
        rerun: it repeats another record, and never ranks.
        standard: version of the counting standard that its operations were priced under.
        energy_joules: of what is ranked, in joules; `energy_counts` where all of it was measured, in quiet.
        wall_seconds: of the training; of the native one if there was one.
        peak_tensor_bytes: of the training's tensors; None in records from before it was counted.
        bit_complexity: bits of the parameters plus bit operations of the training, and 64 for each charged
            operation of the prediction, whose dtype no record has; None if the complexity is.
        modelled_joules: by the model of energy in its rules.
    """

    record_id: str
    created_at: datetime
    verdict: Verdict
    competition: str | None
    task: str | None
    sandbox: Sandbox
    dataset_digest: str | None
    official: bool
    submission_sha256: str
    team: str | None
    name: str | None
    source_bytes: int
    complexity: int | None
    operations: int | None
    parameters: int | None
    accuracy: float | None
    wall_seconds: float | None
    runner: Runner = "counted"
    nodes: int = 1
    energy_joules: float | None = None
    energy_kind: EnergyKind | None = None
    energy_counts: bool = False
    ranking: Ranking = "complexity"
    accuracy_intervals: tuple[float, ...] = ()
    awards: int | None = None
    rules_digest: str | None = None
    standard: int | None = None
    charged_operations: int | None = None
    judging_digest: str | None = None
    counts: Counts = "first"
    entries_per_team: int | None = None
    received_at: datetime | None = None
    rerun: bool = False
    source_bytes_compressed: int | None = None
    opens: datetime | None = None
    closes: datetime | None = None
    archive_name: str | None = None
    archive_sha256: str | None = None
    peak_tensor_bytes: int | None = None
    bit_complexity: int | None = None
    modelled_joules: float | None = None

    @property
    def received(self) -> datetime:
        """When the submission was received; when it was evaluated, if nobody said."""
        return self.received_at or self.created_at

    @property
    def untimely(self) -> Untimely | None:
        """Whether it was received before its competition opened or after it closed; None if nobody said."""
        if self.received_at is None:
            return None
        if self.opens is not None and self.received_at < self.opens:
            return "early"
        return "late" if self.closes is not None and self.received_at > self.closes else None

    @property
    def figure(self) -> int | float | None:
        """What is ranked: operations, bits, bytes, joules, seconds or a fraction; None if not reached."""
        match self.ranking:
            case "complexity":
                return self.complexity
            case "peak_memory":
                return self.peak_tensor_bytes
            case "bit_complexity":
                return self.bit_complexity
            case "modelled_energy":
                return self.modelled_joules
            case "training_energy" | "inference_energy":
                return self.energy_joules
            case "training_time":
                return self.wall_seconds if self.runner == "native" else None
            case "accuracy":
                return self.accuracy


class Interval(NamedTuple):
    """Accuracies from `low` to below `high`, as fractions; up to 1 includes it."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"[{100 * self.low:g} %, {100 * self.high:g} %{']' if self.high == 1 else ')'}"


EVERY_ACCURACY: Final = Interval(0.0, 1.0)
"""The interval of pools whose rules have none."""


class Pool(NamedTuple):
    """Entries compete if all of this is the same. Pools sort official ones first.

    `judging_digest` is that of the rules: a file that was edited under the same name is another pool.
    `energy_kind` is None if no energy is ranked, `interval` all accuracies if rules have no intervals.
    """

    unofficial: bool
    competition: str
    task: str
    judging_digest: str
    sandbox: Sandbox
    dataset_digest: str
    ranking: Ranking
    energy_kind: EnergyKind | None
    interval: Interval


@dataclass(frozen=True, slots=True)
class Ranked:
    """An entry at its place, 1 being the first of `of`. `runs`: judged evaluations of the same submission."""

    entry: Entry
    pool: Pool
    position: int
    of: int
    awarded: bool
    runs: int = 1


def summarize(record: Record) -> Entry:
    """The entry of a record."""
    training, native, energy = record.training, record.native, record.energy
    rules = record.competition
    trained = native or training
    return Entry(
        record_id=record.record_id,
        created_at=record.created_at,
        verdict=record.status.verdict,
        competition=rules.name if rules else None,
        task=record.submission.task,
        sandbox=record.environment.sandbox,
        dataset_digest=record.dataset.digest if record.dataset else None,
        official=record.official,
        submission_sha256=record.submission.sha256,
        team=record.submission.team,
        name=record.submission.name or record.submission.archive_name,
        source_bytes=record.submission.source_bytes,
        complexity=record.complexity,
        operations=training.operations.total if training else None,
        parameters=trained.parameters.total if trained and trained.parameters else None,
        accuracy=_accuracy(record),
        wall_seconds=trained.wall_seconds if trained else None,
        runner="native" if native else "counted",
        nodes=native.nodes if native else 1,
        energy_joules=energy.joules if energy else None,
        energy_kind=energy.kind if energy else None,
        energy_counts=energy is not None and energy.counts_for_prizes(record.environment.device),
        ranking=rules.ranking if rules else "complexity",
        accuracy_intervals=rules.accuracy_intervals if rules else (),
        awards=rules.awards if rules else None,
        rules_digest=rules.digest if rules else None,
        standard=training.operations.standard if training else None,
        charged_operations=record.evaluation.charged_operations if record.evaluation else None,
        judging_digest=_judging_digest(record),
        counts=rules.counts if rules else "first",
        entries_per_team=rules.entries_per_team if rules else None,
        received_at=record.submission.received_at,
        rerun=record.rerun_of is not None,
        opens=rules.opens if rules else None,
        closes=rules.closes if rules else None,
        archive_name=record.submission.archive_name,
        archive_sha256=record.submission.archive_sha256,
        source_bytes_compressed=record.submission.source_bytes_compressed,
        peak_tensor_bytes=training.memory.peak_bytes if training and training.memory else None,
        bit_complexity=_bit_complexity(record),
        modelled_joules=training.modelled_joules if training else None,
    )


def _bit_complexity(record: Record) -> int | None:
    widths = record.training.precision if record.training else None
    if widths is None or widths.parameter_bits is None or record.complexity is None:
        return None
    charged = (record.evaluation and record.evaluation.charged_operations) or 0
    return widths.parameter_bits + widths.bit_operations + _WIDEST_BITS * charged


def _judging_digest(record: Record) -> str | None:
    """The record's; of an older record that of the built-in rules, or the digest of all its rules."""
    rules, task = record.competition, record.submission.task
    if rules is None or task is None:
        return None
    return rules.judging_digest or _of_builtin_rules(rules.name, rules.digest, task) or rules.digest


@cache
def _of_builtin_rules(name: str, digest: str, task: str) -> str | None:
    """Their judging digest, if they are built in and are still the same."""
    rules = load_competition(name) if name in builtin_competitions() else None
    # A name alone proves nothing: an organizer may have edited a copy of built-in rules without renaming it.
    same = rules is not None and rules.digest == digest and task in rules.tasks
    return rules.judging_digest(task) if rules and same else None


def _accuracy(record: Record) -> float | None:
    """Of several runs the mean."""
    if record.statistics is not None:
        return record.statistics.accuracy.mean if record.statistics.accuracy else None
    return record.evaluation.accuracy if record.evaluation else None


def rank(
    entries: Iterable[Entry],
    *,
    unofficial: bool = False,
    best_of_team: bool = False,
    awards: int | None = None,
) -> list[Ranked]:
    """Rank the qualified entries, each in its pool: official pools first, the best first in each.

    Least complexity, memory, energy or time wins, or the highest accuracy, as the rules say; if they have
    intervals of accuracy, each is a pool. Ties go to the higher accuracy, then the smaller source, then
    the submission that was received earlier, then the record's id. The first submissions of an official pool
    are awarded.

    One submission takes one place, however often it was evaluated: the rules say which of its records
    counts, among those that were judged, qualified or not. They may also limit the entries of a team, of
    which the earliest received rank. Records that `haet-eval verify --rerun` made have no place, and neither
    have entries that were received before the competition opened or after it closed.

    Args:
        entries: of any number of competitions and tasks, no record twice.
        unofficial: also rank, in pools of their own, what ran without Docker or on other data, and energies
            that were estimated, or measured in part or on a busy machine.
        best_of_team: rank only the best entry of each team.
        awards: how many submissions of each official pool are awarded; None: as many as their rules say.
    """
    pools: defaultdict[Pool, list[_PlacedRecord]] = defaultdict(list)
    # By field and not by pool: runs of one submission may reach different intervals of accuracy, and only one
    # of them counts.
    for field, entries_of_field in _fields(entries).items():
        if field.unofficial and not unofficial:
            continue
        for standing in filter(None, map(_standing, _admitted(_submissions(entries_of_field)))):
            pools[standing.pool].append(standing)
    return [
        ranked for pool in sorted(pools) for ranked in _rank_pool(pool, pools[pool], best_of_team, awards)
    ]


def unranked(entries: Iterable[Entry]) -> dict[Entry, str]:
    """The entries without a place, by competition, task, time and id, each with the reason."""
    # It is needed twice, and may be an iterator.
    known = list(entries)
    placed = {ranked.entry.record_id for ranked in rank(known, unofficial=True)}
    submissions = {
        entry.record_id: submission
        for entries_of_field in _fields(known).values()
        for submission in _submissions(entries_of_field)
        for entry in submission.records
    }
    others = sorted((entry for entry in known if entry.record_id not in placed), key=_unranked_order)
    return {entry: _why_unranked(entry, submissions.get(entry.record_id)) for entry in others}


def place(record: Record, entries: Iterable[Entry]) -> Record:
    """The record with the rank of its submission in its pool; unchanged if it has none.

    Of a submission that was evaluated more than once, that is the place of the record that counts.
    """
    entry = summarize(record)
    if entry.verdict is not Verdict.QUALIFIED or entry.rerun:
        return record
    # The record may be among them already, and would be counted twice.
    others = (other for other in entries if other.record_id != entry.record_id)
    for ranked in rank([entry, *others], unofficial=True):
        same = ranked.entry.submission_sha256 == entry.submission_sha256
        if same and _field(ranked.entry) == _field(entry):
            found = Rank(
                position=ranked.position,
                of=ranked.of,
                task=ranked.pool.task,
                official=not ranked.pool.unofficial,
            )
            return record.model_copy(update={"rank": found})
    return record


_SortKey: TypeAlias = tuple[float, float, int, datetime, str]


class _JudgedSubmission(NamedTuple):
    """A submission by the record that counts, with the time of its receipt and all of its records."""

    entry: Entry
    received: datetime
    records: tuple[Entry, ...]
    untimely: Untimely | None


class _PlacedRecord(NamedTuple):
    key: _SortKey
    pool: Pool
    submission: _JudgedSubmission


def _field(entry: Entry) -> Pool | None:
    """The pool of an entry and of all that are judged alike, whatever their accuracy.

    Entries of one submission in it are runs of that submission. None if it was not judged, or repeats another
    record.
    """
    if (
        not entry.verdict.is_judged
        or entry.rerun
        or entry.competition is None
        or entry.task is None
        or entry.dataset_digest is None
    ):
        return None
    energetic = entry.ranking in PHASE_OF_RANKING
    return Pool(
        unofficial=not entry.official or (energetic and not entry.energy_counts),
        competition=entry.competition,
        task=entry.task,
        judging_digest=entry.judging_digest or entry.rules_digest or "",
        sandbox=entry.sandbox,
        dataset_digest=entry.dataset_digest,
        ranking=entry.ranking,
        # Otherwise a run that happened to be measured would not compete with one that was not.
        energy_kind=entry.energy_kind if energetic else None,
        interval=EVERY_ACCURACY,
    )


def _fields(entries: Iterable[Entry]) -> dict[Pool, list[Entry]]:
    fields: defaultdict[Pool, list[Entry]] = defaultdict(list)
    for entry in entries:
        if (field := _field(entry)) is not None:
            fields[field].append(entry)
    return fields


def _submissions(entries: Iterable[Entry]) -> list[_JudgedSubmission]:
    """Each submission of a field once, by the record that counts."""
    runs: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        runs[entry.submission_sha256].append(entry)
    return [
        _JudgedSubmission(
            _that_counts(group), min(entry.received for entry in group), tuple(group), _untimely(group)
        )
        for group in runs.values()
    ]


def _untimely(runs: list[Entry]) -> Untimely | None:
    """Whether a submission was received outside of the calendar, by the earliest receipt that is known."""
    known = [entry for entry in runs if entry.received_at is not None]
    # Evaluating an entry again, with another time of receipt, must not make it early or late.
    return min(known, key=lambda entry: entry.received).untimely if known else None


def _that_counts(runs: list[Entry]) -> Entry:
    # Entries of one field have one judging digest and so one value; `min` only picks it whatever their order.
    match min(entry.counts for entry in runs):
        case "first":
            return min(runs, key=_in_time)
        case "last":
            return max(runs, key=_in_time)
        case _:
            # A run that did not qualify may have the lower figure, and must not stand for one that did.
            return min(runs, key=lambda entry: (not _is_ranked(entry), _worst(entry), *_in_time(entry)))


def _in_time(entry: Entry) -> tuple[datetime, str]:
    return entry.created_at, entry.record_id


def _admitted(submissions: list[_JudgedSubmission]) -> list[_JudgedSubmission]:
    """Those in time, and of each team as many as its rules allow, the earliest received first."""
    known: Counter[str] = Counter()
    admitted = []
    # Before the limit of a team: an entry that was too late must not take the place of one in time.
    in_time = (one for one in submissions if not one.untimely)
    for submission in sorted(in_time, key=lambda one: (one.received, one.entry.record_id)):
        team, most = _team(submission.entry), submission.entry.entries_per_team
        known[team] += 1
        if most is None or known[team] <= most:
            admitted.append(submission)
    return admitted


def _team(entry: Entry) -> str:
    # Without a team each record is its own, so that unnamed entries do not share one limit. The same name can
    # be written in several forms of Unicode.
    return same_name(entry.team or entry.record_id)


def _is_ranked(entry: Entry) -> bool:
    return entry.verdict is Verdict.QUALIFIED and entry.figure is not None and entry.accuracy is not None


def _why_unranked(entry: Entry, submission: _JudgedSubmission | None) -> str:
    """Why an entry without a place has none; only its verdict if that says it."""
    if entry.verdict is not Verdict.QUALIFIED:
        return entry.verdict.value
    if submission is None:
        return "rerun" if entry.rerun else "no task or no data"
    if submission.untimely:
        return f"received {submission.untimely}"
    if submission.entry is not entry:
        return "another evaluation counts"
    if not _is_ranked(entry):
        return f"no {entry.ranking.replace('_', ' ')}"
    return "beyond the entries of its team"


def _worst(entry: Entry) -> float:
    """The ranked figure, of which less is better."""
    # An entry without a figure has no place anyway; `_that_counts` needs some number for its key.
    figure = entry.figure or 0
    return -figure if entry.ranking == "accuracy" else figure


def _standing(submission: _JudgedSubmission) -> _PlacedRecord | None:
    entry = submission.entry
    field = _field(entry)
    if field is None or not _is_ranked(entry) or entry.accuracy is None:
        return None
    pool = field._replace(interval=interval_of(entry.accuracy, entry.accuracy_intervals))
    # The id comes last, so that the order never depends on that of the files.
    key = (_worst(entry), -entry.accuracy, entry.source_bytes, submission.received, entry.record_id)
    return _PlacedRecord(key, pool, submission)


def interval_of(accuracy: float, bounds: tuple[float, ...]) -> Interval:
    """The interval that an accuracy lies in; a bound belongs to the one above it."""
    edges = (0.0, *bounds, 1.0)
    above = bisect_right(bounds, accuracy)
    return Interval(edges[above], edges[above + 1])


def _rank_pool(
    pool: Pool, standings: list[_PlacedRecord], best_of_team: bool, awards: int | None
) -> list[Ranked]:
    submissions = [standing.submission for standing in sorted(standings, key=lambda standing: standing.key)]
    if best_of_team:
        submissions = _first_of_each_team(submissions)
    most = _awards(one.entry for one in submissions) if awards is None else awards
    return [
        Ranked(
            one.entry,
            pool,
            position,
            len(submissions),
            awarded=not pool.unofficial and position <= most,
            runs=len(one.records),
        )
        for position, one in enumerate(submissions, start=1)
    ]


def _first_of_each_team(submissions: list[_JudgedSubmission]) -> list[_JudgedSubmission]:
    first: dict[str, _JudgedSubmission] = {}
    for one in submissions:
        first.setdefault(_team(one.entry), one)
    return list(first.values())


def _awards(entries: Iterable[Entry]) -> int:
    # The awards are not part of the judging digest, so records of one pool may differ: the least is safe
    # (decision 0097).
    stated = (entry.awards for entry in entries if entry.awards is not None)
    return min(stated, default=DEFAULT_AWARDS)


def _unranked_order(entry: Entry) -> tuple[str, str, datetime, str]:
    return (entry.competition or "", entry.task or "", entry.created_at, entry.record_id)
