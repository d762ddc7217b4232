"""Packages that contestants bring: each takes one step of training, unchanged."""

from typing import Any

import ema_pytorch
import timm
import timm.data
import timm.loss
import timm.optim
import timm.scheduler
import torch
import torch.nn.functional as F
import torchmetrics
import torchvision
from torch import Tensor, nn

from .networks import batches, fit, normalized, number, sgd, small_cnn

Results = dict[str, Tensor]

TIMM: dict[str, dict[str, Any]] = {
    "resnet10t": {},
    "resnetv2_18": {},
    "convnext_atto": {},
    "convnextv2_atto": {},
    "mobilenetv3_small_050": {},
    "mobilenetv4_conv_small_035": {},
    "efficientnet_b0": {},
    "vit_tiny_patch16_224": {"img_size": 32, "patch_size": 8},
    "deit3_small_patch16_224": {"img_size": 32, "patch_size": 8, "depth": 2},
    "mixer_s32_224": {"img_size": 32},
    "regnety_002": {},
    "regnetx_002": {},
    "ghostnet_050": {},
    "mobileone_s0": {},
    "repvgg_a0": {},
    "poolformer_s12": {},
    "swin_tiny_patch4_window7_224": {"img_size": 32, "window_size": 4, "depths": (1, 1, 1, 1)},
    "xcit_nano_12_p16_224": {"img_size": 32, "depth": 2},
    "lcnet_035": {},
    "fastvit_t8": {},
    "resnest14d": {},
    "skresnet18": {},
    "densenet121": {"block_config": (2, 2, 2, 2)},
    "coatnet_pico_rw_224": {"img_size": 32},
}

TORCHVISION: dict[str, dict[str, Any]] = {
    "alexnet": {},
    "squeezenet1_1": {},
    "shufflenet_v2_x0_5": {},
    "mobilenet_v2": {},
    "mobilenet_v3_small": {},
    "mnasnet0_5": {},
    "efficientnet_b0": {},
    "regnet_y_400mf": {},
    "googlenet": {"aux_logits": False, "init_weights": False},
    "densenet121": {},
    "convnext_tiny": {},
    "vgg11_bn": {},
    "resnext50_32x4d": {},
    "resnet18": {},
    "efficientnet_v2_s": {},
    "swin_t": {},
    "swin_v2_t": {},
    "inception_v3": {"aux_logits": False, "init_weights": False},
    "vit_b_32": {"image_size": 64},
}

SIZES = {"inception_v3": 75}


def _step(model: nn.Module, task: Any, size: int) -> Results:
    """One step with SGD: gradients of every parameter that has one, and what buffers became."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    images = F.interpolate(normalized(task.images[:2]), size)
    loss = F.cross_entropy(model(images), task.labels[:2])
    loss.backward()  # type: ignore[no-untyped-call]
    grads = [p.grad.double().square().sum() for p in model.parameters() if p.grad is not None]
    optimizer.step()
    values = [value.double().sum() for value in model.state_dict().values()]
    with torch.no_grad():
        logits = model.eval()(images)
    return {"grads": torch.stack(grads), "values": torch.stack(values), "loss": loss, "logits": logits}


def _define(kind: str, name: str, options: dict[str, Any]) -> None:
    def case(task: Any) -> Results:
        if kind == "timm":
            return _step(timm.create_model(name, num_classes=10, **options), task, 32)
        return _step(torchvision.models.get_model(name, num_classes=10, **options), task, SIZES.get(name, 64))

    case.__name__ = f"{kind}_{name}"
    globals()[case.__name__] = case


for _name, _options in TIMM.items():
    _define("timm", _name, _options)
for _name, _options in TORCHVISION.items():
    _define("torchvision", _name, _options)


def timm_optimizers(task: Any) -> Results:
    found: Results = {}
    for name in (
        "lamb",
        "lion",
        "adabelief",
        "adan",
        "lars",
        "madgrad",
        "nadamw",
        "adafactor",
        "sgdp",
        "laprop",
        "muon",
    ):
        torch.manual_seed(0)
        model = small_cnn(0.0)
        optimizer = timm.optim.create_optimizer_v2(model, opt=name, lr=1e-2, weight_decay=0.01)
        found |= {f"{name}.{key}": value for key, value in fit(model, optimizer, task, 2).items()}
    return found


def timm_mixup_losses_and_schedule(task: Any) -> Results:
    model = small_cnn()
    optimizer = timm.optim.create_optimizer_v2(model, opt="adamw", lr=1e-3, layer_decay=0.9)
    schedule = timm.scheduler.CosineLRScheduler(optimizer, 10, warmup_t=2)
    mixup = timm.data.Mixup(0.8, 1.0, num_classes=10)
    loss_of = timm.loss.SoftTargetCrossEntropy()
    average = timm.utils.ModelEmaV3(model, 0.9)
    for step, (images, labels) in enumerate(batches(task, 2)):
        if step:
            images, labels = images.cpu(), labels.cpu()
        x, y = mixup(images, labels)
        optimizer.zero_grad()
        loss_of(model(x), y).backward()
        timm.utils.dispatch_clip_grad(model.parameters(), 0.02, mode="agc")
        optimizer.step()
        schedule.step(step)
        average.update(model)
    return model.state_dict() | {f"average.{k}": v for k, v in average.state_dict().items()}


def metrics(task: Any) -> Results:
    scores, labels = torch.randn(64, 10).softmax(1), task.labels[:64]
    made = {
        "accuracy": torchmetrics.Accuracy(task="multiclass", num_classes=10),
        "top5": torchmetrics.Accuracy(task="multiclass", num_classes=10, top_k=5),
        "f1": torchmetrics.F1Score(task="multiclass", num_classes=10, average="macro"),
        "confusion": torchmetrics.ConfusionMatrix(task="multiclass", num_classes=10),
        "mean": torchmetrics.MeanMetric(),
        "calibration": torchmetrics.CalibrationError(task="multiclass", num_classes=10),
    }
    for name, metric in made.items():
        for part in range(2):
            rows = slice(part * 32, part * 32 + 32)
            metric.update(*((scores[rows],) if name == "mean" else (scores[rows], labels[rows])))
    return {name: metric.compute() for name, metric in made.items()}


def ema(task: Any) -> Results:
    model = small_cnn()
    average = ema_pytorch.EMA(model, beta=0.9, update_after_step=1, update_every=1)
    state = fit(model, sgd(model), task, after_step=average.update)
    return state | average.ema_model.state_dict() | {"step": number(average.step.item())}
