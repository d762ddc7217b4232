"""Competitions: the rules that submissions are judged by, each one TOML file."""

from haet_eval.competition.loading import (
    builtin_competitions,
    builtin_in_version_1,
    builtin_tasks,
    competition_for_task,
    load_competition,
    read_rules,
    schema_text,
)
from haet_eval.competition.rules import (
    MAX_IMAGE_SIDE,
    Budgets,
    Column,
    Competition,
    Counts,
    EnergyModel,
    Limits,
    Metric,
    OwnData,
    Ranking,
    Runner,
    Runs,
    Task,
)

__all__ = [
    "MAX_IMAGE_SIDE",
    "Budgets",
    "Column",
    "Competition",
    "Counts",
    "EnergyModel",
    "Limits",
    "Metric",
    "OwnData",
    "Ranking",
    "Runner",
    "Runs",
    "Task",
    "builtin_competitions",
    "builtin_in_version_1",
    "builtin_tasks",
    "competition_for_task",
    "load_competition",
    "read_rules",
    "schema_text",
]
