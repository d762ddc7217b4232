"""A check from beginning to end, each part printed as soon as it is known."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click

from haet_eval.check.certainty import Sampling
from haet_eval.check.preparation import assign, entry_fault, read_submission
from haet_eval.check.report import CheckReport, Estimates, document, estimate
from haet_eval.check.sample import Terms
from haet_eval.check.standing import Rivals, Standing, rivals_among, rivals_on
from haet_eval.check.static import look_at
from haet_eval.cli.check_lines import (
    estimate_lines,
    literal_lines,
    print_lines,
    print_log,
    remark_lines,
    sample_lines,
    standing_lines,
    submission_lines,
    truth_lines,
    verdict_lines,
)
from haet_eval.cli.outcome import delivered, show_outcome
from haet_eval.cli.screen import open_screen
from haet_eval.cli.streams import deliver
from haet_eval.errors import ExitCode, InvalidSubmission
from haet_eval.evaluation.evaluate import evaluate
from haet_eval.evaluation.request import Request
from haet_eval.runtimes.choice import choose_runtime
from haet_eval.runtimes.leftovers import remove_leftovers


@dataclass(frozen=True, slots=True)
class Session:
    """What was asked for. `leaderboard`: a file to rank on, instead of the records in `request.results`."""

    request: Request
    terms: Terms
    leaderboard: Path | None
    static: bool
    full: bool
    as_json: bool

    def run(self) -> ExitCode:
        """Check and print; returns what the process says to the shell."""
        try:
            submission, competition = read_submission(self.request)
        except InvalidSubmission as failure:
            # For people, the boundary prints the reason. Who asked for JSON gets JSON for this as well.
            if not self.as_json:
                raise
            told = {"verdict": failure.verdict, "reason": failure.reason, "code": failure.code}
            click.echo(json.dumps(told, indent=2))
            return failure.verdict.exit_code
        counted = competition.runner == "counted"
        look = look_at(submission, "handles" if counted else "plain")
        budgets = competition.budgets_for(submission.task)
        # A wrong entry point does not end the look: one check shows the remarks on all other lines too.
        report = CheckReport(submission, competition, budgets, look, entry_fault(submission))
        self._print(submission_lines(report))
        self._print(remark_lines(report.look))
        self._print(literal_lines(report.look))
        if report.invalid is None:
            self._run(report)
        good = report.exit_code is ExitCode.QUALIFIED
        self._print(verdict_lines(report), "bold green" if good else "bold red")
        if self.as_json and not self._deliver_json(report):
            return ExitCode.ENVIRONMENT
        return report.exit_code

    def _deliver_json(self, report: CheckReport) -> bool:
        """Print the report for a program. If it cannot be delivered, the evaluation's record is named."""
        text = json.dumps(document(report), indent=2)
        if report.record_path is None:
            click.echo(text)
            return True
        return delivered(partial(click.echo, text), report.record_path)

    def _run(self, report: CheckReport) -> None:
        if not self.static and report.competition.runner == "counted":
            self._take_sample(report)
        if self.full:
            self._evaluate(report)

    def _print(self, lines: Iterable[tuple[str, str]], style: str = "") -> None:
        self._show(lambda: print_lines(lines, style))

    def _show(self, show: Callable[[], None]) -> None:
        if self.as_json:
            return
        # An evaluation was asked for as well, which no broken display prevents.
        if self.full:
            deliver(show)
        else:
            show()

    def _take_sample(self, report: CheckReport) -> None:
        # Read before the run: a wrong --leaderboard file must not cost minutes first.
        rivals = self._rivals(report)
        runtime = partial(choose_runtime, self.request.sandbox, self.request.device)
        # As an evaluation does: a check that was killed leaves folders and containers, too.
        remove_leftovers()
        assignment, report.real_data = assign(self.request, report.submission, report.competition)
        report.budgets = assignment.budgets
        with open_screen() as observer:
            sampling = Sampling(assignment, runtime, self.terms, observer, real_data=report.real_data)
            sample = sampling.take()
        charged = sample.charged_operations(assignment.budgets, len(assignment.dataset.test_images))
        report.sample, report.estimates = sample, estimate(sample, report.look, charged)
        # The sample is set above, so `verdict` already knows whether the run has failed.
        if rivals is not None and report.estimates is not None and report.verdict is None:
            report.standing = _standing(rivals, report.estimates)
        if sample.log:
            self._show(lambda: print_log(sample.log))
        self._print(estimate_lines(report))
        self._print(sample_lines(report))
        self._print(standing_lines(report.standing))

    def _rivals(self, report: CheckReport) -> Rivals | None:
        competition, task = report.competition.name, report.submission.task
        if report.competition.ranking != "complexity":
            return None
        if self.leaderboard is not None:
            return rivals_on(self.leaderboard, competition, task)
        results = self.request.results
        return rivals_among(results, competition, task) if results.is_dir() else None

    def _evaluate(self, report: CheckReport) -> None:
        with open_screen() as observer:
            outcome = evaluate(self.request, observer)
        report.record, report.record_path = outcome.record, outcome.path
        if not self.as_json:
            show_outcome(outcome, self.request.results, as_json=False)
        if report.estimates is not None:
            self._print(truth_lines(report.estimates, outcome.record))


def _standing(rivals: Rivals, estimates: Estimates) -> Standing | None:
    """The place of an estimate that is bounded; None of another."""
    if estimates.complexity is None or estimates.operations.high is None:
        return None
    return rivals.standing(estimates.complexity)
