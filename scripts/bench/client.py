"""Compares the compiled client, the Python client and plain PyTorch: CPU time of an operator on tiny tensors.

Usage: python -m scripts.bench.client. Training runs in local processes. The figures are those of the
submission's process alone. The last line is the share of calls that Python did not see.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from haet_eval.competition import Budgets
from haet_eval.evaluation.pair import open_pair
from haet_eval.remote.client.compiled.build import VARIABLE
from haet_eval.remote.messages import Start
from haet_eval.runtimes import compiled_client
from haet_eval.runtimes.environment import EXECUTOR
from haet_eval.runtimes.process import ProcessRuntime
from scripts.bench import tiny
from scripts.bench.compare import IMAGES, LABELS, NullMode, job

ROUNDS = 3
Figures = dict[str, float]


def through_handles(setting: str) -> Figures:
    """A step's CPU seconds in the submission's process, and how many calls were hits."""
    # Workers inherit this variable, which chooses the client.
    os.environ[VARIABLE] = setting
    if setting == "1":
        # Outside of the measured run: the first time it compiles.
        compiled_client.prepare(print)
    told: list[Figures] = []

    def report(values: Mapping[str, Any]) -> None:
        told.append({name: float(value) for name, value in values.items()})

    source = Path(tiny.__file__).read_text(encoding="utf-8")
    with open_pair(ProcessRuntime(), Budgets(cpus=1), {"images": IMAGES.shape}) as run:
        run.relay.use(run.watch.look, report)
        run.relay.start(Start(device="cpu", threads=1), [IMAGES, LABELS])
        run.watch.begin("train", 600)
        run.relay.train(job({"tiny.py": source}, "tiny"))
    return told[-1]


def plain() -> Figures:
    """The same step without handles, in a process of its own, and the number of its operators."""
    command = [sys.executable, "-m", "scripts.bench.client", "plain"]
    environment = os.environ | EXECUTOR | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    found: Figures = json.loads(done.stdout)
    return found


def plain_here() -> Figures:
    """The figures of `plain`, in this process."""
    torch.set_num_threads(1)
    torch.backends.mkldnn.enabled = False  # type: ignore[assignment]  # it prepares each convolution anew, which takes longer than a call
    task = SimpleNamespace(images=torch.from_numpy(IMAGES), labels=torch.from_numpy(LABELS))
    found = tiny.timed(task)
    step = tiny.training(task)
    step()
    with NullMode() as mode:  # type: ignore[no-untyped-call]
        step()
    return found | {"operators": float(mode.calls)}


def main() -> None:
    """Print the table, or the plain figures as JSON."""
    if sys.argv[1:] == ["plain"]:
        print(json.dumps(plain_here()))
        return
    # All three in each round, so that a slow minute of the machine hits all of them.
    rounds = [(plain(), through_handles("0"), through_handles("1")) for _ in range(ROUNDS)]
    operators = rounds[0][0]["operators"]
    print(f"| tiny step: {operators:.0f} operators | µs for each operator |\n|---|--:|")
    for place, name in enumerate(("plain PyTorch", "handles, Python client", "handles, compiled client")):
        seconds = min(figures[place]["seconds"] for figures in rounds)
        print(f"| {name} | {seconds / operators * 1e6:.1f} |")
    hits, left = (sum(figures[2][key] for figures in rounds) for key in ("hits", "left"))
    print(f"\nOf the calls, {hits / (hits + left):.2%} were hits.")


if __name__ == "__main__":
    main()
