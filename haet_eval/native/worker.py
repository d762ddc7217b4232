"""One job of a node: load the data, run `train` on it, return the model, predict."""

import copy
import os
import platform
import signal
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final

import torch

from haet_eval.native.device import leave_lstm_unfused, live_on_cuda, missing_device
from haet_eval.native.inventory import Weights, bare_module, weights_of
from haet_eval.native.link import HostLink
from haet_eval.native.messages import (
    Begin,
    ImagesArrived,
    ImagesFollow,
    LabelsFollow,
    Loaded,
    ModelKept,
    NodeJob,
    Predict,
    TrainReturned,
)
from haet_eval.remote.client.fresh import pin_entropy
from haet_eval.remote.client.output import OutputCapture
from haet_eval.remote.client.seeds import seed_all
from haet_eval.remote.client.source import explain, install_source, load_function
from haet_eval.remote.client.task import SubmissionTask
from haet_eval.remote.executor.labels import labels_of
from haet_eval.remote.messages import Report

_ALARM_SECONDS: Final = 2.0


class TimeIsOver(BaseException):
    """Ends `train` from the outside. It is not an Exception: code that catches those would train on."""


def run_node(sock: socket.socket) -> None:
    """Do one job over a connected socket. Returns after the last message."""
    link = HostLink(sock)
    setting = link.expect(NodeJob)
    images = torch.empty(setting.images, dtype=torch.uint8)
    labels = torch.empty(setting.images[:1], dtype=torch.int64)
    # In memory of the CPU, which the socket can write to, and before the clock starts.
    for tensor in (images, labels):
        link.fill(_bytes_of(tensor))
    problem = _prepare(setting)
    if not problem:
        # On the device before `Loaded` is sent, after which the host starts the clock.
        images, labels = images.to(setting.device), labels.to(setting.device)
    link.tell(
        Loaded(
            torch=torch.__version__,
            python=platform.python_version(),
            accelerator=_accelerator(setting),
            problem=problem,
        )
    )
    if problem:
        return
    with tempfile.TemporaryDirectory() as folder:
        output = OutputCapture(link)
        try:
            _work(link, setting, images, labels, Path(folder))
        except BaseException as error:  # SystemExit, too: a submission must not end the run silently
            # What was printed arrives before the reason for the end.
            output.close()
            link.tell(explain(error, Path(folder)))
        else:
            output.close()


def _prepare(setting: NodeJob) -> str:
    """Set torch up as in a counted run; return why this machine cannot do it, or an empty text."""
    problem = missing_device(setting.device)
    torch.set_num_threads(setting.threads)
    leave_lstm_unfused()
    if setting.device == "cuda" and not problem:
        live_on_cuda()
    return problem


def _accelerator(setting: NodeJob) -> str | None:
    usable = setting.device == "cuda" and torch.cuda.is_available()
    return torch.cuda.get_device_name() if usable else None


def _work(link: HostLink, setting: NodeJob, images: torch.Tensor, labels: torch.Tensor, folder: Path) -> None:
    install_source(folder, setting.files)
    os.chdir(folder)
    pin_entropy(setting.seed)
    keeper = _Keeper(link)
    keeps = setting.checkpoints and setting.node == 0
    task = SubmissionTask(
        images=images,
        labels=labels,
        num_classes=setting.num_classes,
        seed=setting.seed,
        device=torch.device(setting.device),
        time_budget_seconds=setting.time_budget_seconds,
        _tell=lambda values, _: link.tell(Report(values=values)),
        # The same code has to run under rules without checkpoints.
        _keep=keeper.keep if keeps else lambda _: None,
    )
    seed_all(setting.seed)
    # The submission is imported only now: its import belongs to the time of the training.
    link.expect(Begin)
    model = _train(setting, task, keeper, setting.time_budget_seconds if keeps else 0)
    if setting.node:
        link.tell(TrainReturned())
        return
    if model is None or not keeper.hand_in(model):
        model = keeper.hand_in_last()
    # After the weights have left. The mode does not change them.
    model.eval()
    _predict(link, setting, model)


def _train(
    setting: NodeJob, task: SubmissionTask, keeper: "_Keeper", seconds: float
) -> torch.nn.Module | None:
    """The model that `train` returned; None if the time was over before. With 0 seconds there is no limit."""
    try:
        with keeper.ends_training_after(seconds):
            return bare_module(load_function(setting.module, setting.function)(task))
    except TimeIsOver:
        return None


