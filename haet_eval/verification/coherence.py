"""Checks that the parts of a record fit together, as in every record of an evaluation. Needs no files."""

from collections.abc import Iterator
from typing import Final

from haet_eval.competition import Competition
from haet_eval.errors import Verdict
from haet_eval.record import Artifact, Environment, Record
from haet_eval.verification.check import Check, fits

_DEVICES: Final = {"cpu", "cuda"}


def check_environment(record: Record, rules: Competition | None) -> Check:
    """Whether sandbox, image, device, runner and stage can go together. Their values are statements."""
    return fits(
        "environment",
        _environment_faults(record, rules),
        "sandbox, image, device and runner fit together; what they were is whoever ran it to say",
    )


def check_parts(record: Record) -> Check:
    """Whether the record has the parts that its stage and verdict require, and no others."""
    return fits("parts", _part_faults(record), f"those of a run that ended in stage {record.status.stage}")


def _environment_faults(record: Record, rules: Competition | None) -> Iterator[str]:
    environment = record.environment
    began = record.status.stage != "unpack"
    if environment.device not in _DEVICES:
        yield f"there is no device {environment.device!r}"
    if environment.sandbox == "process" and (environment.image_digest or environment.oci_runtime):
        yield "local processes have no image and no container runtime"
    # Before a run begins no image is looked at, so a refused submission has none.
    if environment.sandbox == "docker" and began and environment.image_digest is None:
        yield "it ran in Docker, and has no image"
    if environment.device == "cpu" and environment.accelerator is not None:
        yield "it ran on the cpu, and has an accelerator"
    if not began:
        yield from _of_a_run_that_never_began(environment)
        return
    if environment.threads is None:
        yield "it ran, and has no number of threads"
    # The worker reports its torch when it starts, so a training without one did not happen.
    if (record.training or record.native) and environment.torch is None:
        yield "it trained, and has no torch"
    yield from _runner_faults(record, rules)


def _runner_faults(record: Record, rules: Competition | None) -> Iterator[str]:
    environment = record.environment
    if environment.runner == "counted" and record.native is not None:
        yield "it ran on handles, and has a native part"
    # A native run that failed early may have no native part, but predictions come only after it.
    if environment.runner == "native" and record.native is None and record.evaluation is not None:
        yield "it predicted on plain tensors, and has no native part"
    if rules is not None and environment.runner != rules.runner:
        yield f"the runner is {environment.runner}, and the rules ask for {rules.runner}"


def _of_a_run_that_never_began(environment: Environment) -> Iterator[str]:
    none = ("image_digest", "oci_runtime", "torch", "accelerator", "threads")
    found = [name for name in none if getattr(environment, name) is not None]
    if found:
        yield f"no run began, and it has {', '.join(found)}"
    if environment.runner != "counted":
        yield "no run began, and it has a native runner"


def _part_faults(record: Record) -> Iterator[str]:
    yield from _training_faults(record)
    yield from _evaluation_faults(record)


def _training_faults(record: Record) -> Iterator[str]:
    training, native = record.training, record.native
    if (training is None) != (record.trace is None):
        yield "a counted training and its trace come together, and one of them is missing"
    if record.status.stage == "unpack" and (training or native or record.energy):
        yield "no run began, and there are results of one"
    if (
        record.status.stage == "unpack"
        and record.dataset
        and record.status.verdict is not Verdict.INTERRUPTED
    ):
        yield "no run began, and there are data of one"  # an interruption may come when the data are read
    # In a native record the counted training is another one, and it may have ended well.
    if native is None and record.status.stage == "train" and training is not None and training.model:
        yield "the training did not end, and there is a model"
    for part in (training, native):
        if part is not None and (part.model is None) != (part.parameters is None):
            yield "a model and its parameters come together, and one of them is missing"
    ran = native or training
    if record.evaluation is not None and (ran is None or ran.model is None):
        yield "there are predictions, and no model that made them"


def _predicting(record: Record) -> Artifact | None:
    """The weights of the model that predicts for the record."""
    if record.environment.runner == "native":
        return record.native.model if record.native else None
    return record.training.model if record.training else None


def _evaluation_faults(record: Record) -> Iterator[str]:
    evaluation, stage = record.evaluation, record.status.stage
    if (evaluation is not None) != (stage == "record"):
        yield f"the stage is {stage}, and there are {'' if evaluation else 'no '}predictions"
    if evaluation is not None and record.status.verdict is Verdict.INTERRUPTED:
        yield "it was interrupted, and there are predictions"
    # Labels never leave the host, so no submission can fail there.
    if stage == "score":
        yield "a run ends before its score, or has one"
    if evaluation is None:
        if stage == "predict" and _predicting(record) is None:
            yield "the run ended while it predicted, and no model came back"
        return
    if (evaluation.operations is None) != (record.native is not None):
        yield "operations of a prediction are counted on handles, and only there"
    # Under 0.1.0 a prediction cost nothing, so its records do not have these fields.
    charged = record.native is None and record.schema_version > 1
    if any(
        (part is not None) != charged for part in (evaluation.charged_operations, evaluation.readback_bytes)
    ):
        yield "what a prediction is charged stands in counted records of schema version 2, and only there"
    if evaluation.correct > evaluation.total:
        yield "more predictions are right than there are"
