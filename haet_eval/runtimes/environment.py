"""The environment variables of a worker: a short list that does not depend on haet-eval's own environment."""

import os
from collections.abc import Mapping

from haet_eval.runtimes.interface import Role

VISIBLE_GPUS = "CUDA_VISIBLE_DEVICES"

PYTHON_OPTIONS = ("-P", "-s", "-B")
"""Most of `-I`, which would ignore PYTHONHASHSEED. No other variable of Python is in the environment."""

# PYTHONHASHSEED: a set of texts is in the order of their hashes, which differ in each interpreter without a
# seed. TORCH_DEVICE_BACKEND_AUTOLOAD: PyTorch would load any package that declares itself a backend; the
# image has none.
EVERY_WORKER = {
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "PYTHONHASHSEED": "0",
    "TORCH_DEVICE_BACKEND_AUTOLOAD": "0",
    "TZ": "UTC",
}

# OMP_WAIT_POLICY: threads of a kernel that wait by spinning take the processor from the meter and the
# submission. On a busy machine with two processors a small network trained four times slower. Nodes on plain
# tensors get the same variables, to be as fast.
# MALLOC_*: with glibc's own thresholds the executor gives pages back to the kernel and faults them in again
# at each training step, which costs 15 % of the time of a small ResNet.
EXECUTOR = {
    "OMP_WAIT_POLICY": "PASSIVE",
    "MALLOC_MMAP_THRESHOLD_": "4000000000",
    "MALLOC_TRIM_THRESHOLD_": "4000000000",
    "MALLOC_TOP_PAD_": "200000000",
}


def gpus_left() -> list[str] | None:
    """The GPUs that a batch or a scheduler left to this process; None if that is all of the machine."""
    left = os.environ.get(VISIBLE_GPUS)
    return None if left is None else left.split(",")


def worker_environment(role: Role, extra: Mapping[str, str]) -> dict[str, str]:
    """Variables for a worker of this role; `extra` wins over the defaults."""
    return EVERY_WORKER | ({} if role is Role.SUBMISSION else EXECUTOR) | dict(extra)