class _Keeper:
    """Keeps the last checkpoint that the host has accepted, as a copy that the training cannot change."""

    def __init__(self, link: HostLink) -> None:
        self._link = link
        self.model: torch.nn.Module | None = None
        self._weights: Weights | None = None

    @contextmanager
    def ends_training_after(self, seconds: float) -> Iterator[None]:
        """In this block raise TimeIsOver after that time, again if the submission catches it; never for 0."""
        signal.signal(signal.SIGALRM, self._ring)
        signal.setitimer(signal.ITIMER_REAL, seconds, _ALARM_SECONDS if seconds else 0)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            # An alarm that has already rung must not raise outside of the block.
            signal.signal(signal.SIGALRM, signal.SIG_IGN)

    def _ring(self, _: int, frame: FrameType | None) -> None:
        """Raise TimeIsOver, unless there is no checkpoint yet, or a message is only half sent.

        In these cases the alarm rings again later.
        """
        # An exception in the middle of a frame would break the protocol. In `keep` it could part the
        # checkpoint that the host has acknowledged from the one that is kept here.
        whole = (HostLink.send.__code__, HostLink.output.__code__, _Keeper.keep.__code__)
        while frame is not None:
            if frame.f_code in whole:
                return
            frame = frame.f_back
        if self.model is not None:
            raise TimeIsOver

    def keep(self, model: torch.nn.Module) -> None:
        """Copy the model and send the host the digest of its weights."""
        # The training goes on and changes the model, and the digest is a promise of these weights.
        kept = copy.deepcopy(bare_module(model))
        weights = weights_of(kept)
        self._link.tell(weights.described("checkpoint"))
        if not self._link.expect(ModelKept).in_time:
            # There is no need to wait for the alarm. Without an earlier checkpoint the host has ended the run
            # instead.
            raise TimeIsOver
        self.model, self._weights = kept, weights

    def hand_in(self, model: torch.nn.Module) -> bool:
        """Send the host the model that `train` has returned; False if it is too late."""
        weights = weights_of(model)
        with self._link.alone():
            self._link.tell(weights.described("returned"))
            if not self._link.expect(ModelKept).in_time:
                return False
            self._link.blocks(weights.content)
        return True

    def hand_in_last(self) -> torch.nn.Module:
        """Send the host the last checkpoint."""
        assert self.model is not None
        assert self._weights is not None
        with self._link.alone():
            self._link.tell(self._weights.described("last_checkpoint"))
            self._link.blocks(self._weights.content)
        return self.model


def _predict(link: HostLink, setting: NodeJob, model: torch.nn.Module) -> None:
    # On the CPU by name, because the default device may be a GPU by now.
    images = torch.empty(link.expect(ImagesFollow).shape, dtype=torch.uint8, device="cpu")
    link.fill(_bytes_of(images))
    images = images.to(setting.device)
    link.tell(ImagesArrived())
    order = link.expect(Predict)
    labels = torch.empty(0)
    for _ in range(order.iterations):
        batches = torch.split(images, order.batch_size)
        labels = torch.cat([_labels(model, batch, setting.num_classes) for batch in batches]).cpu()
    with link.alone():
        link.tell(LabelsFollow())
        link.blocks(labels.numpy().tobytes())


@torch.no_grad()
def _labels(model: torch.nn.Module, batch: torch.Tensor, num_classes: int) -> torch.Tensor:
    logits = model(batch)
    if not isinstance(logits, torch.Tensor):
        raise TypeError(f"the model returned {type(logits).__name__}; it must return a tensor of logits")
    if not logits.is_floating_point() or logits.shape != (len(batch), num_classes):
        raise ValueError(
            f"the model returned {logits.dtype} of shape {list(logits.shape)} for a batch of {len(batch)} "
            f"images; logits must be floats of shape {[len(batch), num_classes]}"
        )
    return labels_of(logits)


def _bytes_of(tensor: torch.Tensor) -> memoryview:
    """The tensor's writable memory on the CPU."""
    return tensor.reshape(-1).view(torch.uint8).numpy().data if tensor.numel() else memoryview(b"")
