"""Random numbers: seeds, generators, states, distributions."""

import random
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch import distributions as dist

Results = dict[str, Tensor]


def generators(task: Any) -> Results:
    g = torch.Generator().manual_seed(7)
    a = torch.rand(3, generator=g)
    torch.manual_seed(1)
    b = torch.rand(3)
    torch.manual_seed(1)
    c = torch.rand(3)
    g.manual_seed(7)
    return {
        "a": a, "b": b, "c": c, "d": torch.rand(3, generator=g), "e": torch.randperm(10), "f": torch.multinomial(torch.ones(5), 3),
        "g": torch.randn(4, generator=g), "h": torch.randint(0, 9, (4,), generator=g), "i": torch.randperm(6, generator=g),
        "j": torch.empty(3).uniform_(generator=g), "k": torch.bernoulli(torch.full((5,), 0.5), generator=g),
        "l": torch.normal(torch.zeros(3), 1.0, generator=g), "m": torch.empty(2).normal_(1, 2, generator=g),
    }  # fmt: skip


def two_generators_and_the_default_one(task: Any) -> Results:
    g, h = torch.Generator(), torch.Generator()
    g.manual_seed(1)
    h.manual_seed(1)
    found = [torch.rand(1, generator=x) for x in (g, h, None, g, None, h, h)]
    return {
        "found": torch.cat(found),
        "seeds": torch.tensor([g.initial_seed(), h.initial_seed(), torch.initial_seed()]),
    }


def generators_that_follow_each_other(task: Any) -> Results:
    """Each takes the place of one that is gone, and begins where a new generator begins."""
    found, kept = [], torch.Generator()
    for seed in range(4):
        new = torch.Generator()
        found += [torch.rand(2, generator=new), torch.rand(2, generator=kept)]
        new.manual_seed(seed)
        found += [torch.rand(2, generator=new), torch.randperm(2, generator=new)]
    found += [torch.rand(2, generator=torch.Generator()) for _ in range(2)]
    return {"found": torch.stack(found)}


def states(task: Any) -> Results:
    a = torch.rand(2)
    state = torch.get_rng_state()
    b = torch.rand(2)
    torch.set_rng_state(state)
    c = torch.rand(2)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(9)
        inside = torch.rand(4)
    return {"a": a, "b": b, "c": c, "inside": inside, "d": torch.rand(2)}


def states_of_generators(task: Any) -> Results:
    g = torch.Generator().manual_seed(3)
    state = g.get_state()
    a = torch.rand(2, generator=g)
    g.set_state(state)
    b = torch.rand(2, generator=g)
    other = torch.Generator()
    other.set_state(state)
    kept = g.get_state()
    c = torch.rand(2, generator=g)
    g.set_state(kept)
    return {"a": a, "b": b, "c": c, "d": torch.rand(2, generator=other), "e": torch.rand(2, generator=g)}


def seeds_from_draws(task: Any) -> Results:
    seed = int(torch.empty((), dtype=torch.int64).random_().item())
    g = torch.Generator().manual_seed(seed)
    return {"seed": torch.tensor(seed), "a": torch.rand(2, generator=g), "b": torch.rand(2)}


def python_and_numpy(task: Any) -> Results:
    values = [
        random.random(),
        random.gauss(0, 1),
        float(np.random.rand()),
        float(np.random.default_rng(3).normal()),
    ]
    return {
        "values": torch.tensor(values, dtype=torch.float64),
        "order": torch.tensor(np.random.permutation(5)),
    }


def kinds_of_draws(task: Any) -> Results:
    x = torch.full((4, 3), 0.3)
    return {
        "rand": torch.rand(3, 2), "randn": torch.randn(3, dtype=torch.float64), "randint": torch.randint(5, (4,)),
        "like": torch.rand_like(x), "normal_like": torch.randn_like(x), "integers": torch.randint_like(x, 5),
        "bernoulli": x.bernoulli(), "poisson": torch.poisson(x * 10), "exponential": x.clone().exponential_(),
        "geometric": x.clone().geometric_(0.3), "cauchy": x.clone().cauchy_(), "log_normal": x.clone().log_normal_(),
        "multinomial": torch.multinomial(x, 5, replacement=True), "uniform": x.clone().uniform_(-1, 1),
        "normal": torch.normal(0.0, 1.0, (3,)), "pairs": torch.normal(x, x), "random": x.clone().random_(0, 7),
        "complex": torch.randn(3, dtype=torch.complex64), "half": torch.randn(4, dtype=torch.half), "b": x.bernoulli_(0.5),
    }  # fmt: skip


def dropouts(task: Any) -> Results:
    x = torch.ones(4, 6, 5, 5, requires_grad=True)
    found = {
        "dropout": F.dropout(x, 0.3), "two": F.dropout2d(x, 0.3), "alpha": F.alpha_dropout(x, 0.2), "feature": F.feature_alpha_dropout(x, 0.2),
        "in_place": F.dropout(x * 1, 0.3, inplace=True), "rrelu": F.rrelu(x - 2, training=True), "gumbel": F.gumbel_softmax(x[:, :, 0, 0]),
        "hard": F.gumbel_softmax(x[:, :, 1, 1], hard=True), "three": F.dropout3d(x[:, :, None], 0.5),
    }  # fmt: skip
    torch.stack([value.sum() for value in found.values()]).sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    return found | {"grad": x.grad}


def distributions(task: Any) -> Results:
    logits = torch.randn(3, 4)
    made = {
        "beta": dist.Beta(0.5, 0.5), "normal": dist.Normal(0.0, 1.0), "categorical": dist.Categorical(logits=logits),
        "bernoulli": dist.Bernoulli(0.3), "uniform": dist.Uniform(-1.0, 1.0), "gamma": dist.Gamma(2.0, 1.0),
        "dirichlet": dist.Dirichlet(torch.ones(3)), "exponential": dist.Exponential(1.0), "laplace": dist.Laplace(0.0, 1.0),
        "gumbel": dist.Gumbel(0.0, 1.0), "poisson": dist.Poisson(4.0), "student": dist.StudentT(3.0),
        "multivariate": dist.MultivariateNormal(torch.zeros(2), torch.eye(2)), "one_hot": dist.OneHotCategorical(logits=logits),
    }  # fmt: skip
    found = {}
    for name, distribution in made.items():
        sample = distribution.sample((3,))
        found |= {name: sample, f"{name}.log": distribution.log_prob(sample)}
    return found | {
        "kl": dist.kl_divergence(made["normal"], dist.Normal(1.0, 2.0)),
        "entropy": made["categorical"].entropy(),
    }


def reproducible_blocks(task: Any) -> Results:
    """Evaluation in the midst of training leaves the random numbers of training as they are."""
    found = []
    for epoch in range(3):
        found.append(torch.rand(2))
        state = torch.random.get_rng_state()
        torch.manual_seed(epoch)
        torch.rand(5)
        torch.random.set_rng_state(state)
    torch.seed()
    torch.random.manual_seed(4)
    return {
        "found": torch.stack(found),
        "after": torch.rand(2),
        "initial": torch.tensor(torch.initial_seed()),
    }
