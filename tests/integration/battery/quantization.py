"""Quantization-aware training by every ordinary route: functions, modules of torch.ao, buffers that grow."""

import warnings
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.ao import quantization as ao

Results = dict[str, Tensor]
_RANGE = (-128, 127)


def _weights() -> Tensor:
    return torch.linspace(-1.5, 1.5, 24).view(4, 6).requires_grad_()


def _with_gradient(weights: Tensor, out: Tensor) -> Results:
    (out * torch.arange(24.0).view(4, 6)).sum().backward()  # type: ignore[no-untyped-call]
    assert weights.grad is not None
    return {"out": out, "gradient": weights.grad}


def per_tensor(task: Any) -> Results:
    weights = _weights()
    return _with_gradient(weights, torch.fake_quantize_per_tensor_affine(weights, 0.01, 0, *_RANGE))


def per_tensor_with_a_zero_point(task: Any) -> Results:
    weights = _weights()
    return _with_gradient(weights, torch.fake_quantize_per_tensor_affine(weights, 0.1, 3, 0, 15))


def per_tensor_with_tensors(task: Any) -> Results:
    weights = _weights()
    scale, zero = torch.tensor([0.07]), torch.tensor([2], dtype=torch.int32)
    return _with_gradient(weights, torch.fake_quantize_per_tensor_affine(weights, scale, zero, 0, 15))


def per_channel(task: Any) -> Results:
    weights = _weights()
    scale, zero = torch.tensor([0.1, 0.03, 0.2, 0.15]), torch.tensor([0, 3, 7, 1], dtype=torch.int32)
    return _with_gradient(weights, torch.fake_quantize_per_channel_affine(weights, scale, zero, 0, 0, 15))


def module_per_channel(task: Any) -> Results:
    """Its buffers grow from one element to one for each channel."""
    module = ao.FakeQuantize(  # type: ignore[no-untyped-call]
        observer=ao.MovingAveragePerChannelMinMaxObserver,
        quant_min=-128,
        quant_max=127,
        dtype=torch.qint8,
        qscheme=torch.per_channel_symmetric,
    )
    weights = _weights()
    return _with_gradient(weights, module(weights)) | {"scale": module.scale}


def fused_module(task: Any) -> Results:
    module = ao.FusedMovingAvgObsFakeQuantize(quant_min=0, quant_max=255)
    weights = _weights()
    module(weights.detach() * 0.5)
    out = _with_gradient(weights, module(weights))
    return out | {"scale": module.scale, "zero": module.zero_point}


_SMALL_RANGES = {
    "both": (-0.7, 1.3),
    "positive": (0.1, 1.7),
    "negative": (-1.1, -0.2),
    "from_zero": (0.0, 0.9),
    "to_zero": (-0.3, 0.0),
    "one_value": (0.6, 0.6),
}


def fused_module_with_small_ranges(task: Any) -> Results:
    """PyTorch makes small scales larger, and chooses another one if they have no finite inverse."""
    found: Results = {}
    schemes = {
        "affine": (torch.per_tensor_affine, torch.quint8, 0, 255),
        "even": (torch.per_tensor_symmetric, torch.qint8, -128, 127),
    }
    for scheme, (qscheme, dtype, least, most) in schemes.items():
        for name, (low, high) in _SMALL_RANGES.items():
            for exponent in (-1, -3, -5, -9, -20, -37, -39, -44):
                module = ao.FusedMovingAvgObsFakeQuantize(
                    quant_min=least, quant_max=most, qscheme=qscheme, dtype=dtype
                )
                seen = torch.linspace(low, high, 7) * 10.0**exponent
                key = f"{scheme}.{name}.{-exponent}"
                found[key] = module(seen)
                found[f"{key}.scale"], found[f"{key}.zero"] = module.scale, module.zero_point
    return found


def fused_channels_with_small_ranges(task: Any) -> Results:
    channels = torch.stack([torch.linspace(low, high, 5) for low, high in _SMALL_RANGES.values()]) * 3e-3
    module = ao.FusedMovingAvgObsFakeQuantize(
        observer=ao.MovingAveragePerChannelMinMaxObserver,
        quant_min=-128,
        quant_max=127,
        dtype=torch.qint8,
        qscheme=torch.per_channel_symmetric,
    )
    found = [module(channels), module(channels * 0.3)]
    return {"first": found[0], "second": found[1], "scale": module.scale, "zero": module.zero_point}


def resized_buffers(task: Any) -> Results:
    return {
        "grown": torch.arange(3.0).resize_(4)[:3],  # the fourth is whatever memory held
        "shrunk": torch.arange(6.0).resize_(2, 2),
        "reshaped": torch.arange(6).resize_(3, 2),
    }


class _Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.quant, self.dequant = ao.QuantStub(), ao.DeQuantStub()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 10))

    def forward(self, x: Tensor) -> Tensor:
        return self.dequant(self.body(self.quant(x)))  # type: ignore[no-any-return]


def _trained(task: Any, backend: str) -> Results:
    net = _Net()
    net.qconfig = ao.get_default_qat_qconfig(backend)  # type: ignore[no-untyped-call]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = ao.prepare_qat(net.train())  # type: ignore[no-untyped-call]
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
    images = task.images[:16, :, ::4, ::4] / 255
    for _ in range(3):
        optimizer.zero_grad()
        loss = F.cross_entropy(net(images), task.labels[:16])
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return {name: value.detach() for name, value in net.named_parameters()} | {"loss": loss.detach()}


def eager_with_fbgemm(task: Any) -> Results:
    return _trained(task, "fbgemm")


def eager_with_qnnpack(task: Any) -> Results:
    return _trained(task, "qnnpack")
