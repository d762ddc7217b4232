"""Options of an evaluation that the rules of its competition leave no room for."""

from haet_eval.competition import Competition
from haet_eval.errors import UsageProblem
from haet_eval.evaluation.request import Request


def check_options(request: Request, rules: Competition) -> None:
    """Raises UsageProblem for options of native runs where the competition counts."""
    metering = request.metering
    given = {
        "--count": request.count,
        "--energy": metering.choice is not None,
        "--cpu-watts": metering.cpu_watts is not None,
        "--hosts": bool(request.hosts),
    }
    for option, is_given in given.items():
        if is_given and rules.runner == "counted":
            raise UsageProblem(
                f"{option} is for trainings on plain tensors, and {rules.name} counts operations",
                f"Leave {option} out, or choose a competition that ranks time or energy with --competition.",
                code="option-runner",
            )
    if request.split_seed is not None and request.test_data is not None:
        raise UsageProblem(
            "--audit trains on images of the test set with their labels, and --test-data is secret",
            "Leave --audit out: it looks for labels of test sets that are known.",
            code="audit-secret",
        )
    if request.hosts:
        _check_hosts(request, rules)


def _check_hosts(request: Request, rules: Competition) -> None:
    """Raises UsageProblem where the nodes cannot run on the hosts that were named."""
    if request.sandbox != "process":
        raise UsageProblem(
            "--hosts starts processes on other machines, not containers",
            "Add --sandbox process; such records are not official. Without --hosts all nodes are here.",
            code="hosts-sandbox",
        )
    if len(request.hosts) != rules.nodes:
        raise UsageProblem(
            f"--hosts names {len(request.hosts)} hosts, and {rules.name} trains on {rules.nodes} nodes",
            "Name a host for each node; one host may be named more than once.",
            code="hosts-number",
        )
    if request.metering.meters(rules.ranking) not in (None, "none"):
        raise UsageProblem(
            "energy is measured on this machine, and --hosts trains on others",
            "Add --energy none, or leave --hosts out.",
            code="hosts-energy",
        )
