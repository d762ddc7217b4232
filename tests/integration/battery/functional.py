"""torch.func, custom autograd functions, checkpointing, higher derivatives, compilation."""

import copy
import warnings
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, stack_module_state, vjp, vmap
from torch.utils.checkpoint import checkpoint, checkpoint_sequential

from .networks import fit, linear_model, normalized, number, sgd, small_cnn

Results = dict[str, Tensor]


def gradients_per_sample(task: Any) -> Results:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 900, 10))
    params = {name: p.detach() for name, p in model.named_parameters()}

    def loss(params: Any, x: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(functional_call(model, params, (x[None],)), y[None])

    found: Results = vmap(grad(loss), (None, 0, 0))(params, normalized(task.images[:8]), task.labels[:8])
    return found


def ensemble_of_stacked_models(task: Any) -> Results:
    models = [
        nn.Sequential(nn.Flatten(), nn.Linear(3072, 16), nn.ReLU(), nn.Linear(16, 10)) for _ in range(3)
    ]
    params, buffers = stack_module_state(models)
    base = copy.deepcopy(models[0])
    x = normalized(task.images[:8])
    out = vmap(lambda p, b: functional_call(base, (p, b), (x,)))(params, buffers)
    out.sum().backward()
    return {"out": out} | {name: p.grad for name, p in params.items()}


def vmap_with_randomness(task: Any) -> Results:
    x = torch.ones(4, 3)
    different = vmap(lambda row: row * torch.rand(3), randomness="different")(x)
    same = vmap(lambda row: F.dropout(row, 0.5), randomness="same")(x)
    return {"different": different, "same": same}


def derivatives(task: Any) -> Results:
    w = torch.randn(3072, 10) * 0.01
    x = normalized(task.images[:4]).flatten(1)

    def loss(w: Tensor) -> Tensor:
        return F.cross_entropy(x @ w, task.labels[:4])

    small = torch.randn(5)
    _, pull = vjp(torch.tanh, small)
    return {
        "hvp": jvp(grad(loss), (w,), (torch.ones_like(w),))[1],
        "jacobian": jacrev(lambda z: (z @ w).tanh())(x[0]),
        "forward": jacfwd(lambda z: z.sin() * z.sum())(small),
        # Forward mode makes zeros without memory; the executor gives them some, and their sign may change.
        "hessian": hessian(lambda z: (z**3).sum())(small) + 0.0,
        "vjp": pull(torch.ones(5))[0],
    }


def double_backward(task: Any) -> Results:
    """A gradient penalty."""
    model = nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.Softplus(), nn.Flatten(), nn.Linear(900, 10))
    x = normalized(task.images[:4]).requires_grad_()
    loss = F.cross_entropy(model(x), task.labels[:4])
    (slope,) = torch.autograd.grad(loss, x, create_graph=True)
    (loss + slope.square().sum()).backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def autograd_functional(task: Any) -> Results:
    x = torch.randn(4)
    jacobian = torch.autograd.functional.jacobian(lambda z: z.exp() * z.sum(), x)
    hvp = torch.autograd.functional.hvp(lambda z: (z**3).sum(), x, torch.ones(4))[1]
    return {"jacobian": jacobian, "hvp": hvp}  # type: ignore[dict-item]


def forward_mode(task: Any) -> Results:
    import torch.autograd.forward_ad as forward_ad

    with forward_ad.dual_level():  # type: ignore[no-untyped-call]
        dual = forward_ad.make_dual(torch.randn(3), torch.ones(3))
        out = forward_ad.unpack_dual(dual.sin() * dual)
    return {"primal": out.primal, "tangent": out.tangent}


