"""Products, decompositions, Fourier transforms."""

from typing import Any

import torch
from torch import Tensor

from .networks import normalized

Results = dict[str, Tensor]


def _matrix(task: Any) -> tuple[Tensor, Tensor]:
    x = normalized(task.images[:8]).flatten(1)[:, :24]
    return x, x.T @ x + torch.eye(24)


def products(task: Any) -> Results:
    x, c = _matrix(task)
    b = torch.randn(3, 4, 5)
    return {
        "einsum": torch.einsum("bi,bj->ij", x, x), "batch": b @ b.mT, "vector": c @ x[0], "dot": x[0].dot(x[1]), "outer": x[0].outer(x[1]),
        "addmm": torch.addmm(c, x.T, x, beta=0.5), "baddbmm": torch.baddbmm(torch.zeros(3, 4, 4), b, b.mT), "inner": torch.inner(x, x),
        "chain": torch.linalg.multi_dot([x, c, x.T]), "tensordot": torch.tensordot(b, b, ([0, 2], [0, 2])), "einsum3": torch.einsum("bij,bkj,bl->ikl", b, b, b[:, 0]),
        "power": torch.linalg.matrix_power(c / 50, 3), "mv": c.mv(x[0]), "cross": torch.linalg.cross(x[:, :3], x[:, 3:6]), "bilinear": torch.nn.functional.bilinear(x, x, torch.randn(2, 24, 24)),
        "cdist": torch.cdist(x, x), "pdist": torch.pdist(x), "cosine": torch.cosine_similarity(x, x.flip(0)), "kron": torch.kron(b[0], b[1]), "trilinear": torch.addbmm(torch.zeros(4, 4), b, b.mT),
    }  # fmt: skip


def decompositions(task: Any) -> Results:
    x, c = _matrix(task)
    values, vectors = torch.linalg.eigh(c)
    u, s, vh = torch.linalg.svd(x, full_matrices=False)
    q, r = torch.linalg.qr(x.T)
    p, lower, upper = torch.linalg.lu(c)
    return {
        "values": values, "vectors": vectors, "u": u, "s": s, "vh": vh, "q": q, "r": r, "p": p, "lower": lower, "upper": upper,
        "cholesky": torch.linalg.cholesky(c), "inverse": torch.linalg.inv(c), "pinv": torch.linalg.pinv(x), "det": torch.linalg.det(c / 9),
        "slogdet": torch.linalg.slogdet(c).logabsdet, "solve": torch.linalg.solve(c, x.T), "norm": torch.linalg.norm(c),
        "exp": torch.linalg.matrix_exp(c / 99), "triangular": torch.linalg.solve_triangular(upper, x.T, upper=True), "lstsq": torch.linalg.lstsq(x.T, c[:, :2]).solution, "cholesky_solve": torch.cholesky_solve(x.T, torch.linalg.cholesky(c)), "rank": torch.linalg.matrix_rank(x), "vander": torch.linalg.vander(x[0, :4]), "logdet": torch.logdet(c),
    }  # fmt: skip


def values_without_vectors(task: Any) -> Results:
    """ROUNDED: LAPACK has a shorter way for these, which PyTorch takes for plain tensors only."""
    x, c = _matrix(task)
    return {
        "svdvals": torch.linalg.svdvals(x),
        "eigvalsh": torch.linalg.eigvalsh(c),
        "nuclear": torch.linalg.norm(c, "nuc"),
        "spectral": torch.linalg.matrix_norm(c, 2),
        "cond": torch.linalg.cond(c),
    }


def general_eigenvalues(task: Any) -> Results:
    values, _ = torch.linalg.eig(torch.randn(5, 5))
    return {"real": values.real, "size": values.abs()}


def low_rank(task: Any) -> Results:
    x, _ = _matrix(task)
    u, s, v = torch.svd_lowrank(x, 4)
    return {"s": s, "reconstructed": u @ torch.diag(s) @ v.mT, "pca": torch.pca_lowrank(x, 3)[1]}


def gradients_of_decompositions(task: Any) -> Results:
    _, c = _matrix(task)
    c = c[:6, :6].clone().requires_grad_()
    values, vectors = torch.linalg.eigh(c)
    loss = (
        values.log().sum() + vectors.abs().sum() + torch.linalg.cholesky(c).sum() + torch.linalg.inv(c).sum()
    )
    loss = (
        loss
        + torch.linalg.det(c) * 1e-6
        + torch.linalg.svdvals(c).sum()
        + torch.linalg.qr(c).R.abs().sum()
        + torch.linalg.solve(c, c[0]).sum()
    )
    loss.backward()  # type: ignore[no-untyped-call]
    assert c.grad is not None
    return {"grad": c.grad}


def whitening(task: Any) -> Results:
    x = normalized(task.images[:64]).flatten(1)[:, :48]
    x = x - x.mean(0)
    values, vectors = torch.linalg.eigh(x.T @ x / len(x))
    return {"zca": x @ vectors @ torch.diag((values + 0.1).rsqrt()) @ vectors.T}


def fourier(task: Any) -> Results:
    x = normalized(task.images[:2])
    spectrum = torch.fft.rfft2(x)
    low = spectrum.clone()
    low[..., 8:] = 0
    w = torch.randn(16, requires_grad=True)
    torch.fft.fft(w).abs().square().sum().backward()  # type: ignore[no-untyped-call]
    assert w.grad is not None
    return {
        "magnitude": spectrum.abs(), "phase": spectrum.angle(), "low": torch.fft.irfft2(low, s=(32, 32)), "grad": w.grad,
        "shifted": torch.fft.fftshift(torch.fft.fft2(x)).real, "inverse": torch.fft.ifft(torch.fft.fft(w.detach())).real,
        "frequencies": torch.fft.fftfreq(8), "spectrum": spectrum, "conj": (spectrum.conj() * spectrum).real,
        "imag": spectrum.imag + 1, "parts": torch.view_as_real(spectrum), "negative": -spectrum.conj().imag,
    }  # fmt: skip
