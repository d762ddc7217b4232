"""One job of the submission's process: run `train`, hand in the model, predict."""

import os
import socket
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from haet_eval.remote.client.compiled.hits import attach
from haet_eval.remote.client.dispatch import Dispatcher
from haet_eval.remote.client.fresh import start_alike
from haet_eval.remote.client.labels import Labeller
from haet_eval.remote.client.lazy import install_lazy_parameters
from haet_eval.remote.client.link import Link
from haet_eval.remote.client.made_up import Decisions
from haet_eval.remote.client.mode import RemoteMode, install_in_threads
from haet_eval.remote.client.optimizers import install_eager_optimizers
from haet_eval.remote.client.output import OutputCapture
from haet_eval.remote.client.own_code import OwnCode
from haet_eval.remote.client.parameters import install_parameter_classes
from haet_eval.remote.client.readings import Readings
from haet_eval.remote.client.replacements import install_replacements
from haet_eval.remote.client.returned import module_or_mistake
from haet_eval.remote.client.sealed import SealedModel
from haet_eval.remote.client.seeds import seed_all
from haet_eval.remote.client.source import explain, install_source, load_function
from haet_eval.remote.client.task import SubmissionTask
from haet_eval.remote.client.tensor import RemoteTensor
from haet_eval.remote.messages import (
    BatchPredicted,
    Decided,
    ImageBatch,
    Job,
    ModelTensor,
    Ready,
    Report,
    Returned,
)


def run_job(sock: socket.socket) -> None:
    """Ask for a job over a connected socket and do it. Returns when all is said."""
    link = Link(sock)
    python = ".".join(str(part) for part in sys.version_info[:3])
    job = Job.model_validate_json(link.request(Ready(torch=torch.__version__, python=python).encode()))
    with tempfile.TemporaryDirectory() as folder:
        # Before the submission's code is imported: what an import prints belongs to the log, too.
        output = OutputCapture(link)
        dispatcher = Dispatcher(link)
        code = OwnCode(Path(folder))
        dispatcher.readings = Readings(code)
        dispatcher.labeller = Labeller(code, dispatcher.phases.modules, link.label)
        # On the class, because PyTorch makes handles of its own (views, gradients) and can hand no dispatcher
        # on.
        RemoteTensor.dispatcher = dispatcher
        attach(dispatcher)
        try:
            with RemoteMode(dispatcher):
                _work(dispatcher, job, Path(folder), code)
        except BaseException as error:  # SystemExit too: a submission may not end the run by itself
            # First: closing sends the rest of the output, and the host stops at the failure.
            output.close()
            link.tell(explain(error, Path(folder)).encode())
        else:
            output.close()


def connect(dispatcher: Dispatcher, job: Job, code: OwnCode) -> SubmissionTask:
    """Prepare this process for a job: threads, seeds, and torch's functions that need replacing."""
    torch.set_num_threads(1)
    # Before `seed_all`, which must reach the generators of the executor.
    dispatcher.random.install()
    dispatcher.phases.install()
    install_lazy_parameters()
    install_parameter_classes()
    install_eager_optimizers()
    install_in_threads(dispatcher)
    install_replacements()
    Decisions.current = Decisions(
        code, lambda place: dispatcher.link.tell(Decided(place=place[:200]).encode())
    )
    # Images, then labels, and before any call: both sides number these two tensors 1 and 2.
    images = dispatcher.adopt(job.images, torch.uint8)
    labels = dispatcher.adopt(job.images[:1], torch.int64)
    # Last, so that nothing that was installed before has drawn from the generators.
    seed_all(job.seed)
    return SubmissionTask(
        images=images,
        labels=labels,
        num_classes=job.num_classes,
        seed=job.seed,
        device=torch.device("cpu"),
        time_budget_seconds=job.time_budget_seconds,
        _tell=lambda values, made_up: dispatcher.link.tell(Report(values=values, made_up=made_up).encode()),
    )


def _work(dispatcher: Dispatcher, job: Job, folder: Path, code: OwnCode) -> None:
    install_source(folder, job.files)
    # Submissions open their files by relative paths.
    os.chdir(folder)
    # Before the submission's modules are imported: they may draw or ask for names at once.
    start_alike(job.seed)
    dispatcher.link.garbage.install()
    task = connect(dispatcher, job, code)
    model = load_function(job.module, job.function)(task)
    # The task would keep the training data alive in the executor during the whole prediction.
    del task
    hand_in(dispatcher, model)
    dispatcher.readings.clear()
    dispatcher.labeller = None
    sealed = SealedModel(dispatcher, model, code)
    with sealed.watching():
        sealed.evaluate()
        _predict(dispatcher, sealed, model)


def hand_in(dispatcher: Dispatcher, model: Any) -> None:
    """Tell the host which tensors the returned module registers.

    Raises:
        TypeError: it is no module, or holds a tensor that is not in the executor.
    """
    module = module_or_mistake(model)
    tensors = [
        *_model_tensors(module.named_parameters(remove_duplicate=False), _parameter_role),
        *_model_tensors(module.named_buffers(remove_duplicate=False), lambda _: "buffer"),
    ]
    dispatcher.link.request(Returned(tensors=tuple(tensors)).encode())


def _parameter_role(parameter: torch.Tensor) -> str:
    return "trainable" if parameter.requires_grad else "frozen"


def _model_tensors(named: Any, role: Callable[[torch.Tensor], str]) -> list[ModelTensor]:
    found = []
    for name, tensor in named:
        if not isinstance(tensor, RemoteTensor):
            raise TypeError(
                f"{name} of the returned module is not a tensor of the task's device; make it in the thread "
                "that train() runs in, and only while train() runs"
            )
        found.append(
            ModelTensor.model_validate(
                {"name": name, "handle": tensor._handle.number, "role": role(tensor)}, strict=True
            )
        )
    return found


def _predict(dispatcher: Dispatcher, sealed: SealedModel, model: torch.nn.Module) -> None:
    number: int | None = None
    logits: Any = None
    while True:
        answer = dispatcher.link.request(BatchPredicted(logits=number).encode())
        batch = ImageBatch.model_validate_json(answer)
        # Only now: had they been freed before the message went out, it would name a tensor that is gone.
        del logits
        if batch.handle is None:
            return
        if number is not None:
            sealed.begin_batch()
        with torch.no_grad():
            logits = model(dispatcher.adopt(batch.shape, torch.uint8))
        number = _number(logits)


def _number(logits: Any) -> int:
    if not isinstance(logits, RemoteTensor):
        raise TypeError(f"the model returned {type(logits).__name__}; it must return a tensor of logits")
    number: int = logits._handle.number
    return number
