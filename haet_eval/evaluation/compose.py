"""Makes the record from the results of the stages that were reached."""

import os
import platform
from datetime import UTC, datetime
from pathlib import Path

from haet_eval import __version__
from haet_eval.counting.operations import with_refused
from haet_eval.errors import SubmissionFailure, Verdict
from haet_eval.evaluation.heard import Heard
from haet_eval.evaluation.request import Assignment, Request
from haet_eval.evaluation.results import Ran, Scored, Unpacked
from haet_eval.record import (
    CompetitionInfo,
    Content,
    DatasetInfo,
    Environment,
    Log,
    Record,
    ReportHistory,
    Stage,
    Status,
    Training,
    complexity,
    seal,
)


def compose(
    request: Request,
    seed: int,
    unpacked: Unpacked,
    heard: Heard,
    ran: Ran | None = None,
    scored: Scored | None = None,
    interruption: SubmissionFailure | None = None,
    history: ReportHistory | None = None,
) -> Record:
    """The sealed record of one run; a stage that was not reached is None.

    Args:
        request: the request of the evaluation.
        seed: the seed of this run.
        unpacked: the result of the first stage.
        heard: the reports and the output of the submission.
        ran: the result of the training and the prediction.
        scored: the result of the scoring.
        interruption: why the run stopped, if no stage has that failure itself.
        history: the artefact with all reports.
    """
    failure = interruption or (scored or ran or unpacked).failure
    verdict = failure.verdict if failure else Verdict.QUALIFIED
    reason, code = (failure.reason, failure.code) if failure else ("", "")
    training = _training(ran, failure)
    evaluation = scored.evaluation if scored else None
    log = heard.log
    return seal(
        Content(
            created_at=datetime.now(UTC),
            status=Status(verdict=verdict, stage=_stage(ran, scored), reason=reason, code=code),
            submission=unpacked.submission,
            competition=_competition(unpacked),
            dataset=_dataset(unpacked.assignment),
            environment=_environment(request, seed, ran),
            trace=ran.trace if ran else None,
            training=training,
            complexity=complexity(training, evaluation),
            evaluation=evaluation,
            native=ran.trained.native if ran else None,
            energy=ran.energy if ran else None,
            rerun_of=request.rerun_of,
            reports=heard.reported.shown,
            history=history,
            not_finite=heard.reported.not_finite,
            log=Log(head=log.head, tail=log.tail, dropped_bytes=log.dropped_bytes),
        )
    )


def _stage(ran: Ran | None, scored: Scored | None) -> Stage:
    """The last stage that was reached."""
    if ran is None:
        return "unpack"
    if scored is not None:
        return "record"
    return "predict" if ran.predicted else "train"


def _training(ran: Ran | None, failure: SubmissionFailure | None) -> Training | None:
    """The counted training. If refused operators ended it, it lists them."""
    training = ran.trained.training if ran else None
    # Only if a refused call ended the run: code may catch such an error and do without the operator.
    if ran is None or training is None or failure is None or failure.verdict is not Verdict.UNCOUNTABLE:
        return training
    operations = with_refused(training.operations, ran.trained.refused, failure.reason)
    return training.model_copy(update={"operations": operations})


def _competition(unpacked: Unpacked) -> CompetitionInfo | None:
    rules = unpacked.competition
    if rules is None:
        return None
    task = unpacked.submission.task
    # The record repeats these rules, so that a leaderboard follows from records alone (decision 0094).
    return CompetitionInfo(
        name=rules.name,
        digest=rules.digest,
        ranking=rules.ranking,
        accuracy_intervals=rules.accuracy_intervals,
        awards=rules.awards,
        judging_digest=rules.judging_digest(task) if task in rules.tasks else None,
        counts=rules.runs.counts,
        entries_per_team=rules.entries_per_team,
        opens=rules.opens,
        closes=rules.closes,
        threshold=rules.tasks[task].threshold if task in rules.tasks else None,
    )


def _dataset(work: Assignment | None) -> DatasetInfo | None:
    if work is None:
        return None
    data = work.dataset
    return DatasetInfo(name=data.name, digest=data.digest, official=data.official)


def _environment(request: Request, seed: int, ran: Ran | None) -> Environment:
    facts, runtime = (ran.trained.facts, ran.runtime) if ran else ({}, {})
    return Environment(
        sandbox=request.sandbox,
        image_digest=runtime.get("image_digest"),
        oci_runtime=runtime.get("oci_runtime"),
        torch=facts.get("torch"),
        # Nothing of the submission has run if no worker has told its own.
        python=facts.get("python") or platform.python_version(),
        device=request.device,
        accelerator=facts.get("accelerator"),
        seed=seed,
        haet_eval=__version__,
        platform=platform.platform(),
        cpu=cpu_name(),
        threads=ran.threads if ran else None,
        runner=ran.runner if ran else "counted",
        host=platform.node(),
        cores=os.cpu_count(),
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
    )


def cpu_name() -> str:
    """The name of this machine's processor, as the processor reports it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        # Only here: on Linux `platform.processor` gives no more than the architecture.
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
