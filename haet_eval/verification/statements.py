"""The fields of a record that nothing can check: statements of whoever ran the evaluation.

docs/verifying.md lists them for readers. A test changes every field of real records, and requires that each
change is contradicted by a check or that the field is listed here.
"""

from collections.abc import Mapping
from typing import Final

from haet_eval.errors import Verdict
from haet_eval.record import Record, Run

_IN_EVERY_RECORD: Final[Mapping[str, str]] = {
    "created_at": "when it was",
    "rank": "depends on the other records; `haet-eval leaderboard` ranks anew",
    "submission.name": "the contestant's word; `haet-eval verify --rerun` reads the submission again",
    "submission.team": "as above",
    "submission.description": "as above",
    "submission.paper": "as above",
    "submission.sha256": "which submission it was: `haet-eval verify --rerun` compares it",
    "submission.archive_bytes": "the size of that file",
    "submission.archive_sha256": "which file was handed in; its content has `sha256`",
    "submission.archive_name": "what that file was called",
    "submission.source_bytes_compressed": "of the same files, after compression",
    "submission.received_at": "when the organizer received it",
    "rerun_of": "which record it repeated; a record that says so never ranks",
    "submission.files.path": "names that an archive may have; `submission.sha256` is about names and content",
    "submission.files.sha256": "the sizes of the files add up to `source_bytes`",
    "environment.image_digest": "which sandbox image; it is there exactly if `sandbox` is docker",
    "environment.oci_runtime": "what ran the containers",
    "environment.accelerator": "which GPU; null if the device is the CPU",
    "environment.torch": "the version; a replay compares it with its own",
    "environment.python": "the version",
    "environment.haet_eval": "the version",
    "environment.platform": "the machine",
    "environment.cpu": "as above",
    "environment.host": "as above",
    "environment.cores": "as above",
    "environment.memory_bytes": "as above",
    "training.wall_seconds": "within the budget",
    "training.operations.standard": "which prices; the total must follow from them",
    "training.paused_seconds": "how long the evaluator was stopped",
    "training.submission_cpu_seconds": "what the sandbox measured, within the budget",
    "training.stalls": "how often the evaluator kept the submission waiting; within the budget",
    "training.peak_memory_bytes": "what the sandbox measured",
    "training.resumed": "in which parts it ran, and where; their times add up to those of the training",
    "training.memory.call.line": "what the submission's process says of that call",
    "training.memory.call.module": "as above",
    "training.labels": "what the submission's process says of its calls; its file must be there",
    "reports": "what the submission reported; the file of `history` has the same",
    "history": "as above; its file must be there",
    "not_finite": "as above",
    "log": "what the submission printed",
}
_OF_NATIVE_RUNS: Final[Mapping[str, str]] = {
    "schema_version": "both versions have the same fields of a native run, and the same rules",
    "environment.seed": "a native run leaves no trace that says it",
    "environment.threads": "as above",
    "environment.device": "as above",
    "native.wall_seconds": "within the budget, and not longer than its energy was measured",
    "native.peak_memory_bytes": "what the sandbox measured",
    "native.parameters": "what the submission's process said; there are weights exactly if there are some",
    "energy.meter": "which meters; the kind of the energy follows from them",
    "energy.covers": "what they count; it is not empty if there is a meter",
    "energy.phases.joules": "what they showed; the joules that are ranked follow from it",
    "energy.samples": "as above",
    "energy.longest_gap_seconds": "as above",
    "energy.quietness": "how busy the machine was before",
    "energy.note": "why nothing was measured; it is there exactly then",
}
_OF_RUNS_THAT_DID_NOT_QUALIFY: Final[Mapping[str, str]] = {
    "status.reason": "its words; verdict, stage and code are checked",
}
_OF_RUNS_WITHOUT_PREDICTIONS: Final[Mapping[str, str]] = {
    "status": "how the run ended; it cannot be a verdict on an accuracy, and `verify --rerun` repeats it",
    "training.parameters": "missing if the model did not come back whole",
    "training.model": "as above",
}

_OF_RUNS_THAT_NEVER_BEGAN: Final[Mapping[str, str]] = {
    "schema_version": "both versions have the same fields of a run that never began",
    "submission.task": "of a manifest that was refused",
    "competition": "missing if the submission was refused before its rules were read",
    "environment.sandbox": "what was asked for",
    "environment.device": "as above",
    "environment.seed": "as above",
}
_IF_NULL: Final[Mapping[str, str]] = {
    "audit": "whether it was audited; an audit that is there is checked",
    "second_audit": "as above",
    "competition.awards": "how many are awarded, in records from before it was written",
    "competition.threshold": "which accuracy was asked for, in records from before it was written",
    "training.memory": "of records from before it was counted; the check shows what the trace gives",
    "training.precision": "of records from before it was counted; the check shows what the calls give",
    "training.bytes_moved": "as above",
}

STATEMENTS: Final[Mapping[str, Mapping[str, str]]] = {
    "every record": _IN_EVERY_RECORD,
    "native runs": _OF_NATIVE_RUNS,
    "runs that did not qualify": _OF_RUNS_THAT_DID_NOT_QUALIFY,
    "runs without predictions": _OF_RUNS_WITHOUT_PREDICTIONS,
    "runs that never began": _OF_RUNS_THAT_NEVER_BEGAN,
    "records in which it is null": _IF_NULL,
}
"""For each kind of record its unchecked fields, with the reason. A field stands for all fields within it."""


def stated_fields(part: Record | Run) -> set[str]:
    """The fields of a record, or of one of its runs, that are statements with any value."""
    fields = set(_IN_EVERY_RECORD)
    if part.native is not None:
        fields |= _OF_NATIVE_RUNS.keys()
    # The reason of a run that qualified is empty, which is checked.
    if part.status.verdict is not Verdict.QUALIFIED:
        fields |= _OF_RUNS_THAT_DID_NOT_QUALIFY.keys()
    if part.evaluation is None:
        fields |= _OF_RUNS_WITHOUT_PREDICTIONS.keys()
    # Nothing was run, so there is no trace, no histogram and no environment to compare these with.
    if part.status.stage == "unpack":
        fields |= _OF_RUNS_THAT_NEVER_BEGAN.keys()
    return fields


def stated_if_null() -> set[str]:
    """The fields that are statements if they are null."""
    return set(_IF_NULL)
