"""Competitions: the rules that submissions are judged by, each one TOML file."""

from haet_eval.competition.loading import (
    builtin_competitions,
    competition_for_task,
    load_competition,
    schema_text,
)
from haet_eval.competition.rules import Budgets, Competition, Limits, OwnData, Ranking, Runner, Runs, Task

__all__ = [
    "Budgets",
    "Competition",
    "Limits",
    "OwnData",
    "Ranking",
    "Runner",
    "Runs",
    "Task",
    "builtin_competitions",
    "competition_for_task",
    "load_competition",
    "schema_text",
]
