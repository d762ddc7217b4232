"""Networks: convolutional, residual, transformers, recurrent; their ways of being made."""

import copy
import math
from typing import Any

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn
from torch.nn import init
from torch.nn.utils import parametrizations, parametrize

from .networks import SmallViT, batches, fit, linear_model, normalized, sgd, small_cnn

Results = dict[str, Tensor]


def cnn_with_batch_norm_and_dropout(task: Any) -> Results:
    model = small_cnn()
    return fit(model, sgd(model), task, loss=nn.CrossEntropyLoss(label_smoothing=0.1))


def resnet18(task: Any) -> Results:
    model = torchvision.models.resnet18(num_classes=10)
    return fit(model, sgd(model), task, 2)


def resnet18_channels_last(task: Any) -> Results:
    model = torchvision.models.resnet18(num_classes=10).to(memory_format=torch.channels_last)
    return fit(model, sgd(model), task, 2, change=lambda x: x.to(memory_format=torch.channels_last))


def vit(task: Any) -> Results:
    model = SmallViT()
    return fit(model, torch.optim.AdamW(model.parameters(), lr=1e-3), task)


def residual_net_by_hand(task: Any) -> Results:
    class Block(nn.Module):
        def __init__(self, channels: int) -> None:
            super().__init__()
            self.convs = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1, bias=False) for _ in "ab")
            self.norms = nn.ModuleList(nn.GroupNorm(4, channels) for _ in "ab")
            self.scale = nn.Parameter(torch.full((channels, 1, 1), 1e-2))

        def forward(self, x: Tensor) -> Tensor:
            y = x
            for conv, norm in zip(self.convs, self.norms, strict=True):
                y = conv(F.silu(norm(y)))
            return x + self.scale * y

    model = nn.Sequential(
        nn.Conv2d(3, 16, 3, 2, 1),
        *[Block(16) for _ in range(2)],
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 10),
    )
    return fit(model, sgd(model), task)


def squeeze_and_excite_depthwise(task: Any) -> Results:
    class Gate(nn.Module):
        def __init__(self, channels: int) -> None:
            super().__init__()
            self.inner = nn.Conv2d(channels, 4, 1)
            self.outer = nn.Conv2d(4, channels, 1)

        def forward(self, x: Tensor) -> Tensor:
            return x * F.hardsigmoid(self.outer(F.relu(self.inner(x.mean((2, 3), keepdim=True)))))

    model = nn.Sequential(
        nn.Conv2d(3, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.Hardswish(inplace=True),
        nn.Conv2d(16, 16, 3, 1, 1, groups=16), nn.BatchNorm2d(16), nn.ReLU6(inplace=True), Gate(16),
        nn.Dropout2d(0.1), nn.Flatten(1), nn.Linear(16 * 256, 10),
    )  # fmt: skip
    return fit(model, sgd(model), task, 2)


def mlp_mixer(task: Any) -> Results:
    class Mixer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Linear(192, 32)
            self.tokens = nn.Sequential(nn.Linear(16, 32), nn.GELU("tanh"), nn.Linear(32, 16))
            self.channels = nn.Sequential(nn.LayerNorm(32), nn.Linear(32, 64), nn.SiLU(), nn.Linear(64, 32))
            self.head = nn.Linear(32, 10)

        def forward(self, x: Tensor) -> Tensor:
            x = F.pixel_unshuffle(x, 8).flatten(2).mT
            x = self.embed(x)
            x = x + self.tokens(x.mT).mT
            x = x + self.channels(x)
            return self.head(x.mean(1))  # type: ignore[no-any-return]

    model = Mixer()
    return fit(model, torch.optim.AdamW(model.parameters()), task)


def autoencoder_with_transposed_convolutions(task: Any) -> Results:
    model = nn.Sequential(
        nn.Conv2d(3, 8, 4, 2, 1), nn.LeakyReLU(0.1), nn.Conv2d(8, 8, 4, 2, 1), nn.ELU(),
        nn.ConvTranspose2d(8, 8, 4, 2, 1), nn.PReLU(), nn.Upsample(scale_factor=2, mode="bilinear"),
        nn.Conv2d(8, 3, 1), nn.Tanh(),
    )  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters())
    for images, _ in batches(task, 2):
        optimizer.zero_grad()
        (F.mse_loss(model(images), images) + F.smooth_l1_loss(model(images), images)).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return model.state_dict()