def custom_function(task: Any) -> Results:
    class Swish(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            ctx.save_for_backward(x)
            return x * x.sigmoid()

        @staticmethod
        def backward(ctx: Any, *grads: Tensor) -> Tensor:
            (x,) = ctx.saved_tensors
            s = x.sigmoid()
            return grads[0] * (s + x * s * (1 - s))

    class Activation(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return Swish.apply(x)  # type: ignore[no-untyped-call, no-any-return]

    model = nn.Sequential(nn.Conv2d(3, 8, 3), Activation(), nn.Flatten(), nn.Linear(8 * 900, 10))
    return fit(model, sgd(model), task, 2)


def straight_through_estimator(task: Any) -> Results:
    class Sign(torch.autograd.Function):
        @staticmethod
        def forward(x: Tensor) -> Tensor:
            return x.sign()

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            ctx.mark_non_differentiable()
            ctx.save_for_backward(*inputs)

        @staticmethod
        def backward(ctx: Any, *grads: Tensor) -> Tensor:
            return grads[0] * (ctx.saved_tensors[0].abs() <= 1)

    w = torch.randn(5, 5, requires_grad=True)
    quantized = w + (w.mul(4).round() / 4 - w).detach()
    (Sign.apply(w).square().sum() + Sign.apply(w).sum() + quantized.sum()).backward()  # type: ignore[no-untyped-call]
    assert w.grad is not None
    return {"grad": w.grad}


def custom_operators(task: Any) -> Results:
    """torch.library wraps operators of PyTorch under the submission's own names."""

    @torch.library.custom_op("battery::bent", mutates_args=())
    def bent(x: Tensor, slope: float) -> Tensor:
        return torch.where(x > 0, x, slope * x.expm1())

    def keep(ctx: Any, inputs: Any, output: Tensor) -> None:
        ctx.save_for_backward(inputs[0])
        ctx.slope = inputs[1]

    def back(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        return grad * torch.where(x > 0, torch.ones_like(x), ctx.slope * x.exp()), None

    @torch.library.custom_op("battery::scale_", mutates_args=("x",))
    def scale_(x: Tensor, factor: float) -> None:
        x.mul_(factor)

    class Bent(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return bent(x, 0.5)  # type: ignore[no-any-return]

    bent.register_autograd(back, setup_context=keep)
    library = torch.library.Library("battery_by_hand", "DEF")
    library.define("twice(Tensor x) -> Tensor")
    library.impl("twice", lambda x: x + x, "CompositeExplicitAutograd")
    model = nn.Sequential(nn.Conv2d(3, 8, 3), Bent(), nn.Flatten(), nn.Linear(8 * 900, 10))
    state = fit(model, sgd(model), task, 2)
    scaled = torch.arange(4.0)
    scale_(scaled, 3.0)
    return state | {"scaled": scaled, "twice": torch.ops.battery_by_hand.twice(scaled)}


def checkpointing(task: Any) -> Results:
    found: Results = {}
    for reentrant in (False, True):
        for keeps_state in (False, True):
            torch.manual_seed(0)
            model = small_cnn(0.3 if keeps_state else 0.0)
            x = normalized(task.images[:8]).requires_grad_()
            out = checkpoint(model, x, use_reentrant=reentrant, preserve_rng_state=keeps_state)
            F.cross_entropy(out, task.labels[:8]).backward()  # type: ignore[no-untyped-call]
            found |= {
                f"{reentrant}{keeps_state}{k}": p.grad
                for k, p in model.named_parameters()
                if p.grad is not None
            }
            found[f"{reentrant}{keeps_state}after"] = torch.rand(2)
    return found


def checkpointing_in_sequence(task: Any) -> Results:
    model = small_cnn()
    x = normalized(task.images[:8])
    out = checkpoint_sequential(model, 3, x, use_reentrant=False)
    F.cross_entropy(out, task.labels[:8]).backward()  # type: ignore[no-untyped-call]
    return {k: p.grad for k, p in model.named_parameters() if p.grad is not None}


def saved_tensor_hooks(task: Any) -> Results:
    w = torch.randn(4, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t.bfloat16(), lambda t: t.float()):
        y = w.exp() * w
    y.sum().backward()  # type: ignore[no-untyped-call]
    assert w.grad is not None
    return {"grad": w.grad}


def anomaly_detection(task: Any) -> Results:
    model = linear_model()
    with warnings.catch_warnings(), torch.autograd.set_detect_anomaly(True):
        warnings.simplefilter("ignore")
        return fit(model, sgd(model), task, 1)


def retained_graphs_and_grads(task: Any) -> Results:
    w = torch.randn(3, requires_grad=True)
    y = w * 2
    y.retain_grad()
    z = y.square().sum()
    z.backward(retain_graph=True)  # type: ignore[no-untyped-call]
    z.backward()  # type: ignore[no-untyped-call]
    assert w.grad is not None and y.grad is not None
    with torch.enable_grad(), torch.no_grad():
        off = (w * 2).requires_grad
    return {"w": w.grad, "y": y.grad, "off": number(off)}


def compiled(task: Any) -> Results:
    """torch.compile is there, and runs eagerly."""
    model = torch.compile(small_cnn())

    @torch.compile(mode="max-autotune")
    def loss(out: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(out, labels)

    return fit(model, sgd(model), task, 2, loss=loss)  # type: ignore[arg-type]


def traced(task: Any) -> Results:
    model = linear_model()
    x = normalized(task.images[:4])
    return {"out": torch.jit.trace(model, x)(x)}  # type: ignore[no-untyped-call]


def scripted(task: Any) -> Results:
    @torch.jit.script
    def double(x: Tensor) -> Tensor:
        if x.dim() > 1:
            return x * 2
        return x

    return {"out": double(torch.ones(2, 2))}  # type: ignore[no-untyped-call]


def modules_without_memory(task: Any) -> Results:
    with torch.device("meta"):
        model = small_cnn()
    count = sum(p.numel() for p in model.parameters())
    model = model.to_empty(device="cpu")
    with torch.no_grad():
        for p in (*model.parameters(), *model.buffers()):
            p.fill_(0.1)
    return {"count": number(count), "out": model.eval()(normalized(task.images[:2]))}


def inference_mode(task: Any) -> Results:
    model = small_cnn()
    with torch.inference_mode():
        x = normalized(task.images[:4])
        out = model(x)[:, :5].softmax(1).view(2, 10)
        out.mul_(2)
    return {"out": out.clone(), "sum": out.sum() + 1, "state": model[1].running_mean}  # type: ignore[dict-item]


def ensemble_over_a_skeleton_without_data(task: Any) -> Results:
    """The members' weights are stacked, and the module that they are put into is moved to `meta`."""
    members = [small_cnn(0.0) for _ in range(2)]
    weights, buffers = stack_module_state(members)
    skeleton = copy.deepcopy(members[0]).to("meta").eval()
    images = normalized(task.images[:8])

    def logits(own: Any, kept: Any) -> Tensor:
        return functional_call(skeleton, (own, kept), (images,))

    return {
        "logits": vmap(logits)(weights, buffers),
        "empty": torch.zeros_like(skeleton.to_empty(device="cpu")[0].weight),
    }


def numbers_for_each_example(task: Any) -> Results:
    """Inside vmap an example's own tensor may have no dimension, and Python's numbers meet it."""
    scales = task.labels[:6]
    found = {}
    for name, values in {"floats": scales / 3, "integers": scales, "halves": scales.half()}.items():
        found[name] = vmap(lambda x: torch.where(x > 1, 2 * x + 1, (1 - x) / 2.5))(values)
    slopes = vmap(grad(lambda scale, weight: (scale * 2 * weight).square().sum() * 0.5), (0, None))
    return found | {"slopes": slopes(scales / 3, torch.randn(4))}


def forward_mode_through_a_network(task: Any) -> Results:
    """The derivative of the loss along one direction, and that of its gradient."""
    model = small_cnn(0.0).eval()
    weights = {name: value.detach() for name, value in model.named_parameters()}
    images, labels = normalized(task.images[:4]), task.labels[:4]

    def loss(own: Any) -> Tensor:
        return F.cross_entropy(functional_call(model, own, (images,)), labels)

    along = {name: torch.randn_like(value) for name, value in weights.items()}
    value, slope = jvp(loss, (weights,), (along,))
    _, curvature = jvp(grad(loss), (weights,), (along,))
    return {"value": value, "slope": slope} | {f"curvature.{name}": c for name, c in curvature.items()}


def forward_mode_for_a_view_of_many(task: Any) -> Results:
    """Weights that share one storage, as those of stacked models do, and then ones of their own."""
    images, labels = normalized(task.images[:4]).flatten(1)[:, :77], task.labels[:4]

    def loss(weight: Tensor) -> Tensor:
        return F.cross_entropy(F.linear(images, weight), labels)

    stacked, along = torch.randn(2, 10, 77), torch.randn(10, 77)
    return {
        "shared": jvp(loss, (stacked[0],), (along,))[1],
        "own": jvp(loss, (stacked[1].clone(),), (along,))[1],
    }
