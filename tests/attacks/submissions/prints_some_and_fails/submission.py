# ruff: noqa: T201 an attack that prints
"""Prints terminal escapes and markup, and fails."""

import sys

from honest import train_network


def train(task):
    train_network(task)
    print("\x1b[31mred\x1b[0m [bold]bold[/bold] <script>alert(1)</script>")
    print("to the standard error", file=sys.stderr)
    raise ValueError("\x1b]0;title\x07 <b>broken</b>")