def other_norms_and_pools(task: Any) -> Results:
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, dilation=2), nn.InstanceNorm2d(8, affine=True), nn.Softplus(), nn.AvgPool2d(2),
        nn.LocalResponseNorm(2), nn.Conv2d(8, 8, 3, padding="same", padding_mode="reflect"),
        nn.BatchNorm2d(8, momentum=None), nn.Mish(), nn.AdaptiveMaxPool2d(3), nn.LPPool2d(2, 1),
        nn.Flatten(), nn.RMSNorm(72), nn.Linear(72, 10), nn.BatchNorm1d(10),
    )  # fmt: skip
    return fit(model, sgd(model), task, 2)


def convolution_over_sequences(task: Any) -> Results:
    model = nn.Sequential(
        nn.Flatten(2),
        nn.Conv1d(3, 8, 5, 4),
        nn.BatchNorm1d(8),
        nn.GLU(1),
        nn.MaxPool1d(4),
        nn.Flatten(),
        nn.LazyLinear(10),
    )
    model(normalized(task.images[:2]))
    return fit(model, sgd(model), task, 2)


def attention_causal_and_masked(task: Any) -> Results:
    q = torch.randn(2, 4, 16, 8, requires_grad=True)
    causal = F.scaled_dot_product_attention(q, q, q, is_causal=True)
    causal.sum().backward()  # type: ignore[no-untyped-call]
    mask = torch.ones(16, 16).tril().bool()
    dropped = F.scaled_dot_product_attention(q, q, q, attn_mask=mask, dropout_p=0.1)
    added = F.scaled_dot_product_attention(q, q, q, attn_mask=torch.randn(16, 16))
    (dropped.sum() + added.square().sum()).backward()  # type: ignore[no-untyped-call]
    assert q.grad is not None
    return {"causal": causal, "dropped": dropped, "added": added, "grad": q.grad}


def attention_grouped_and_by_hand(task: Any) -> Results:
    q, k = torch.randn(2, 4, 9, 8, requires_grad=True), torch.randn(2, 2, 9, 8, requires_grad=True)
    grouped = F.scaled_dot_product_attention(q, k, k, enable_gqa=True)
    scores = q @ k.repeat_interleave(2, 1).mT / math.sqrt(8)
    scores = scores.masked_fill(torch.ones(9, 9).triu(1).bool(), -math.inf)
    by_hand = scores.softmax(-1) @ k.repeat_interleave(2, 1)
    (grouped.sum() + by_hand.square().sum()).backward()  # type: ignore[no-untyped-call]
    assert q.grad is not None and k.grad is not None
    return {"grouped": grouped, "by_hand": by_hand, "q": q.grad, "k": k.grad}


def attention_in_eval_mode(task: Any) -> Results:
    """The fast path of nn.TransformerEncoderLayer fuses operators: through handles as well as plain."""
    model = SmallViT().eval()
    with torch.no_grad():
        return {"logits": model(normalized(task.images[:4]))}


def multihead_attention(task: Any) -> Results:
    attention = nn.MultiheadAttention(16, 4, batch_first=True, dropout=0.1)
    x = torch.randn(2, 5, 16)
    out, weights = attention(
        x, x, x, key_padding_mask=torch.zeros(2, 5).bool().index_fill(1, torch.tensor(4), True)
    )
    (out.sum() + weights.square().sum()).backward()
    fast, _ = attention(x, x, x, need_weights=False)
    grads = {name: p.grad for name, p in attention.named_parameters() if p.grad is not None}
    return grads | {"out": out, "weights": weights, "fast": fast}


def transformer_with_decoder(task: Any) -> Results:
    model = nn.Transformer(16, 2, 1, 1, 32, batch_first=True)
    out = model(
        torch.randn(2, 6, 16), torch.randn(2, 4, 16), tgt_mask=model.generate_square_subsequent_mask(4)
    )
    out.square().mean().backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None} | {"out": out}


def rotary_embedding(task: Any) -> Results:
    x = torch.randn(2, 8, 4, 16, requires_grad=True)
    angles = torch.outer(torch.arange(8.0), 1.0 / (100 ** (torch.arange(0, 16, 2).float() / 16)))
    turned = (
        torch.view_as_complex(x.reshape(2, 8, 4, 8, 2))
        * torch.polar(torch.ones_like(angles), angles)[None, :, None]
    )
    out = torch.view_as_real(turned).flatten(3)
    out.square().sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    return {"out": out, "grad": x.grad}


