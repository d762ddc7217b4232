"""Training loops as people write them around a model: a trainer with hooks, a script with every switch."""

import shutil
import warnings
from contextlib import nullcontext
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryFile
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils import data

from .networks import fit, normalized, number, sgd, small_cnn

Results = dict[str, Tensor]


class _Classifier(nn.Module):
    """What a trainer drives: it says what a step is, and logs."""

    def __init__(self) -> None:
        super().__init__()
        self.body = small_cnn()
        self.logged: dict[str, list[Tensor]] = {}

    def training_step(self, batch: tuple[Tensor, Tensor], place: int) -> Tensor:
        images, labels = batch
        logits = self.body(images)
        loss = F.cross_entropy(logits, labels, label_smoothing=0.1)
        self.log("loss", loss)
        self.log("accuracy", (logits.argmax(1) == labels).float().mean())
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], place: int) -> None:
        images, labels = batch
        self.log("validation", F.cross_entropy(self.body(images), labels))

    def configure_optimizers(self) -> tuple[Any, Any]:
        decayed = [p for p in self.parameters() if p.ndim > 1]
        others = [p for p in self.parameters() if p.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": 0.05}, {"params": others, "weight_decay": 0.0}]
        optimizer = torch.optim.AdamW(groups, lr=1e-3)
        return optimizer, torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=8)

    def log(self, name: str, value: Tensor) -> None:
        self.logged.setdefault(name, []).append(value.detach())


class _Trainer:
    """Epochs, gradients of several batches together, clipping, validation, the best state."""

    def __init__(self, epochs: int, accumulate: int) -> None:
        self.epochs, self.accumulate = epochs, accumulate
        self.best, self.state = float("inf"), dict[str, Tensor]()

    def fit(self, module: _Classifier, training: Any, validation: Any) -> None:
        optimizer, schedule = module.configure_optimizers()
        for _ in range(self.epochs):
            module.train()
            for place, batch in enumerate(training):
                (module.training_step(batch, place) / self.accumulate).backward()  # type: ignore[no-untyped-call]
                if (place + 1) % self.accumulate == 0:
                    nn.utils.clip_grad_norm_(module.parameters(), 1.0)
                    optimizer.step()
                    optimizer.zero_grad(set_to_none=True)
                    schedule.step()
            self.validate(module, validation)

    def validate(self, module: _Classifier, batches: Any) -> None:
        module.eval()
        with torch.inference_mode():
            for place, batch in enumerate(batches):
                module.validation_step(batch, place)
        score = torch.stack(module.logged.pop("validation")).mean().item()
        if score < self.best:
            self.best = score
            self.state = {name: value.clone() for name, value in module.state_dict().items()}


def trainer_with_a_module(task: Any) -> Results:
    torch.manual_seed(0)
    whole = data.TensorDataset(normalized(task.images[:96]), task.labels[:96])
    training, validation = data.random_split(whole, [64, 32])
    module, trainer = _Classifier(), _Trainer(2, accumulate=2)
    trainer.fit(
        module,
        data.DataLoader(training, batch_size=16, shuffle=True),
        data.DataLoader(validation, batch_size=16),
    )
    module.load_state_dict(trainer.state)
    logged = {f"logged.{name}": torch.stack(values) for name, values in module.logged.items()}
    return module.state_dict() | logged | {"best": number(trainer.best)}


def script_with_every_switch(task: Any) -> Results:
    """Lines that scripts for a GPU have, and that do nothing on a CPU, are left in."""
    warnings.simplefilter("ignore")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.backends.cudnn.benchmark = True
    torch.cuda.manual_seed_all(0)
    torch.set_float32_matmul_precision("high")
    made = small_cnn().to(device).to(memory_format=torch.channels_last)
    model: Any = torch.compile(made, mode="max-autotune")
    optimizer = torch.optim.SGD(model.parameters(), 0.1, 0.9, nesterov=True)
    scaler = torch.amp.GradScaler("cuda", enabled=device.type == "cuda")
    loader = data.DataLoader(
        data.TensorDataset(task.images[:64], task.labels[:64]),
        batch_size=32,
        shuffle=True,
        pin_memory=True,
        num_workers=0,
    )
    mixed: Any = torch.autocast(device.type, torch.bfloat16) if device.type == "cuda" else nullcontext()
    for images, labels in loader:
        images = images.to(device, non_blocking=True, memory_format=torch.channels_last)
        labels = labels.to(device, non_blocking=True)
        with torch.profiler.record_function("step"), mixed:
            loss = F.cross_entropy(model(normalized(images)), labels)
        optimizer.zero_grad(set_to_none=True)
        scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, "last.pt")
    saved = torch.load("last.pt", map_location=device)
    Path("last.pt").unlink()
    model.load_state_dict(saved["model"])
    optimizer.load_state_dict(saved["optimizer"])
    torch.cuda.empty_cache()
    return {name.removeprefix("_orig_mod."): value for name, value in model.state_dict().items()}


def checkpoints_in_open_files(task: Any) -> Results:
    model = small_cnn()
    optimizer = sgd(model)
    saved = []
    for epoch in range(3):
        with Path("open.pt").open("wb") as file:
            torch.save(model.state_dict(), file)
        fit(model, optimizer, task, 1)
        saved.append(torch.load("open.pt"))
        torch.save({"epoch": epoch, "model": model.state_dict()}, "path.pt")
        with Path("path.pt").open("rb") as reader:
            saved.append(torch.load(reader)["model"])
        with NamedTemporaryFile() as temporary:
            torch.save(model.state_dict(), temporary)
            temporary.seek(0)
            saved.append(torch.load(temporary))
        with TemporaryFile() as nameless:
            torch.save(optimizer.state_dict(), nameless)
            nameless.seek(0)
            optimizer.load_state_dict(torch.load(nameless))
    Path("open.pt").unlink()
    Path("path.pt").unlink()
    return {f"{n}.{name}": value for n, state in enumerate(saved) for name, value in state.items()}


def checkpoints_renamed_linked_and_copied(task: Any) -> Results:
    """Each epoch's state is written beside the last one and takes its place; the best is a copy of it."""
    model = small_cnn()
    optimizer = sgd(model)
    folder = Path("kept")
    folder.mkdir(exist_ok=True)
    for epoch in range(3):
        fit(model, optimizer, task, 1)
        state = {"model": model.state_dict(), "drawn": torch.get_rng_state(), "epoch": epoch}
        torch.save(state, folder / "new.pt")
        (folder / "new.pt").replace(folder / "last.pt")
        if epoch == 1:
            shutil.copy(folder / "last.pt", folder / "best.pt")
            (folder / "second.pt").hardlink_to(folder / "last.pt")
    shutil.move(folder / "best.pt", "best.pt")
    saved = [torch.load(path) for path in ("best.pt", folder / "second.pt", folder / "last.pt")]
    torch.set_rng_state(saved[0]["drawn"])
    model.load_state_dict(saved[0]["model"])
    drawn = {"drawn": torch.rand(3), "epochs": torch.tensor([state["epoch"] for state in saved])}
    shutil.rmtree(folder)
    Path("best.pt").unlink()
    return fit(model, optimizer, task, 1) | drawn