def gru(task: Any) -> Results:
    model = nn.GRU(96, 16, num_layers=2, batch_first=True, bidirectional=True, dropout=0.1)
    return _recurrent(model, task)


def rnn(task: Any) -> Results:
    return _recurrent(nn.RNN(96, 16, batch_first=True), task)


def lstm(task: Any) -> Results:
    with torch.backends.mkldnn.flags(enabled=False):  # oneDNN's fused layer rounds otherwise
        return _recurrent(nn.LSTM(96, 16, batch_first=True), task)


def lstm_deep(task: Any) -> Results:
    return _recurrent(nn.LSTM(96, 16, num_layers=2, batch_first=True, bidirectional=True, proj_size=8), task)


def _recurrent(model: nn.RNNBase, task: Any) -> Results:
    rows = normalized(task.images[:4]).permute(0, 2, 1, 3).flatten(2)
    out, _ = model(rows)
    out[:, -1].square().mean().backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None} | {"out": out}


def recurrent_cells(task: Any) -> Results:
    lstm_cell, gru_cell = nn.LSTMCell(8, 6), nn.GRUCell(6, 4)
    h, c, g = torch.zeros(3, 6), torch.zeros(3, 6), torch.zeros(3, 4)
    for step in torch.randn(5, 3, 8):
        h, c = lstm_cell(step, (h, c))
        g = gru_cell(h, g)
    g.sum().backward()  # type: ignore[no-untyped-call]
    return {name: p.grad for name, p in lstm_cell.named_parameters() if p.grad is not None} | {"g": g}


def embeddings(task: Any) -> Results:
    table = nn.Embedding(10, 4, padding_idx=0, max_norm=1.0)
    out = table(task.labels[:12])
    out.square().sum().backward()
    assert table.weight.grad is not None
    return {"out": out, "grad": table.weight.grad, "weight": table.weight}


def losses(task: Any) -> Results:
    scores, labels = torch.randn(8, 10, requires_grad=True), task.labels[:8]
    other = torch.rand(8, 10)
    weight = torch.rand(10)
    values = {
        "weighted": F.cross_entropy(scores, labels, weight=weight),
        "soft": F.cross_entropy(scores, other.softmax(1)),
        "sum": F.cross_entropy(scores, labels, reduction="sum"),
        "ignored": F.cross_entropy(scores, labels, ignore_index=3),
        "none": F.cross_entropy(scores, labels, reduction="none", label_smoothing=0.1).mean(),
        "nll": F.nll_loss(F.log_softmax(scores, 1), labels),
        "bce": F.binary_cross_entropy_with_logits(scores, other, pos_weight=weight),
        "bce_probabilities": F.binary_cross_entropy(scores.sigmoid(), other),
        "l1": F.l1_loss(scores, other),
        "mse": F.mse_loss(scores, other),
        "huber": F.huber_loss(scores, other),
        "smooth": F.smooth_l1_loss(scores, other),
        "kl": F.kl_div(F.log_softmax(scores, 1), other.softmax(1), reduction="batchmean"),
        "margin": F.multi_margin_loss(scores, labels),
        "hinge": F.hinge_embedding_loss(scores, other.sign()),
        "cosine": F.cosine_embedding_loss(scores, other, torch.ones(8)),
        "triplet": F.triplet_margin_loss(scores, other, other.flip(0)),
        "poisson": F.poisson_nll_loss(scores, other),
        "gaussian": F.gaussian_nll_loss(scores, other, torch.ones(8, 10)),
        "soft_margin": F.soft_margin_loss(scores, (other - 0.5).sign()),
        "ranking": F.margin_ranking_loss(scores[:, 0], scores[:, 1], torch.ones(8)),
        "focal": ((1 - scores.softmax(1)) ** 2 * F.one_hot(labels, 10) * -scores.log_softmax(1))
        .sum(1)
        .mean(),
    }
    torch.stack(list(values.values())).sum().backward()  # type: ignore[no-untyped-call]
    assert scores.grad is not None
    return values | {"grad": scores.grad}


def activations(task: Any) -> Results:
    x = torch.linspace(-3, 3, 41).reshape(1, 41).requires_grad_()
    layers = [
        nn.ReLU(), nn.ReLU6(), nn.LeakyReLU(), nn.PReLU(), nn.RReLU(), nn.ELU(), nn.CELU(), nn.SELU(), nn.GELU(),
        nn.GELU("tanh"), nn.SiLU(), nn.Mish(), nn.Softplus(), nn.Softsign(), nn.Softshrink(), nn.Hardshrink(),
        nn.Tanhshrink(), nn.Hardtanh(), nn.Hardswish(), nn.Hardsigmoid(), nn.LogSigmoid(), nn.Threshold(0.1, 2.0),
        nn.Sigmoid(), nn.Tanh(), nn.Softmin(1), nn.LogSoftmax(1),
    ]  # fmt: skip
    out = torch.cat([layer(x) for layer in layers])
    out.square().sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    return {"out": out, "grad": x.grad}


def initialisations(task: Any) -> Results:
    weight = torch.empty(16, 8, 3, 3)
    schemes = {
        "kaiming": init.kaiming_normal_,
        "kaiming_uniform": init.kaiming_uniform_,
        "xavier": init.xavier_uniform_,
        "xavier_normal": init.xavier_normal_,
        "truncated": lambda w: init.trunc_normal_(w, std=0.02),
        "orthogonal": init.orthogonal_,
        "dirac": init.dirac_,
        "constant": lambda w: init.constant_(w, 0.3),
        "normal": init.normal_,
        "uniform": init.uniform_,
    }
    found = {name: scheme(weight).clone() for name, scheme in schemes.items()}  # type: ignore[operator]
    flat = torch.empty(12, 7)
    return found | {"eye": init.eye_(flat).clone(), "sparse": init.sparse_(flat, 0.5).clone()}


def lazy_modules(task: Any) -> Results:
    model = nn.Sequential(
        nn.LazyConv2d(8, 3), nn.LazyBatchNorm2d(), nn.ReLU(), nn.Flatten(), copy.deepcopy(nn.LazyLinear(10))
    )
    model(normalized(task.images[:2]))
    return fit(model, sgd(model), task, 2)


def initialisation_by_apply(task: Any) -> Results:
    def initialise(module: nn.Module) -> None:
        if isinstance(module, nn.Conv2d | nn.Linear):
            init.trunc_normal_(module.weight, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)

    model = small_cnn().apply(initialise)
    with torch.no_grad():
        model[10].weight.mul_(0.5)
        model[0].weight.data[:, :, 1, 1] += 1
        model[0].bias.data.fill_(0.1)
    return fit(model, sgd(model), task, 2)


def whitening_initialisation(task: Any) -> Results:
    """The first layer decorrelates 2×2 patches of the images, from an eigendecomposition."""
    images = normalized(task.images)
    patches = images.unfold(2, 2, 1).unfold(3, 2, 1).transpose(1, 3).reshape(-1, 3, 2, 2)
    flat = patches.view(len(patches), -1)
    covariance = (flat.T @ flat) / len(flat)
    values, vectors = torch.linalg.eigh(covariance, UPLO="U")
    scaled = vectors.T.reshape(-1, 3, 2, 2) / torch.sqrt(values.view(-1, 1, 1, 1) + 5e-4)
    model = nn.Sequential(
        nn.Conv2d(3, 24, 2, bias=False), nn.GELU(), nn.MaxPool2d(31), nn.Flatten(), nn.Linear(24, 10)
    )
    first = model[0]
    assert isinstance(first, nn.Conv2d)
    first.weight.data[:] = torch.cat((scaled, -scaled))
    first.weight.requires_grad = False
    return fit(model, torch.optim.SGD(model[4].parameters(), lr=0.1), task, 2)


def weight_norm_and_spectral_norm(task: Any) -> Results:
    model = nn.Sequential(
        nn.Flatten(),
        parametrizations.weight_norm(nn.Linear(3072, 16)),
        nn.ReLU(),
        parametrizations.spectral_norm(nn.Linear(16, 16)),
        parametrizations.orthogonal(nn.Linear(16, 10)),
    )
    return fit(model, sgd(model), task)


def older_weight_norm(task: Any) -> Results:
    model = nn.Sequential(nn.Flatten(), nn.Linear(3072, 10))
    with_norm = torch.nn.utils.spectral_norm(model[1])
    return fit(nn.Sequential(model[0], with_norm), sgd(model), task)


def parametrization_by_hand(task: Any) -> Results:
    class Symmetric(nn.Module):
        def forward(self, weight: Tensor) -> Tensor:
            return weight.triu() + weight.triu(1).transpose(-1, -2)

    class Standardized(nn.Module):
        def forward(self, weight: Tensor) -> Tensor:
            variance, mean = torch.var_mean(weight, (1, 2, 3), keepdim=True, correction=0)
            return (weight - mean) * torch.rsqrt(variance + 1e-5)

    conv, square = nn.Conv2d(3, 10, 5, 3), nn.Linear(10, 10)
    parametrize.register_parametrization(conv, "weight", Standardized())
    parametrize.register_parametrization(square, "weight", Symmetric())
    model = nn.Sequential(conv, nn.AdaptiveAvgPool2d(1), nn.Flatten(), square)
    return fit(model, sgd(model), task)


def shared_weights(task: Any) -> Results:
    model = linear_model()
    last = nn.Linear(10, 10)
    last.weight = nn.Parameter(torch.randn(10, 10) * 0.1)
    other = nn.Linear(10, 10)
    other.weight = last.weight
    both = nn.Sequential(model, last, nn.Tanh(), other)
    return fit(both, sgd(both), task)


def pruned(task: Any) -> Results:
    from torch.nn.utils import prune

    model = small_cnn()
    prune.l1_unstructured(model[0], "weight", 0.3)
    prune.ln_structured(model[5], "weight", 0.5, 2, 0)
    return fit(model, sgd(model), task, 2)


def parameters_as_vector(task: Any) -> Results:
    from torch.nn.utils import parameters_to_vector, vector_to_parameters

    model = small_cnn()
    vector = parameters_to_vector(model.parameters())
    vector_to_parameters(vector * 0.9, model.parameters())
    return fit(model, sgd(model), task, 2)


def folded_batch_norm(task: Any) -> Results:
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    model = small_cnn()
    fit(model, sgd(model), task, 2)
    model.eval()
    return fuse_conv_bn_eval(model[0], model[1]).state_dict()  # type: ignore[arg-type]


def test_time_augmentation(task: Any) -> Results:
    class Mirrored(nn.Module):
        def __init__(self, net: nn.Module) -> None:
            super().__init__()
            self.net = net

        def forward(self, x: Tensor) -> Tensor:
            if self.training:
                return self.net(x)  # type: ignore[no-any-return]
            padded = F.pad(x, (1, 1, 1, 1), "reflect")
            views = [x, padded[:, :, :32, :32], padded[:, :, 2:, 2:]]
            views += [view.flip(-1) for view in views]
            return torch.stack([self.net(view).softmax(1) for view in views]).mean(0)

    model = Mirrored(small_cnn())
    state = fit(model, sgd(model), task, 2)
    model.eval()
    with torch.inference_mode():
        return state | {"logits": model(normalized(task.images[:4]))}


def ensemble_with_deep_copies(task: Any) -> Results:
    first = small_cnn()
    second = copy.deepcopy(first)
    fit(first, sgd(first), task, 1)
    fit(second, sgd(second, lr=0.01), task, 1)
    with torch.no_grad():
        for p, q in zip(first.parameters(), second.parameters(), strict=True):
            p.data = (p.data + q.data) / 2
    return first.state_dict()


def double_precision(task: Any) -> Results:
    torch.set_default_dtype(torch.float64)
    model = small_cnn()
    return fit(model, sgd(model), task, 2, change=lambda x: x.double())


def stochastic_depth_and_drop_path(task: Any) -> Results:
    from torchvision.ops import StochasticDepth

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Conv2d(3, 8, 4, 4)
            self.conv = nn.Conv2d(8, 8, 3, padding=1)
            self.drop = StochasticDepth(0.5, "row")
            self.head = nn.Linear(8, 10)

        def forward(self, x: Tensor) -> Tensor:
            x = self.stem(x)
            x = x + self.drop(self.conv(x))
            keep = x.new_empty((x.shape[0], 1, 1, 1)).bernoulli_(0.8).div_(0.8)
            return self.head((x * keep).mean((2, 3)))  # type: ignore[no-any-return]

    model = Net()
    return fit(model, sgd(model), task)


class _Matrix(nn.Parameter):
    """A parameter that says how it is to be optimized."""

    rate = 0.02

    def turned(self) -> Tensor:
        return self.mT * self.rate


def own_class_of_parameters(task: Any) -> Results:
    model = small_cnn()
    model[10].weight = _Matrix(model[10].weight.detach().clone())
    again = copy.deepcopy(model)
    matrices = [p for p in again.parameters() if isinstance(p, _Matrix)]
    others = [p for p in again.parameters() if not hasattr(p, "rate")]
    optimizer = torch.optim.SGD([{"params": matrices, "lr": matrices[0].rate}, {"params": others}], lr=0.1)
    return fit(again, optimizer, task) | {"turned": matrices[0].turned(), "groups": torch.tensor(len(others))}
